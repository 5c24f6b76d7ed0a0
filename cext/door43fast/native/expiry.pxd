"""Rows of the table of deadlines: big-endian time, then the hash of the key, so that the first row is due first."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from clib.xxhash cimport XXH128_canonicalFromHash, XXH128_canonical_t, XXH3_128bits
from door43fast.native.frame cimport Slice

cdef enum:
    EXPIRY_KEY = 24         # 8 of time, 16 of hash


cdef inline void expiry_key(Slice key, int64_t when, char* out) noexcept nogil:
    """``when`` is the end of the record: its deadline and stale window together, in Unix nanoseconds."""
    cdef XXH128_canonical_t hash
    cdef int i
    for i in range(8):
        out[i] = <char>((<uint64_t>when >> (56 - 8 * i)) & 0xFF)
    XXH128_canonicalFromHash(&hash, XXH3_128bits(key.data, key.size))
    memcpy(out + 8, hash.digest, 16)


cdef inline int64_t expiry_time(const char* row) noexcept nogil:
    cdef uint64_t when = 0
    cdef int i
    for i in range(8):
        when = (when << 8) | <unsigned char>row[i]
    return <int64_t>when

"""The 32-bit hash by which the index places a key, mixed from Python's own hash."""

from libc.stdint cimport uint32_t, uint64_t

# Python hashes small integers to themselves, so the index must not take its bits as they are. The top half of a
# product with an odd constant (2**64 divided by the golden ratio, Knuth 6.4) depends on all bits below.
cdef inline uint32_t mix(Py_hash_t h) noexcept nogil:
    cdef uint64_t x = <uint64_t>h
    x ^= x >> 32
    return <uint32_t>((x * <uint64_t>0x9E3779B97F4A7C15) >> 32)

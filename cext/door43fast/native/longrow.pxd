"""A row of the table of records whose keys are longer than a key of LMDB may be. See docs/format.md.

The row stands under the first 494 bytes of the key, the XXH3-128 of the whole key (16, canonical), and a number (1)
that tells keys apart of which both are the same. Its value is the size of the key (4), the key, and the frame of the
record.
So rows are in the order of their keys up to the first 494 bytes, and in no order where these are the same.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from clib.xxhash cimport XXH128_canonicalFromHash, XXH128_canonical_t, XXH3_128bits
from door43fast.native.frame cimport FRAME_CORRUPT, Slice

cdef enum:
    MAX_KEY = 511           # of LMDB as Debian builds it; longer keys stand in the table of long ones
    LONGEST_KEY = 65535     # a change holds its key in up to six places at once: record, deadline, order, chunks, ...
    LONG_HEAD = 494
    LONG_NAME = 510         # head and hash
    LONG_PLACE = 511        # of LMDB's key: these and the number
    LONG_TWINS = 256        # keys that may have one head and one hash
    LONG_SIZE = 4           # bytes of a row before the key

    # Statuses below those of reading a record.
    TWINS_FULL = -202       # so many other keys have the same first bytes and the same hash
    LONG_UNSEEN = -203      # there are long keys now, but were none when the store was opened to read only


cdef struct LongRow:
    Slice name              # the whole key
    Slice frame


cdef inline size_t long_weight(size_t size) noexcept nogil:
    """Bytes that a key of this size takes in a file beyond those of a short one: see LONGEST_KEY."""
    return 0 if size <= MAX_KEY else 4 * size + LONG_PLACE


cdef inline void long_place(Slice key, char* out) noexcept nogil:
    """Where the row of ``key`` stands, with the number 0. REQUIRES: a long key."""
    cdef XXH128_canonical_t hash
    memcpy(out, key.data, LONG_HEAD)
    XXH128_canonicalFromHash(&hash, XXH3_128bits(key.data, key.size))
    memcpy(out + LONG_HEAD, hash.digest, LONG_NAME - LONG_HEAD)
    out[LONG_NAME] = 0


cdef inline int long_parts(const char* place, size_t place_size, const char* data, size_t size,
                           LongRow* out) noexcept nogil:
    """Take a row apart: FRAME_CORRUPT if it is too short for what it says. The key is not compared with its place."""
    cdef uint32_t length
    if place_size != LONG_PLACE or size < LONG_SIZE:
        return FRAME_CORRUPT
    memcpy(&length, data, LONG_SIZE)
    if not MAX_KEY < length <= LONGEST_KEY or length > size - LONG_SIZE:
        return FRAME_CORRUPT
    out.name.data = data + LONG_SIZE
    out.name.size = length
    out.frame.data = out.name.data + length
    out.frame.size = size - LONG_SIZE - length
    return 0


cdef inline bint long_fits(const char* place, const LongRow* row) noexcept nogil:
    """Whether the key of a row belongs to its place."""
    cdef XXH128_canonical_t hash
    if memcmp(place, row.name.data, LONG_HEAD):
        return False
    XXH128_canonicalFromHash(&hash, XXH3_128bits(row.name.data, row.name.size))
    return memcmp(place + LONG_HEAD, hash.digest, LONG_NAME - LONG_HEAD) == 0


cdef inline int long_read(const char* place, size_t place_size, const char* data, size_t size,
                          LongRow* out) noexcept nogil:
    """Take a row apart whose key is not known. The frame has its own checksum."""
    cdef int rc = long_parts(place, place_size, data, size, out)
    return rc if rc or long_fits(place, out) else FRAME_CORRUPT


cdef inline char* key_keep(Slice key, char* place, Slice* out) noexcept nogil:
    """Copy a key to ``place``, which has MAX_KEY bytes, or where it is longer into memory of its own; NULL if there is
    none."""
    cdef char* copy = place if key.size <= MAX_KEY else <char*>malloc(key.size)
    if copy != NULL:
        memcpy(copy, key.data, key.size)
        out.data = copy
        out.size = key.size
    return copy


cdef inline void key_free(Slice key) noexcept nogil:
    """Give back what ``key_keep`` took."""
    if key.size > MAX_KEY:
        free(<void*>key.data)

"""Keys of a store on disk as bytes whose order is the order of the keys."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

cdef enum KeyMode:
    KEYS_STR
    KEYS_BYTES
    KEYS_INT
    KEYS_ANY


cdef inline void put_int64(int64_t value, unsigned char* out) noexcept nogil:
    """The 8 bytes of an "int" key: big-endian with the sign bit flipped, so that bytes compare as numbers do."""
    cdef uint64_t u = <uint64_t>value ^ (<uint64_t>1 << 63)
    u = (u & <uint64_t>0x00FF00FF00FF00FF) << 8 | (u >> 8 & <uint64_t>0x00FF00FF00FF00FF)
    u = (u & <uint64_t>0x0000FFFF0000FFFF) << 16 | (u >> 16 & <uint64_t>0x0000FFFF0000FFFF)
    u = u << 32 | u >> 32           # compilers make one instruction of the three
    memcpy(out, &u, 8)


cdef inline int64_t read_int64(const unsigned char* data) noexcept nogil:
    cdef uint64_t u = 0
    cdef int i
    for i in range(8):
        u = (u << 8) | data[i]
    return <int64_t>(u ^ (<uint64_t>1 << 63))


cdef class KeyCodec:
    cdef readonly str name
    cdef KeyMode mode

    cpdef bytes encode(self, key)
    cpdef object decode(self, bytes data)
    cpdef bytes prefix(self, p)
    cpdef tuple bounds(self, p)

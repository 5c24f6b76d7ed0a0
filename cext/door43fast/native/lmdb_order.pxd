"""The keys of one call as places in memory, and their order."""

from libc.string cimport memcmp

from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_reads cimport Place


cdef inline bint follows(const char* last, size_t size, Slice key) noexcept nogil:
    """Whether ``key`` comes after the last key."""
    cdef int order = memcmp(last, key.data, min(size, key.size))
    return order < 0 or (order == 0 and size < key.size)


# Sort ``n`` places by the bytes of their keys, drop all but the last in the caller's order of equal ones, and return
# how many are left; -1 if there is no memory.
cdef Py_ssize_t order_places(Place* places, Py_ssize_t n) noexcept nogil

"""The keys of one call as places in memory, and their order."""

from door43fast.native.lmdb_reads cimport Place


# Sort ``n`` places by the bytes of their keys, drop all but the last in the caller's order of equal ones, and return
# how many are left; -1 if there is no memory.
cdef Py_ssize_t order_places(Place* places, Py_ssize_t n) noexcept nogil

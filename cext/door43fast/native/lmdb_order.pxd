"""The keys of one call as places in memory, and their order."""

from door43fast.native.frame cimport Draft
from door43fast.native.lmdb_reads cimport Place


# Sort ``n`` places by the bytes of their keys, drop all but the last in the caller's order of equal ones, and return
# how many are left; -1 if there is no memory.
cdef Py_ssize_t order_places(Place* places, Py_ssize_t n) noexcept nogil


cdef class Batch:
    """Keys of one call, encoded; with values to write, drafted. Memory of its own, so that nogil code may walk it."""
    cdef Py_ssize_t count
    cdef Place* places
    cdef Draft* drafts      # NULL where nothing is written
    cdef list names         # the keys as given
    cdef list owners        # what keeps the bytes of keys and values alive
    cdef char* numbers      # the bytes of keys that came as an int64 array

    cdef int reserve(self, Py_ssize_t count) except -1
    cdef bint plain(self) noexcept
    cdef int draft(self) except -1      # room for a draft for each key
    # Sort the places by the bytes of the keys and keep the last of equal ones: pages are then written side by side.
    cdef int arrange(self) except -1

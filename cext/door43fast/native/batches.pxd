"""The batch methods of the memory engine."""

from door43fast.native.ordered cimport Ordered

cdef class Batches(Ordered):
    cdef int check_all(self, list keys, list values, object ttl) except -1
    cdef list gather_freely(self, object keys, object default, bint peek)
    cdef list gather(self, object keys, object default, bint peek)
    cdef int read_ahead(self, list keys, Py_ssize_t start) except -1

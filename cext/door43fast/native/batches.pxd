"""The batch methods of the memory engine."""

from door43fast.native.ordered cimport Ordered

cdef class Batches(Ordered):
    cdef int check_all(self, list keys, list values, object ttl) except -1

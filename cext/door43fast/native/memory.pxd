"""The memory engine: a table of the caller's own objects, with the methods that every store has."""

from door43fast.native.ordered cimport Ordered

cdef class MemoryEngine(Ordered):
    cdef int check_all(self, list keys, list values, object ttl) except -1

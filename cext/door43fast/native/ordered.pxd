"""The ordered methods of the memory engine."""

from libc.stdint cimport uint64_t

from door43fast.native.conditional cimport Conditional

cdef class Ordered(Conditional):
    cdef list sorted_keys       # None until a range is asked for
    cdef uint64_t sorted_version

    cdef list live_keys(self)
    cdef list ordered(self)
    cdef tuple bounds(self, object prefix, object start, object stop)
    cdef tuple within(self, list keys, object prefix, object start, object stop)
    cdef bint has(self, object key) except -1
    cdef int clear_in(self, object prefix) except -1
    cdef int clear_out(self, object prefix) except -1

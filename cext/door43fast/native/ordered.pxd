"""The ordered methods of the memory engine."""

from libc.stdint cimport uint64_t

from door43fast.native.singles cimport Singles

cdef class Ordered(Singles):
    cdef list sorted_keys       # None until a range is asked for
    cdef uint64_t sorted_version

    cdef list live_keys(self)
    cdef list ordered(self)
    cdef tuple bounds(self, object prefix, object start, object stop)

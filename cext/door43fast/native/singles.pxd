"""The single-key methods of the memory engine."""

from libc.stdint cimport uint32_t

from door43fast.native.writes cimport Write, Writes

cdef class Singles(Writes):
    # The value under a key, MISSING if there is none; ``hit`` counts as a get, ``peek`` leaves no trace.
    cdef object hit(self, object key)
    cdef object peek(self, object key)
    cdef int write(self, object key, object value, Write* w) except -1
    cdef bint discard(self, object key) except -1
    cdef int keep(self, uint32_t ref, Write* w) except -1
    cdef int void_flight_of(self, object key) except -1

cdef object MISSING

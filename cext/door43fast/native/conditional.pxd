"""Writes of the memory engine that depend on what is there."""

from libc.stdint cimport uint32_t

from door43fast.native.singles cimport Singles
from door43fast.native.writes cimport Write

cdef class Conditional(Singles):
    # Store ``value`` if ``key`` holds ``current`` itself, MISSING for nothing. The caller settles.
    cdef bint exchange(self, object key, object current, object value, bint keep) except -1
    cdef int keep(self, uint32_t ref, Write* w) except -1

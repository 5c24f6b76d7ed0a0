"""Reads of one key through a cascade: what the fast tier lacks is fetched from the slow one, and goes up."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from door43fast.native.coherence cimport Coherent
from door43fast.native.tickets cimport Ticket
from door43fast.native.tiers cimport Fetched
from door43fast.native.writes cimport Write

cdef class Promoting(Coherent):
    cdef object local(self, object key)
    cdef object read(self, object key)
    cdef object miss(self, object key, object local, Fetched* fetched)
    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1
    # Whether the fast tier could hold a prepared write at all.
    cdef bint fits(self, Write* w) noexcept

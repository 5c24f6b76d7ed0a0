"""Batch reads through a cascade: one batch call a layer, for what is still missing, and one promotion."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.stack_reads cimport Promoting
from door43fast.native.tickets cimport Ticket
from door43fast.native.tiers cimport Fetched

# What may change between a look into the fast tier and one into the slow one.
cdef struct Instant:
    uint64_t epoch
    uint64_t moves
    uint64_t seen
    bint wide
    bint filling

cdef class Gathering(Promoting):
    # The keys in the fast tier, ``keys`` itself where they are the same; None if one must not be kept there.
    cdef list locals_of(self, list keys)
    # The values, MISSING where there is none. ``fetched``, if not NULL, is told what is known of each.
    cdef list gather(self, list keys, list locals, Fetched* fetched)
    cdef list give_while_renewed(self, list keys, list locals, list missing, list values, Fetched* fetched)
    cdef int fetch_missing(self, list keys, list locals, list missing, list values, Fetched* fetched) except -1
    cdef int settle_many(self, list locals, list values, Fetched* fetched, Ticket* tickets) except -1
    cdef Instant instant(self) noexcept
    cdef bint torn(self, Instant* then, Py_ssize_t missing, Py_ssize_t of) except -1
    cdef int read_below(self, list keys, list values, Fetched* fetched) except -1

"""What a cascade keeps true while others write to its slow tier: the fast one never holds what they have changed."""

from libc.stdint cimport uint64_t

from door43fast.native.below cimport Below
from door43fast.native.tickets cimport Tickets
from door43fast.native.tiers cimport Tier


cdef class Coherent(Below):
    cdef Tier tier
    cdef Tickets* tickets
    cdef uint64_t seen          # the slow tier's epoch that the fast tier is up to date with
    cdef bint following         # the slow tier tells what others change,
    cdef uint64_t followed      # and of the changes up to this one the fast tier holds nothing older

    # Before each read: if others have written to the slow tier, what they changed leaves the fast one.
    cdef int renew(self) except -1
    cdef int drop(self, list locals, list tags) except -1
    # Void all tickets, and take everything out of the fast tier if ``all``.
    cdef int forget(self, bint all) except -1

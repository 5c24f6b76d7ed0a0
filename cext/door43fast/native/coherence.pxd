"""What a cascade keeps true while others write to its slow tier: the fast one never holds what they have changed."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from door43fast.native.below cimport Below
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.tickets cimport Tickets
from door43fast.native.tiers cimport Fetched, Tier
from door43fast.native.watches cimport watch_still


cdef class Coherent(Below):
    cdef Tier tier
    cdef Tickets* tickets
    cdef uint64_t seen          # the slow tier's epoch that the fast tier is up to date with
    cdef bint following         # the slow tier tells what others change,
    cdef uint64_t followed      # and of the changes up to this one the fast tier holds nothing older

    # Whether a key may be looked for in the fast tier at once: it is an exact str, and nobody else has written.
    # hot
    cdef inline bint quiet(self, PyObject* key) noexcept:
        cdef Py_ssize_t i
        cdef uint64_t epochs = 0
        if not watch_still(&self.first, &epochs):
            return False
        for i in range(self.more):
            if not watch_still(&self.rest[i], &epochs):
                return False
        # The key last: no atomic load stands between this and the next look at its type, which then costs nothing.
        return epochs == self.seen and PyUnicode_CheckExact(key)

    cdef int cohere(self) except -1
    # Before each read: if others have written to the slow tier, what they changed leaves the fast one.
    cdef int renew(self) except -1
    cdef int drop(self, list locals, list tags) except -1
    # Void all tickets, and take everything out of the fast tier if ``all``.
    cdef int forget(self, bint all) except -1
    # For a tier above: the value, MISSING if there is none, and what is known of it.
    cdef object fetch_for(self, object key, Fetched* fetched)
    cdef list fetch_many_for(self, list keys, Fetched* fetched)

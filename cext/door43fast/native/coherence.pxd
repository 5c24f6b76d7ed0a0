"""What a cascade keeps true while others write to its slow tier: the fast one never holds what they have changed."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from door43fast.native.below cimport LOOKS, PAIR, PLAIN, Below
from door43fast.native.handle cimport handle_newest
from door43fast.native.lmdb cimport LmdbEngine
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.tickets cimport Tickets
from door43fast.native.tiers cimport Fetched, Tier
from door43fast.native.watches cimport d43_load, watches_sum


# Whether nobody has committed to a store on disk but those that its epoch tells of.
cdef inline bint still(LmdbEngine disk) noexcept:
    return disk.home.metas != NULL and handle_newest(disk.home) <= d43_load(&disk.known)

cdef class Coherent(Below):
    cdef Tier tier
    cdef LmdbEngine disk        # the only store that others may change, None where it is not one alone,
    cdef LmdbEngine other       # or one of two
    cdef Tickets* tickets
    cdef uint64_t seen          # the slow tier's epoch that the fast tier is up to date with
    cdef bint following         # the slow tier tells what others change,
    cdef uint64_t followed      # and of the changes up to this one the fast tier holds nothing older

    # Whether a key may be looked for in the fast tier at once: it is an exact str, and nobody else has written.
    # hot
    cdef inline bint quiet(self, PyObject* key) noexcept:
        if self.plain == PLAIN:
            return PyUnicode_CheckExact(key) and (self.disk is None or self.disk.unchanged(self.seen))
        if self.plain == PAIR:
            return PyUnicode_CheckExact(key) and still(self.disk) and still(self.other) and (
                d43_load(&self.disk.epoch) + d43_load(&self.other.epoch) == self.seen)
        return self.plain == LOOKS and PyUnicode_CheckExact(key) and watches_sum(&self.tier.watches) == self.seen

    cdef int cohere(self) except -1
    # Before each read: if others have written to the slow tier, what they changed leaves the fast one.
    cdef int renew(self) except -1
    cdef int drop(self, list locals, list tags) except -1
    # Void all tickets, and take everything out of the fast tier if ``all``.
    cdef int forget(self, bint all) except -1
    # For a tier above: the value, MISSING if there is none, and what is known of it.
    cdef object fetch_for(self, object key, Fetched* fetched)
    cdef list fetch_many_for(self, list keys, Fetched* fetched)

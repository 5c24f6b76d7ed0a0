"""The cascade: a memory store over a slower one."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.below cimport Below
from door43fast.native.tickets cimport Ticket, Tickets
from door43fast.native.tiers cimport Fetched, Tier

cdef class CascadeEngine(Below):
    cdef Tier tier
    cdef bint str_keys          # an exact str is its own key in the fast tier
    cdef Tickets* tickets
    cdef uint64_t seen          # the slow tier's epoch that the fast tier is up to date with

    cdef object local(self, object key)
    cdef int renew(self) except -1
    cdef object read(self, object key)
    cdef object below_only(self, object key)
    cdef object miss(self, object key, object local)
    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1
    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1
    cdef bint fits(self, object local, object kept) except -1
    cdef int end(self, object local, Ticket* ticket) except -1
    cdef int64_t deadline(self, object ttl) except -2
    cdef int forget(self, bint all) except -1
    cdef int fill(self, list locals, list values, int64_t deadline, uint64_t epoch, uint64_t* held) except -1
    cdef object batch(self, list keys, list values, int64_t deadline, object call)

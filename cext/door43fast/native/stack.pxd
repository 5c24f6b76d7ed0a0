"""The cascade: a memory store over a slower one."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.coherence cimport Coherent
from door43fast.native.tickets cimport Ticket
from door43fast.native.tiers cimport Fetched

cdef class CascadeEngine(Coherent):
    cdef bint str_keys          # an exact str is its own key in the fast tier

    cdef object local(self, object key)
    cdef object read(self, object key)
    cdef object below_only(self, object key)
    cdef object miss(self, object key, object local)
    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1
    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1
    cdef bint fits(self, object local, object kept) except -1
    cdef int end(self, object local, Ticket* ticket) except -1
    cdef int64_t deadline(self, object ttl) except -2
    cdef int fill(self, list locals, list values, int64_t deadline, uint64_t epoch, uint64_t* held) except -1
    cdef object batch(self, list keys, list values, int64_t deadline, object call)

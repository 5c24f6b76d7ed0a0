"""Writes through a cascade: the slow tier first, then the fast one follows or lets go of the key."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.stack_batches cimport Gathering
from door43fast.native.tickets cimport Ticket

cdef class Publishing(Gathering):
    cdef bint around            # a write takes its key out of the fast tier, and puts nothing there
    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1
    cdef int end(self, object local, Ticket* ticket) except -1
    cdef int64_t deadline(self, object ttl) except -2
    cdef int fill(self, list locals, list values, int64_t deadline, uint64_t epoch, uint64_t* held) except -1
    cdef object batch(self, list keys, list values, int64_t deadline, object call)

"""One change of one record: applied with every remedy there is, and told of."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.core cimport Flight, Op, Reason
from door43fast.native.frame cimport Frame
from door43fast.native.lmdb_groups cimport GroupEngine
from door43fast.native.lmdb_records cimport Job, Verb


cdef class ChangeEngine(GroupEngine):
    # Set ``key`` with the meanings of set(): the ways in for layers above. deadline in ns of the store's clock, 0 for
    # none; tags is None or what ``tags_whole`` gives, or ``carried`` for PUT_SAME. True if it was set.
    cdef bint store(self, object key, object value, Verb verb, int64_t deadline, int64_t stale, bytes tags, bint pin,
                    bint durable, bytes token, Flight flight) except -1
    # Delete ``key``; True if it had a value.
    cdef bint remove(self, object key, Reason reason) except -1

    # Apply a job, with every remedy there is, and tell of it. False if its condition was unmet.
    cdef bint perform(self, Job* job, object key, object value, Op op, Reason reason) except -1
    cdef object _tags_of_one(self, object key)
    cdef int told(self, Job* job, object key, object value, Op op, Reason reason) except -1

# What a frame carries of tags: for ``draft_carry``, settled. Makes bytes only, so no Python code runs here.
cdef bytes carried(const Frame* frame)

"""What every native store is: open or closed, with events to tell and computations under way."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

cdef enum Op:
    OP_SET
    OP_DELETE
    OP_CLEAR

cdef enum Reason:
    BY_USER
    BY_EXPIRY
    BY_EVICTION
    BY_COHERENCE

cdef struct Record:
    PyObject* key       # owned; NULL while the place is only reserved, or was given up
    PyObject* value     # owned, may be NULL
    int64_t time        # Unix nanoseconds
    char op
    char reason
    char state          # RESERVED, FILLED or CANCELLED


cdef class Flight:
    """One computation of one key under way. ``voided`` is set by any set or delete of that key."""
    cdef public bint voided
    cdef public unsigned long owner
    cdef public object done
    cdef public object result
    cdef public object error
    cdef public object waiting_for


cdef class EventQueue:
    """Events in the order of the changes; see the class docstring in core.pyx for the rules."""
    cdef public str origin
    cdef bint active
    cdef tuple subscriptions
    cdef Record* records
    cdef size_t capacity
    cdef size_t head            # place of the record with number ``base``
    cdef size_t held            # records from base on that are reserved or filled
    cdef uint64_t base          # number of the next record to be delivered
    cdef uint64_t last          # number of the last record that was reserved
    cdef unsigned long drainer  # thread that delivers now, 0 for none
    cdef object idle

    # Take n consecutive numbers. Needs no GIL, but the lock that orders the changes. Returns the first.
    cdef uint64_t reserve(self, uint64_t n) noexcept nogil
    cdef int fill(self, uint64_t seq, Op op, Reason reason, object key, object value) except -1
    cdef int cancel(self, uint64_t seq, uint64_t n) except -1
    cdef int push(self, Op op, Reason reason, PyObject* key, PyObject* value) except -1
    cdef int _place(self, uint64_t seq) except -1
    cpdef drain(self)


cdef class Core:
    cdef object __weakref__
    cdef dict flights
    cdef EventQueue events      # None until the first subscription
    cdef bint closed

    cdef int void_flight(self, object key) except -1
    cdef int void_flights(self) except -1

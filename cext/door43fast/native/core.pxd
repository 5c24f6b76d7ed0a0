"""What every native store is: open or closed, with events to tell and computations under way."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.labels cimport Labels

cdef extern from "d43_section.h" nogil:
    const bint FREE "D43_FREE"      # there is no GIL; a constant
    void spin_lock "d43_spin_lock"(uint32_t* lock) noexcept
    void spin_unlock "d43_spin_unlock"(uint32_t* lock) noexcept
    bint flag_now "D43_NOW"(bint flag) noexcept
    void flag_put "D43_PUT"(bint flag, bint value) noexcept
    void d43_section_free(PyObject* o) noexcept

cdef enum Op:
    OP_SET
    OP_DELETE
    OP_CLEAR
    OP_INVALIDATE       # told to those who subscribed to tags

cdef enum Reason:
    BY_USER
    BY_EXPIRY
    BY_EVICTION
    BY_COHERENCE

cdef struct Record:
    PyObject* key       # owned; NULL while the place is only reserved, or was given up
    PyObject* value     # owned, may be NULL
    Labels* labels      # owned; NULL for none
    int64_t time        # Unix nanoseconds
    char op
    char reason
    char state          # RESERVED, FILLED or CANCELLED



cdef class Flight:
    """One computation of one key under way. ``voided`` is set by any set or delete of that key."""
    cdef bint voided
    cdef public unsigned long owner


cdef class EventQueue:
    """Events in the order of the changes; see the class docstring in core.pyx for the rules."""
    cdef readonly str origin
    cdef bint active
    cdef bint by_tag            # some subscription is by tag
    cdef object spelling        # what a tag is called where entries are kept; None for as it is
    cdef tuple subscriptions    # guarded by the critical section of the queue
    cdef uint32_t lock          # guards all below
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
    # Takes ``labels``, NULL for none, whatever comes of it; so does push.
    cdef int fill(self, uint64_t seq, Op op, Reason reason, object key, object value, Labels* labels) except -1
    # Give up those of n numbers from ``seq`` on that are not filled.
    cdef int cancel(self, uint64_t seq, uint64_t n) except -1
    cdef int push(self, Op op, Reason reason, PyObject* key, PyObject* value, Labels* labels) except -1
    cdef int listen(self, tuple subscriptions) except -1
    cdef bint place(self, uint64_t seq) noexcept
    cdef bint passed(self, uint64_t seq) noexcept
    cdef bint next(self, Record* r, uint64_t* seq) noexcept
    cpdef drain(self)

    # Whether anybody listens.
    cdef inline bint heard(self) noexcept nogil:
        return flag_now(self.active)

    # Whether anybody listens by tag: then ``labels`` are asked for.
    cdef inline bint labelled(self) noexcept nogil:
        return flag_now(self.by_tag)


# An heir of which there are instances declares ``__weakref__``: so what refers to a store weakly lets go of it before
# the first ``__dealloc__`` runs, and not after the last one.
cdef class Core:
    cdef dict flights
    cdef EventQueue events      # None until the first subscription
    cdef bint closed
    cdef uint64_t stales        # values that were served past their time, in their stale window
    cdef void* gauges           # owned; what is measured of this store (meter.pyx), NULL for nothing

    cdef object spelling(self)      # what tells what a tag is called here
    cdef int void_flight(self, object key) except -1
    cdef int void_flights(self) except -1

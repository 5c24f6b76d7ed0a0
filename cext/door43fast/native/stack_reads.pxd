"""Reads of one key through a cascade: what the fast tier lacks is fetched from the slow one, and goes up."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.coherence cimport Coherent
from door43fast.native.sketch cimport Sketch
from door43fast.native.tickets cimport Ticket
from door43fast.native.tiers cimport Fetched
from door43fast.native.writes cimport Write

cdef enum Promotion:
    ALWAYS
    SECOND
    NEVER_UP

cdef class Promoting(Coherent):
    cdef Promotion promotion
    cdef Sketch door            # under SECOND: keys that were fetched once of late
    cdef int64_t negative       # nanoseconds that a key is known to be missing, 0 for never
    cdef int64_t stale          # nanoseconds past its time that a value is given while it is renewed,
    cdef int64_t on_error       # and where the slow tier fails
    cdef uint64_t window        # the longer of both, in ticks of the fast tier

    cdef object local(self, object key)
    cdef object read(self, object key)
    # The same; with ``tell``, ``fetched`` is told all that is known of the value.
    cdef object look(self, object key, Fetched* fetched, bint tell)
    # What the fast tier holds, as a caller gets it; MISSING for what is known to be missing.
    cdef object opened(self, object kept)
    cdef object miss(self, object key, object local, Fetched* fetched)
    cdef object fetch(self, object key, object local, Fetched* fetched, bint held)
    cdef object give(self, object kept, int64_t age, Fetched* fetched)
    cdef object rescue(self, object local, Fetched* fetched)
    cdef bint excused(self, error) except -1
    # Whether the fast tier holds nothing that others have changed; False: it cannot be told, stale values may be given.
    cdef bint renewed(self) except -1
    cdef object doubtful(self, object key, object local, Fetched* fetched)
    cdef int refresh(self, object key, object local) except -1
    # What comes of a fetch for the fast tier. ``held``: it holds a value past its time under that key. The ticket is
    # looked at last, and no Python code runs between that and the change.
    cdef int settle_fetch(self, object local, object value, Fetched* fetched, Ticket* ticket, bint held) except -1
    cdef bint admits(self, object local) except -1
    cdef int promote(self, object local, object kept, int64_t deadline, Ticket* ticket) except -1
    # Let a prepared write be kept beyond its time in the fast tier, but not beyond its ``deadline``.
    cdef int stretch(self, Write* w, int64_t deadline) except -1
    # Whether the fast tier could hold a prepared write at all.
    cdef bint fits(self, Write* w) noexcept

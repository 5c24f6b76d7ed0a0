"""The slow tier of a cascade, as the cascade sees it: a few C methods over a native or a Python store."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.lmdb cimport LmdbEngine
from door43fast.native.watches cimport Watches

cdef struct Fetched:        # what is known of a value beside the value
    int64_t left            # nanoseconds that it has to live, -1 for no end
    bint keep               # it may be kept in a faster tier
    bint asked              # the slow tier was asked
    bint stale              # it is a value past its time in a tier above
    int64_t age             # and since when: nanoseconds

cdef class Tier:
    cdef readonly object store
    cdef LmdbEngine engine      # the only store below that others may change, if that is a native one; else None
    cdef bint follows           # its journal tells of keys as the faster tier has them
    cdef Watches watches        # what others may change, as far as it can be told without Python,
    cdef list watched           # and who that is,
    cdef list telling           # and the ``_epoch`` of those that must be asked in Python
    cdef uint64_t told          # the sum of their last answers
    cdef uint64_t failed        # how often they could not be told
    cdef object with_deadlines  # of the store, or None: for a list of keys, values and the seconds they have left
    cdef bint lasting           # ``fetch_many`` knows how long each value lasts
    cdef object codec
    cdef bint share             # mutable values are kept as they are
    cdef bint publishes         # what was set is, for immutable values, what would be read back
    cdef bint packs             # the store packs values faster than they could be packed out of a faster tier
    cdef int64_t default_ttl    # nanoseconds, -1 for none; known only where ``publishes``
    cdef bint knows_tags        # ``fetch`` says of values with tags that they are not to be kept

    cdef int watch(self, object store) except -1
    # Let all stores below that make room, or hear which keys others change, know of ``cascade``, a weak reference.
    cdef int stand_below(self, object store, object cascade) except -1
    # The key under which a faster tier keeps what is under ``key``; None if it must not keep it.
    cdef object canonical(self, object key)
    # The value, MISSING if there is none. The store counts it.
    cdef object fetch(self, object key, Fetched* fetched)
    cdef list fetch_many(self, list keys, Fetched* fetched)
    cdef int each_one(self, list given, list keys) except -1
    # A number that changes when others have changed the store behind our back.
    cdef uint64_t epoch(self) noexcept
    # Whether it can tell what others change from now on; then ``last`` is the number of the last change.
    cdef bint follow(self, uint64_t* last) except -1
    # Append what others have changed after change ``since``: keys of the faster tier, and tags. ``last`` is then the
    # last change. False if it cannot be told, or if it is more than ``limit`` changes.
    cdef bint changes(self, uint64_t since, Py_ssize_t limit, list locals, list tags, uint64_t* last) except -1
    # What a faster tier keeps for a value of ours, MISSING if it must not; and back.
    cdef object wrap(self, object value)
    cdef object unwrap(self, object kept)

cdef bint immutable(object value) noexcept

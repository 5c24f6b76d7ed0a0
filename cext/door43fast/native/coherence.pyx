"""What a cascade keeps true while others write to its slow tier: the fast one never holds what they have changed.

The epoch of the slow tier says that somebody has written; where the slow tier keeps a journal, that says what.
"""

import weakref

from cpython.object cimport PyObject_Hash
from libc.stdlib cimport calloc, free

from door43fast.native.hashing cimport mix
from door43fast.native.singles cimport MISSING
from door43fast.native.tickets cimport STRIPES
from door43fast.native.watches cimport Watches, watch_nothing

cdef enum:
    FEW = 1024              # changes of others up to which the fast tier loses single keys, however small it is,
    MANY = 65536            # and beyond which it is emptied, however large


cdef class Coherent(Below):
    """Two tiers and what is known of their agreement."""

    def __cinit__(self, *_, **__):
        self.tickets = <Tickets*>calloc(1, sizeof(Tickets))
        if self.tickets == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.tickets)

    cdef int cohere(self) except -1:
        """Decide how it is told that others have written, and note that all is well now."""
        cdef const Watches* row = &self.tier.watches
        if not self.tier.telling and self.tier.canonical("a") == "a":
            if row.count == 0:
                watch_nothing(&self.first)
            else:
                self.first = row.watch[0]
                self.rest = row.watch + 1
                self.more = row.count - 1
        self.following = self.tier.follow(&self.followed)
        self.seen = self.tier.epoch()
        self.tier.stand_below(self.slow, weakref.ref(self))
        return 0

    def _watched(self):
        """What a tier above looks at to know whether others have written: the stores below."""
        return (self.slow,)

    cdef int renew(self) except -1:
        """If others have written to the slow tier, take out of the fast one what they changed, or all.

        The epoch is looked at first and noted last: whoever reads meanwhile finds it changed too, and does the same.
        """
        cdef uint64_t epoch = self.tier.epoch(), last = 0
        cdef list locals = [], tags = []
        cdef Py_ssize_t limit
        if epoch == self.seen:
            return 0
        limit = min(max(FEW, len(self.fast)), MANY)
        if self.following and self.tier.changes(self.followed, limit, locals, tags, &last):
            self.drop(locals, tags)
        else:
            self.following = self.tier.follow(&last)
            self.emptied += 1
            self.forget(True)
        self.followed = max(self.followed, last)
        self.seen = max(self.seen, epoch)
        return 0

    cdef int drop(self, list locals, list tags) except -1:
        """Take keys and tags out of the fast tier, and void the tickets of all that is under way with them."""
        for tag in tags:
            self.tickets.epoch += 1
            self.fast.invalidate(tag)
        for local in locals:
            self.tickets.stripe[mix(PyObject_Hash(local)) % STRIPES] += 1
            self.fast.discard(local)
        self.dropped += len(locals)
        return 0

    def _holds(self, list locals):
        """For each key of the fast tier whether it is there: the slow tier asks before it evicts."""
        return [not self.fast.closed and self.fast.peek(local) is not MISSING for local in locals]

    def _evicted(self, list locals):
        """The slow tier has evicted these keys: whoever deletes one elsewhere now writes nothing that would tell us."""
        if self.fast.closed:
            return
        if self.tier.canonical("a") == "a" and any([type(local) is not str for local in locals]):
            self.forget(True)       # keys of a store further below that are not written as ours are
        else:
            self.drop(locals, [])

    cdef object fetch_for(self, object key, Fetched* fetched):
        raise NotImplementedError

    cdef list fetch_many_for(self, list keys, Fetched* fetched):
        raise NotImplementedError

    cdef int forget(self, bint all) except -1:
        """Void all tickets, and take everything out of the fast tier if ``all``."""
        self.tickets.epoch += 1
        if all:
            self.fast.empty()
            self.fast.settle()
        return 0

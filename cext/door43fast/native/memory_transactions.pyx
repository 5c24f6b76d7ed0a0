"""What transactions and computations ask of the memory engine; called by ``door43fast.surface`` and what it imports."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.batches cimport Batches
from door43fast.native.core cimport FREE, Flight, flag_now
from door43fast.native.singles cimport MISSING
from door43fast.native.labels cimport Labels, labels_free, labels_tuple
from door43fast.native.slab cimport EXTRAS, Extra, slab_entry, slab_extra, slab_flags
from door43fast.native.table cimport STALE
from door43fast.native.writes cimport Claim, Write

from door43fast.errors import ConflictError


cdef class MemoryTransactions(Batches):

    def _lookup(self, key):
        """``(state, value)``: 0 missing, 1 fresh, 2 past its time but within its stale window."""
        if FREE:
            found = self.get_freely(key, MISSING)
            if found is not MISSING:
                return 1, found
        else:
            found = <object>self.hit(<PyObject*>key, <PyObject*>MISSING)     # before a tuple is made: that may collect
            if found is not MISSING:
                return 1, found
        with cython.critical_section(self):
            return self.past(key)

    cdef tuple past(self, object key):
        cdef uint32_t hash, ref
        cdef Extra* x
        ref = self.find(key, &hash) if self.special else 0
        # Again: the search may have run code that emptied the table, and then there are no flags.
        if ref and self.special and slab_flags(&self.slab, ref)[0] & STALE:
            x = slab_extra(&self.slab, ref)[0]
            if x.until > self.tick() and not self.tags.stale(x):
                value = <object>slab_entry(&self.slab, ref).value
                return 2, value
        return 0, None

    def _publish(self, Flight flight not None, key, value, ttl, stale):
        """Store what a computation gave, unless the key was set or deleted meanwhile. Returns whether it did."""
        cdef Write w
        cdef uint32_t hash, ref
        with cython.critical_section(self):
            self.prepare(&w, key, value, ttl, (), False, stale)
            try:
                self.refuse(key)
                ref = self.find(key, &hash)
            except BaseException:
                self.abandon(&w)
                raise
            if flag_now(flight.voided) or w.gone or self.voiding:
                self.abandon(&w)
                return False
            self.put(key, hash, ref, value, &w)
        self.settle()
        return True

    def _read(self, key):
        """``(token, value)``; here both are the object itself, so a token holds while its value does."""
        with cython.critical_section(self):
            value = self.peek(key)
        return value, value

    def _tags_of(self, keys):
        """For each of ``keys`` the tags that its entry carries."""
        cdef list found = [], wanted = list(keys)
        self.need_open()
        for key in wanted:
            with cython.critical_section(self):
                found.append(self.carried(key))
        return found

    cdef tuple carried(self, object key):
        cdef uint32_t hash, ref = self.find(key, &hash)
        cdef Extra* x
        cdef Labels* labels
        if not ref or not self.live(slab_entry(&self.slab, ref), ref) or not self.slab.on[EXTRAS]:
            return ()
        x = slab_extra(&self.slab, ref)[0]
        if x == NULL or not x.tags:
            return ()
        labels = self.tags.labels(x, NULL)      # first: a tuple's making may collect garbage, and change the table
        if labels == NULL:
            raise MemoryError("no memory for the tags of an entry")
        try:
            return labels_tuple(labels)
        finally:
            labels_free(labels)

    def _snapshot(self):
        return MemorySnapshot(self)

    def _commit(self, dict reads, dict writes, ranges=()):
        """Check that what was read is unchanged, then carry out all writes; ConflictError, and nothing, if not."""
        with cython.critical_section(self):
            self.commit_in(reads, writes, ranges)
        self.settle()

    cdef int commit_in(self, dict reads, dict writes, object ranges) except -1:
        cdef uint64_t version
        cdef Write w
        cdef list keys = [key for key, write in writes.items() if write is not None]
        cdef bint pins = False
        for key in keys:
            value, ttl, tags, pin = writes[key]
            pins = pins or bool(pin)
            self.refuse(key)
            self.prepare(&w, key, value, ttl, tags, pin, None)
            self.abandon(&w)
            self.grant(key, w.weight, 0, False)
        while True:
            version = self.version
            if pins or self.crowding():
                self.claim_all(writes)
            for key, token in reads.items():
                if self.peek(key) is not token:
                    raise ConflictError(f"key {key!r} was changed since the transaction read it: run it again")
            for prefix, start, stop, pairs in ranges:
                now = self.pairs(prefix, start, stop)
                if len(now) != len(pairs) or any(
                        a[0] != b[0] or a[1] is not b[1] for a, b in zip(now, pairs)):
                    raise ConflictError(f"keys under {prefix!r} were changed since the transaction scanned them: "
                                        "run it again")
            if version == self.version:
                break
        for key, write in writes.items():
            if write is None:
                self.discard_in(key)
            else:
                value, ttl, tags, pin = write
                self.prepare(&w, key, value, ttl, tags, pin, None)
                self.write_in(key, value, &w)
        return 0

    cdef int claim_all(self, dict writes) except -1:
        """Raise if the budgets cannot hold all of the writes, one after another."""
        cdef Claim c
        cdef Write w
        c = self.claims()
        for key, write in writes.items():
            if write is None:
                self.claim(&c, key, NULL)
            else:
                value, ttl, tags, pin = write
                self.prepare(&w, key, value, ttl, tags, pin, None)
                self.abandon(&w)
                self.claim(&c, key, &w)
        return 0

    cdef list pairs(self, object prefix, object start, object stop):
        """What a scan gives, at one instant."""
        cdef list found = []
        keys, low, high = self.within(self.ordered(), prefix, start, stop)
        for key in keys[low:high]:
            value = self.peek(key)
            if value is not MISSING:
                found.append((key, value))
        return found


cdef class MemorySnapshot:
    """What a transaction on a memory store reads through; it is checked at commit, so it need not hold anything."""
    cdef MemoryTransactions store

    def __cinit__(self, MemoryTransactions store not None):
        self.store = store

    def read(self, key):
        return self.store._read(key)

    def scan(self, prefix="", start=None, stop=None, reverse=False):
        return iter([(key, value, value)
                     for key, value in self.store.scan(prefix, start=start, stop=stop, reverse=reverse)])

    def close(self):
        """Nothing is held."""

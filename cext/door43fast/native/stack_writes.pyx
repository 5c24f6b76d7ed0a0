"""Writes through a cascade: the slow tier first, then the fast one follows or lets go of the key."""

from collections.abc import Mapping

from cpython.object cimport PyObject_Hash
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from door43fast.native.clock cimport span_ns
from door43fast.native.hashing cimport mix
from door43fast.native.tickets cimport STRIPES, ticket_begin, ticket_end, tickets_begin, tickets_end
from door43fast.native.tiers cimport immutable
from door43fast.native.writes cimport Write


cdef class Publishing(Gathering):

    cdef int64_t deadline(self, object ttl) except -2:
        """When a write of now expires, on the fast tier's clock; -1 for never."""
        cdef int64_t span = self.tier.default_ttl if ttl is None else span_ns(ttl, "ttl")
        return -1 if span < 0 else self.fast.clock.now() + span

    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1:
        """End a write that the slow tier has taken: the fast tier gets the value, or loses the key."""
        cdef Write w
        try:
            if self.around or not self.tier.publishes or not immutable(value) or self.fast.closed:
                return self.end(local, ticket)
            self.fast.prepare_until(&w, local, value, tags, pin, deadline)
            if not ticket_end(self.tickets, ticket) or not self.fits(&w) or 0 <= deadline <= self.fast.clock.now():
                self.fast.abandon(&w)
                self.fast.discard(local)
                return 0
            if self.window:
                self.stretch(&w, deadline)
            return self.fast.write(local, value, &w)    # finds and puts without running Python code in between
        except BaseException:
            self.end(local, ticket)     # raising a stripe once too often is always safe
            raise

    cdef int end(self, object local, Ticket* ticket) except -1:
        """End a write without publishing it."""
        ticket_end(self.tickets, ticket)
        if not self.fast.closed:
            self.fast.discard(local)
        return 0

    def set(self, key, value, *, ttl=None, tags=(), pin=False, durable=False):
        """Store ``value`` under ``key`` in the slow tier, then in the fast one."""
        cdef Ticket ticket
        cdef int64_t deadline
        local = self.local(key)
        if local is None:
            return self.slow.set(key, value, ttl=ttl, tags=tags, pin=pin, durable=durable)
        deadline = self.deadline(ttl)
        tags = tags if isinstance(tags, str) else tuple(tags)
        ticket = ticket_begin(self.tickets, mix(PyObject_Hash(local)) % STRIPES)
        try:
            self.slow.set(key, value, ttl=ttl, tags=tags, pin=pin, durable=durable)
        except BaseException:
            self.end(local, &ticket)    # it is not known what the slow tier holds now
            raise
        self.publish(local, value, deadline, tags, pin, &ticket)

    def __setitem__(self, key, value):
        self.set(key, value)

    def _through(self, key, call, *arguments):
        """Carry out one write of ``key`` on the slow tier; the fast one lets go of the key."""
        cdef Ticket ticket
        local = self.local(key)
        if local is None:
            return call(key, *arguments)
        ticket = ticket_begin(self.tickets, mix(PyObject_Hash(local)) % STRIPES)
        try:
            return call(key, *arguments)
        finally:
            self.end(local, &ticket)

    def delete(self, key):
        """Take ``key`` out of both tiers. Returns whether it was there."""
        return self._through(key, self.slow.delete)

    def __delitem__(self, key):
        if not self._through(key, self.slow.delete):
            raise KeyError(key)

    def pop(self, key, *default):
        """Take ``key`` out and return its value, or ``default``; without one a missing key is a KeyError."""
        return self._through(key, self.slow.pop, *default)

    def touch(self, key, ttl):
        """Give ``key`` a new time to live from now; None for none. Returns whether it was there."""
        return self._through(key, self.slow.touch, ttl)

    def replace(self, key, expected, value):
        """Store ``value`` only if ``key`` holds what equals ``expected``. Returns whether it was stored."""
        return self._through(key, self.slow.replace, expected, value)

    def incr(self, key, by=1):
        """Add ``by`` to the integer under ``key``, 0 where there is none. Returns the sum; keeps the expiry."""
        return self._through(key, self.slow.incr, by)

    def add(self, key, value, *, ttl=None):
        """Store ``value`` only if ``key`` is not there. Returns whether it was stored."""
        return self._through(key, lambda key: self.slow.add(key, value, ttl=ttl))

    def _publish(self, flight, key, value, ttl, stale):
        return self._through(key, lambda key: self.slow._publish(flight, key, value, ttl, stale))

    def _stream_publish(self, key, *arguments):
        return self._through(key, self.slow._stream_publish, *arguments)

    cdef int fill(self, list locals, list values, int64_t deadline, uint64_t epoch, uint64_t* held) except -1:
        """Publish what a batch has written, where its tickets still hold; take the other keys out."""
        cdef Write w
        cdef Py_ssize_t i
        cdef size_t place
        for i in range(len(locals)):
            local = locals[i]
            if local is None or self.fast.closed:
                continue
            place = mix(PyObject_Hash(local)) % STRIPES
            if held[place] and immutable(values[i]):
                self.fast.prepare_until(&w, local, values[i], (), False, deadline)
                if (self.tickets.epoch == epoch and self.tickets.stripe[place] == held[place] and self.fits(&w)
                        and not 0 <= deadline <= self.fast.clock.now()):
                    if self.window:
                        self.stretch(&w, deadline)
                    self.fast.write(local, values[i], &w)
                    continue
                self.fast.abandon(&w)
            self.fast.discard(local)
        return 0

    cdef object batch(self, list keys, list values, int64_t deadline, object call):
        """Carry out a write of many keys; the fast tier gets ``values`` where they may go up, or loses the keys."""
        cdef list locals = [self.local(key) for key in keys]
        cdef uint64_t epoch = self.tickets.epoch
        cdef uint64_t* held = <uint64_t*>calloc(STRIPES, sizeof(uint64_t))
        cdef bint done = False
        if held == NULL:
            raise MemoryError()
        self.tickets.wide += 1
        self.tickets.moves += 1
        try:
            for local in locals:
                if local is not None:
                    tickets_begin(self.tickets, held, mix(PyObject_Hash(local)) % STRIPES)
            try:
                result = call()
                done = True
            finally:
                tickets_end(self.tickets, held, done and values is not None and self.tier.publishes and not self.around)
                self.tickets.filling += 1
                try:
                    self.fill(locals, values, deadline, epoch, held)
                except BaseException:       # of a weigher, for example: what it did not reach must not stay
                    memset(held, 0, STRIPES * sizeof(uint64_t))
                    self.fill(locals, values, deadline, epoch, held)
                    raise
                finally:
                    self.tickets.filling -= 1
            return result
        finally:
            self.tickets.wide -= 1
            self.tickets.moves += 1
            free(held)

    def set_many(self, items, *, ttl=None):
        """Store every pair of a mapping or an iterable of pairs: all or nothing in the slow tier."""
        cdef list pairs = list(items.items()) if isinstance(items, Mapping) or hasattr(items, "items") else list(items)
        self.below()
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"set_many takes a mapping or pairs (key, value), not {pair!r}")
        self.batch([pair[0] for pair in pairs], [pair[1] for pair in pairs], self.deadline(ttl),
                   lambda: self.slow.set_many(pairs, ttl=ttl))

    def delete_many(self, keys):
        """Take ``keys`` out of both tiers. Returns how many were there."""
        cdef list wanted = list(keys)
        return self.batch(wanted, None, -1, lambda: self.slow.delete_many(wanted))

    def set_packed(self, keys, data, offsets):
        """Store the bytes ``data[offsets[i]:offsets[i+1]]`` under ``keys[i]``."""
        cdef list wanted = list(keys)
        # An array of keys goes down as it is: the slow tier reads it without making objects.
        self.batch(wanted, None, -1, lambda: self.slow.set_packed(
            keys if hasattr(keys, "__len__") else wanted, data, offsets))

    def _commit(self, dict reads, dict writes, ranges=()):
        self.batch(list(writes), None, -1, lambda: self.slow._commit(reads, writes, ranges))

    def invalidate(self, tag):
        """Make every entry that carries ``tag`` missing, at once."""
        self._all(lambda: self.slow.invalidate(tag), not self.tier.knows_tags)
        if self.tier.knows_tags:
            self.fast.invalidate(tag)

    def clear(self, prefix=""):
        """Take out everything, or what is under ``prefix``, from both tiers."""
        self._all(lambda: self.slow.clear(prefix), True)

    def _all(self, call, bint empty):
        """Carry out a change that may concern any key."""
        self.below()
        self.forget(False)
        self.tickets.wide += 1
        try:
            return call()
        finally:
            self.tickets.wide -= 1
            self.forget(empty and not self.fast.closed)

    def expire(self):
        """Take out everything that is past its time. Returns how many there were in the slow tier."""
        self.below()
        self.fast.expire()
        return self.slow.expire()

"""The cascade: a memory store over a slower one.

Reads go to the fast tier first; a hit there runs no Python code. What it lacks is read from the slow tier and
promoted. Writes and deletes go to the slow tier first, then the fast one follows. What may go up, and when, is
ruled by tickets (``tickets.pxd``), so that nothing that was overwritten or deleted comes back, and by the slow
tier's epoch: when another process has written there, what it changed leaves the fast tier before that is read; all of
it, where the slow tier keeps no journal that tells.
"""

import weakref
from collections.abc import Mapping

from cpython.object cimport PyObject, PyObject_Hash, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from door43fast.native.clock cimport span_ns
from door43fast.native.hashing cimport mix
from door43fast.native.memory cimport MemoryEngine
from door43fast.native.meter cimport fetch_begin, fetch_end
from door43fast.native.methods cimport PyMethodDef, method_put
from door43fast.native.singles cimport MISSING, get_arguments
from door43fast.native.encoded cimport Encoded
from door43fast.native.tickets cimport (
    STRIPES, ticket_begin, ticket_end, ticket_good, ticket_take, tickets_begin, tickets_end)
from door43fast.native.tiers cimport LmdbTier, TellingTier, immutable, tier_over
from door43fast.native.writes cimport Write

from door43fast.errors import ClosedError, ConfigError, UnsupportedError


cdef class CascadeEngine(Coherent):
    """A memory store over a slower one, with the methods of a store."""

    def __init__(self, fast, slow, *, bint share=False):
        if not isinstance(fast, MemoryEngine):
            raise ConfigError(f"the fast layer of a cascade is a MemoryStore, not {type(fast).__name__}")
        if fast is slow:
            raise ConfigError("the two layers of a cascade must be two stores")
        if getattr(slow, "asynchronous", False):
            raise UnsupportedError(f"{type(slow).__name__} is only for event loops, and a memory tier calls the layer "
                                   "below without awaiting it: use the store by itself, by store.aio")
        self.fast = fast
        self.slow = slow
        self.tier = tier_over(slow, share)
        self.disk = self.tier.engine
        # A store in Python that tells of others' writes is asked before each read, which renew() does.
        self.plain = self.tier.canonical("a") == "a" and not isinstance(self.tier, TellingTier)
        self.following = self.tier.follow(&self.followed)
        self.seen = self.tier.epoch()
        if isinstance(self.tier, LmdbTier):
            slow._stand_below(weakref.ref(self))

    # -- reading ---------------------------------------------------------------------------------------------

    cdef object local(self, object key):
        """The key in the fast tier, None where the slow tier alone must answer."""
        if self.closed or self.tier is None:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.tier.canonical(key)

    cdef object read(self, object key):
        """The value under ``key``, MISSING where there is none."""
        cdef object local = key
        cdef PyObject* held
        if not self.quiet(<PyObject*>key):
            local = self.local(key)
            if local is None:
                return self.below_only(key)
            self.renew()
        held = self.fast.hit(<PyObject*>local, <PyObject*>MISSING)
        if held == <PyObject*>MISSING:
            return self.miss(key, local)
        return self.tier.unwrap(<object>held)

    cdef PyObject* get_slowly(self, PyObject** args, Py_ssize_t n, PyObject* names, PyObject* held) except NULL:
        """``get`` for which the key must be seen to first or, with ``held``, what the fast tier gave for it."""
        key, default = get_arguments(args, n, names)
        if held == NULL:
            value = self.read(key)
        elif held == <PyObject*>MISSING:
            value = self.miss(key, key)
        else:
            value = self.tier.unwrap(<object>held)
        if value is MISSING:
            value = default
        Py_INCREF(value)
        return <PyObject*>value

    cdef object below_only(self, object key):
        return self.slow.get(key, MISSING)

    cdef object miss(self, object key, object local):
        cdef Fetched fetched
        cdef Ticket ticket = ticket_take(self.tickets, mix(PyObject_Hash(local)) % STRIPES)
        cdef int64_t begun = fetch_begin(self.gauges)
        value = self.tier.fetch(key, &fetched)
        fetch_end(self.gauges, begun)
        if value is not MISSING and fetched.keep:
            self.promote(local, value, &fetched, &ticket)
        return value

    cdef int promote(self, object local, object value, Fetched* fetched, Ticket* ticket) except -1:
        """Put what the slow tier gave into the fast one, if the ticket is still good."""
        cdef Write w
        kept = self.tier.wrap(value)
        if kept is MISSING or fetched.left == 0 or self.fast.closed or not self.fits(local, kept):
            return 0
        self.fast.prepare_until(&w, local, kept, (), False,
                                -1 if fetched.left < 0 else self.fast.clock.now() + fetched.left)
        if not ticket_good(self.tickets, ticket):
            self.fast.abandon(&w)
            return 0
        return self.fast.write(local, kept, &w)     # finds and puts without running Python code in between

    cdef bint fits(self, object local, object kept) except -1:
        """Whether the fast tier could hold the value at all; what is too large stays in the slow tier alone."""
        cdef Write w
        if not self.fast.max_bytes and not self.fast.pinned:
            return True
        self.fast.prepare(&w, local, kept, None, (), False, None)
        self.fast.abandon(&w)
        return (not self.fast.max_bytes or self.fast.pinned_bytes + w.weight <= self.fast.max_bytes) and (
            not self.fast.max_entries or self.fast.pinned < self.fast.max_entries)

    def _lookup(self, key):
        value = self.read(key)
        if value is not MISSING:
            return 1, value
        self.asked_twice += 1
        return self.below()._lookup(key)

    def __getitem__(self, key):
        value = self.read(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key):
        local = self.local(key)
        if local is not None:
            self.renew()
            if self.fast.peek(local) is not MISSING:
                return True
        return key in self.slow

    def get_many(self, keys, default=None):
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        cdef list wanted = keys if type(keys) is list else list(keys)
        cdef list locals = [self.local(key) for key in wanted]
        cdef list values, missing
        cdef Py_ssize_t i, j
        cdef Ticket* tickets
        cdef Fetched* fetched
        self.below()
        self.renew()
        if None in locals:
            return self.slow.get_many(wanted, default)
        values = self.fast.get_many(locals, MISSING)
        missing = [i for i in range(len(values)) if values[i] is MISSING]
        if missing:
            tickets = <Ticket*>calloc(len(missing), sizeof(Ticket))
            fetched = <Fetched*>calloc(len(missing), sizeof(Fetched))
            try:
                if tickets == NULL or fetched == NULL:
                    raise MemoryError()
                for j in range(len(missing)):
                    tickets[j] = ticket_take(self.tickets, mix(PyObject_Hash(locals[missing[j]])) % STRIPES)
                found = self.tier.fetch_many([wanted[i] for i in missing], fetched)
                for j in range(len(missing)):
                    value = found[j]
                    if value is MISSING:
                        value = default
                    elif fetched[j].keep:
                        self.promote(locals[missing[j]], value, &fetched[j], &tickets[j])
                    values[missing[j]] = value
            finally:
                free(tickets)
                free(fetched)
        for i in range(len(values)):
            if type(values[i]) is Encoded:
                values[i] = self.tier.unwrap(values[i])
        return values

    def contains_many(self, keys):
        """For each of ``keys`` whether it is there, as a list of bool."""
        self.below()
        return self.slow.contains_many(keys)

    # -- writing ---------------------------------------------------------------------------------------------

    cdef int64_t deadline(self, object ttl) except -2:
        """When a write of now expires, on the fast tier's clock; -1 for never."""
        cdef int64_t span = self.tier.default_ttl if ttl is None else span_ns(ttl, "ttl")
        return -1 if span < 0 else self.fast.clock.now() + span

    cdef int publish(self, object local, object value, int64_t deadline, object tags, bint pin,
                     Ticket* ticket) except -1:
        """End a write that the slow tier has taken: the fast tier gets the value, or loses the key."""
        cdef Write w
        try:
            if not self.tier.publishes or not immutable(value) or not self.fits(local, value):
                return self.end(local, ticket)
            self.fast.prepare_until(&w, local, value, tags, pin, deadline)
            if not ticket_end(self.tickets, ticket) or 0 <= deadline <= self.fast.clock.now():
                self.fast.abandon(&w)
                self.fast.discard(local)
                return 0
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
            if held[place] and immutable(values[i]) and self.fits(local, values[i]):
                self.fast.prepare_until(&w, local, values[i], (), False, deadline)
                if (self.tickets.epoch == epoch and self.tickets.stripe[place] == held[place]
                        and not 0 <= deadline <= self.fast.clock.now()):
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
        try:
            for local in locals:
                if local is not None:
                    tickets_begin(self.tickets, held, mix(PyObject_Hash(local)) % STRIPES)
            try:
                result = call()
                done = True
            finally:
                tickets_end(self.tickets, held, done and values is not None and self.tier.publishes)
                try:
                    self.fill(locals, values, deadline, epoch, held)
                except BaseException:       # of a weigher, for example: what it did not reach must not stay
                    memset(held, 0, STRIPES * sizeof(uint64_t))
                    self.fill(locals, values, deadline, epoch, held)
                    raise
            return result
        finally:
            free(held)

    def set_many(self, items, *, ttl=None):
        """Store every pair of a mapping or an iterable of pairs: all or nothing in the slow tier."""
        cdef list pairs = list(items.items()) if isinstance(items, Mapping) or hasattr(items, "items") else list(items)
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
        try:
            return call()
        finally:
            self.forget(empty and not self.fast.closed)

    def expire(self):
        """Take out everything that is past its time. Returns how many there were in the slow tier."""
        self.below()
        self.fast.expire()
        return self.slow.expire()


# hot
cdef PyObject* get_plainly(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL:
    cdef PyObject* held
    if names != NULL or n < 1 or n > 2 or not (<CascadeEngine>self).quiet(args[0]):
        return (<CascadeEngine>self).get_slowly(args, n, names, NULL)
    held = (<CascadeEngine>self).fast.hit(args[0], <PyObject*>MISSING)
    if held == <PyObject*>MISSING or held.ob_type == <PyTypeObject*>Encoded:
        return (<CascadeEngine>self).get_slowly(args, n, names, held)
    Py_INCREF(<object>held)
    return held


cdef PyMethodDef GET
method_put(<PyTypeObject*>CascadeEngine, &GET, b"get", get_plainly,
           b"get($self, /, key, default=None)\n--\n\nThe value under ``key``, or ``default``.")

"""The single-key methods of the memory engine.

Meanings are those of the contract in ``door43fast.contracts.Store``. Values are references: what was set is the
very object that comes back. See ``table.pyx`` for the rule by which all of it survives re-entry.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.clock cimport span_ns
from door43fast.native.core cimport BY_EXPIRY, BY_USER, FREE
from door43fast.native.meter cimport GET, Gauge, Gauges, counted, hottest, hottest_counted
from door43fast.native.methods cimport PyMethodDef, method_put
from door43fast.native.policy cimport policy_hit
from door43fast.native.readers cimport Readers
from door43fast.native.slab cimport Entry, slab_entry, slab_flags
from door43fast.native.table cimport (
    ABSOLUTE, ASK, PINNED, RECORDING, PyUnicode_CheckExact, d43_str_fault, d43_str_hash)
from door43fast.native.writes cimport Write
from door43fast.native.wheel cimport NEVER, TICK_BITS

from door43fast import contracts

cdef enum:
    REAP = 16           # entries that one write may reap or move in the wheel

MISSING = contracts.MISSING


cdef class Singles(Readers):

    cdef PyObject* hit_slowly(self, PyObject* key, PyObject* absent) except NULL:
        """``hit`` for a key that does not carry its hash, or in a table that grows."""
        cdef uint32_t hash
        cdef uint32_t ref = self.find(<object>key, &hash)
        cdef Py_hash_t h = d43_str_hash(key) if PyUnicode_CheckExact(key) else self.asked
        cdef PyObject* value
        if ref:
            value = self.taken(ref, h)
            return absent if value == NULL else value
        self.refuse(<object>key)
        self.missed(h)
        return absent

    cdef PyObject* get_by_name(self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL:
        """``get`` with named arguments, or too many or too few of them."""
        cdef PyObject* value
        key, default = get_arguments(args, n, names)
        if FREE:
            return self.read_freely(<PyObject*>key, <PyObject*>default)
        value = self.hit(<PyObject*>key, <PyObject*>default)
        Py_INCREF(<object>value)
        return value

    cdef object get_freely(self, object key, object absent):
        cdef PyObject* value = self.read_freely(<PyObject*>key, <PyObject*>absent)
        owned = <object>value
        Py_DECREF(owned)
        return owned

    cdef PyObject* read_freely(self, PyObject* key, PyObject* absent) except NULL:
        """``hit`` where there is no GIL: a reference of the caller's own, and no lock is taken where none is needed."""
        cdef PyObject* value = self.read_unlocked(key, absent)
        if value == NULL:
            with cython.critical_section(self):
                self.read_once()
                value = self.hit(key, absent)
                Py_INCREF(<object>value)
        return value

    cdef void missed(self, Py_hash_t h) noexcept:
        self.misses += 1
        if self.notice & RECORDING:
            self.record(h)

    cdef PyObject* taken_slowly(self, Entry* e, uint32_t ref, Py_hash_t h) noexcept:
        """``taken`` where some entry has a tag, a pin, or a time to live that is sliding or long."""
        if self.notice & RECORDING:
            self.record(own_hash(e.key) if h == -1 else h)
        if not self.live(e, ref):
            self.misses += 1
            return NULL
        self.hits += 1
        if self.ring and not (self.special and slab_flags(&self.slab, ref)[0] & PINNED):
            policy_hit(&self.policy, &self.slab, ref)
        if self.idle:
            self.slide(e, ref)
        return e.value

    cdef void note_hit(self, uint32_t ref) noexcept:
        policy_hit(&self.policy, &self.slab, ref)

    cdef object peek(self, object key):
        """The value under ``key``, MISSING if there is none; leaves no trace."""
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        if ref and self.live(slab_entry(&self.slab, ref), ref):
            return <object>slab_entry(&self.slab, ref).value
        self.refuse(key)
        return MISSING

    cdef int write(self, object key, object value, Write* w) except -1:
        """Carry out a prepared write, and settle."""
        self.write_in(key, value, w)
        if self.doomed_count or self.events is not None and self.events.heard():
            self.settle()
        return 0

    cdef int write_in(self, object key, object value, Write* w) except -1:
        """Carry out a prepared write. The caller settles."""
        if w.extra == NULL:
            return self.write_out(key, value, w)
        try:
            return self.write_out(key, value, w)
        except BaseException:
            self.abandon(w)
            raise

    cdef int write_out(self, object key, object value, Write* w) except -1:
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        if ref == 0:
            self.refuse(key)
        if self.wheel != NULL and self.reap(REAP):
            ref = self.find(key, &hash)
        if w.gone:
            self.abandon(w)
            if ref:
                self.remove(ref, BY_EXPIRY, True)
        else:
            self.place(key, hash, ref, value, w)
        return self.void_flight_of(key)

    cdef int void_flight_of(self, object key) except -1:
        """``key`` was written. No Python code ran since, or a computation might have been stored over it."""
        if self.flights:
            self.voiding += 1
            try:
                self.void_flight(key)
            finally:
                self.voiding -= 1
        return 0

    cdef int void_begin(self) except -1:
        """A change of many keys begins: what is being computed is not to be stored. ``void_end`` must follow."""
        if self.flights:
            self.void_flights()
        self.voiding += 1
        return 0

    cdef int void_end(self) except -1:
        try:
            if FREE and self.flights:       # some may have begun since
                self.void_flights()
        finally:
            self.voiding -= 1
        return 0

    cdef int set_freely(self, object key, object value, object ttl, object tags, object pin) except -1:
        """``set`` where there is no GIL."""
        cdef Write w
        with cython.critical_section(self):
            if not (ttl is None and type(tags) is tuple and not <tuple>tags and pin is False and self.place_plainly(
                    <PyObject*>key, <PyObject*>value)):
                self.prepare(&w, key, value, ttl, tags, pin, None)
                self.write_in(key, value, &w)
        return self.settle()

    def set(self, key, value, *, ttl=None, tags=(), pin=False, durable=False):
        """Store ``value`` under ``key``. ``durable`` asks for nothing here: memory is as durable as the process."""
        cdef Write w
        if FREE:
            self.set_freely(key, value, ttl, tags, pin)
            return
        if ttl is None and type(tags) is tuple and not <tuple>tags and pin is False and self.place_plainly(
                <PyObject*>key, <PyObject*>value):
            return
        self.prepare(&w, key, value, ttl, tags, pin, None)
        self.write(key, value, &w)

    def __setitem__(self, key, value):
        cdef Write w
        if FREE:
            self.set_freely(key, value, None, (), False)
            return
        if self.place_plainly(<PyObject*>key, <PyObject*>value):
            return
        self.prepare(&w, key, value, None, (), False, None)
        self.write(key, value, &w)

    def __getitem__(self, key):
        cdef PyObject* value
        if FREE:
            found = self.get_freely(key, MISSING)
            if found is MISSING:
                raise KeyError(key)
            return found
        value = self.hit(<PyObject*>key, <PyObject*>MISSING)
        if value == <PyObject*>MISSING:
            raise KeyError(key)
        return <object>value

    def __delitem__(self, key):
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key):
        with cython.critical_section(self):
            return self.peek(key) is not MISSING

    def __len__(self):
        with cython.critical_section(self):
            self.need_open()
            return self.count

    def delete(self, key):
        """Take ``key`` out. Returns whether it was there."""
        cdef bint live
        with cython.critical_section(self):
            live = self.discard_in(key)
        self.settle()
        return live

    cdef bint discard(self, object key) except -1:
        cdef bint live = self.discard_in(key)
        self.settle()
        return live

    cdef bint discard_in(self, object key) except -1:
        """Take ``key`` out. The caller settles."""
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        cdef bint live = False
        if ref:
            live = self.live(slab_entry(&self.slab, ref), ref)
            self.remove(ref, BY_USER if live else BY_EXPIRY, True)
            self.deletes += live
        else:
            self.refuse(key)
        self.void_flight_of(key)
        return live

    def pop(self, key, default=MISSING):
        """Take ``key`` out and return its value, or ``default``; without one a missing key is a KeyError."""
        cdef uint32_t hash, ref
        value = default
        with cython.critical_section(self):
            ref = self.find(key, &hash)
            if ref:
                if self.live(slab_entry(&self.slab, ref), ref):
                    value = <object>slab_entry(&self.slab, ref).value
                    self.deletes += 1
                    self.remove(ref, BY_USER, True)
                else:
                    self.remove(ref, BY_EXPIRY, True)
            else:
                self.refuse(key)
            self.void_flight_of(key)
        self.settle()
        if value is MISSING:
            raise KeyError(key)
        return value

    def touch(self, key, ttl):
        """Give ``key`` a new time to live from now; None for none. Returns whether it was there."""
        cdef uint32_t hash, ref
        cdef int64_t span = -1 if ttl is None else span_ns(ttl, "ttl")
        with cython.critical_section(self):
            ref = self.find(key, &hash)
            if not ref or not self.live(slab_entry(&self.slab, ref), ref):
                self.refuse(key)
                return False
            if span == 0:
                self.remove(ref, BY_EXPIRY, True)
                self.void_flight_of(key)
            else:
                self.expire_at(ref, NEVER if span < 0 else self.due(span))
                if self.idle:
                    slab_flags(&self.slab, ref)[0] |= ABSOLUTE
        self.settle()
        return True

    def ttl(self, key):
        """Seconds that ``key`` has left, None if it does not expire; KeyError if it is not there."""
        cdef uint32_t hash, ref
        cdef Entry* e
        with cython.critical_section(self):
            ref = self.find(key, &hash)
            if ref:
                e = slab_entry(&self.slab, ref)
                if self.live(e, ref):
                    if e.deadline == NEVER:
                        return None
                    return ((self.soft_deadline(e, ref) << TICK_BITS) - <double>(self.clock.now() - self.birth)) / 1e9
            self.refuse(key)
        raise KeyError(key)


# ``get`` is the one method that is not written with ``def``: its arguments are taken as they lie on the stack, without
# a reference to each, which is a tenth of the time of a hit.
# hot
cdef PyObject* get_plainly(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL:
    cdef PyObject* value
    if names != NULL or n < 1 or n > 2:
        return (<Singles>self).get_by_name(args, n, names)
    if FREE:
        return (<Singles>self).read_freely(args[0], <PyObject*>None if n == 1 else args[1])
    value = (<Singles>self).hit(args[0], <PyObject*>None if n == 1 else args[1])
    Py_INCREF(<object>value)
    return value


# The same in a store that is measured: what may fail, or takes the clock, is left to the method itself (meter.pyx).
# hot
cdef PyObject* get_counted(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) noexcept:
    cdef Gauges* gauges = <Gauges*>(<Singles>self).gauges
    cdef Gauge* g = NULL if gauges == NULL else &gauges.gauge[<int>GET]
    cdef uint32_t ref
    cdef Py_hash_t h
    cdef PyObject* value
    cdef PyObject* absent
    if not FREE and g != NULL and g.left > 1 and names == NULL and 1 <= n <= 2 and PyUnicode_CheckExact(args[0]):
        h = d43_str_hash(args[0])
        if h != -1:
            ref = (<Singles>self).seek(&(<Singles>self).index.now, args[0], mix(h))
            absent = <PyObject*>None if n == 1 else args[1]
            if ref and ref != ASK:
                g.left -= 1
                value = (<Singles>self).taken(ref, h)
                if value == NULL:
                    value = absent
                Py_INCREF(<object>value)
                return value
            if (ref == 0 and (<Singles>self).index.old.group == NULL and not (<Singles>self).aside
                    and not d43_str_fault(args[0])):
                g.left -= 1
                (<Singles>self).misses += 1
                Py_INCREF(<object>absent)
                return absent
    return counted(g, self, args, n, names)


cdef tuple get_arguments(PyObject** args, Py_ssize_t n, PyObject* names):
    cdef Py_ssize_t i
    cdef dict given = dict(zip(("key", "default"), [<object>args[i] for i in range(n)]))
    cdef list named = [] if names == NULL else list(<tuple>names)
    if n > 2 or "key" not in [*given, *named] or any(name in given or name not in ("key", "default") for name in named):
        raise TypeError(f"get() takes key and default, each once: it was given {n} by position, and by name "
                        f"{', '.join(named) or 'none'}")
    for i, name in enumerate(named):
        given[name] = <object>args[n + i]
    return given["key"], given.get("default")


cdef PyMethodDef PLAINLY
hottest, hottest_counted = <void*>get_plainly, get_counted
method_put(<PyTypeObject*>Singles, &PLAINLY, b"get", get_plainly,
           b"get($self, /, key, default=None)\n--\n\nThe value under ``key``, or ``default``.")

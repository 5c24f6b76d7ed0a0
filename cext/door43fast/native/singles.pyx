"""The single-key methods of the memory engine.

Meanings are those of the contract in ``door43fast.contracts.Store``. Values are references: what was set is the
very object that comes back. See ``table.pyx`` for the rule by which all of it survives re-entry.
"""

from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.clock cimport span_ns
from door43fast.native.core cimport BY_EXPIRY, BY_USER
from door43fast.native.methods cimport PyMethodDef, method_put
from door43fast.native.policy cimport policy_hit
from door43fast.native.slab cimport EXTRAS, Entry, slab_entry, slab_extra, slab_flags
from door43fast.native.table cimport ABSOLUTE, PINNED, RECORDING, PyUnicode_CheckExact, d43_str_hash
from door43fast.native.writes cimport Write, Writes
from door43fast.native.wheel cimport LONG, NEVER, TICK_BITS

from door43fast import contracts
from door43fast.errors import ClosedError

cdef enum:
    REAP = 16           # entries that one write may reap or move in the wheel

MISSING = contracts.MISSING


cdef class Singles(Writes):

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
        value = self.hit(<PyObject*>key, <PyObject*>default)
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
        """Carry out a prepared write."""
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
        if self.flights:
            self.void_flight(key)
        if self.doomed_count or self.events is not None:
            self.settle()
        return 0

    cdef int void_flight_of(self, object key) except -1:
        if self.flights:
            self.void_flight(key)
        return 0

    def set(self, key, value, *, ttl=None, tags=(), pin=False, durable=False):
        """Store ``value`` under ``key``. ``durable`` asks for nothing here: memory is as durable as the process."""
        cdef Write w
        if ttl is None and type(tags) is tuple and not <tuple>tags and pin is False and self.place_plainly(
                <PyObject*>key, <PyObject*>value):
            return
        self.prepare(&w, key, value, ttl, tags, pin, None)
        self.write(key, value, &w)

    def __setitem__(self, key, value):
        cdef Write w
        if self.place_plainly(<PyObject*>key, <PyObject*>value):
            return
        self.prepare(&w, key, value, None, (), False, None)
        self.write(key, value, &w)

    def __getitem__(self, key):
        cdef PyObject* value = self.hit(<PyObject*>key, <PyObject*>MISSING)
        if value == <PyObject*>MISSING:
            raise KeyError(key)
        return <object>value

    def __delitem__(self, key):
        if not self.discard(key):
            raise KeyError(key)

    def __contains__(self, key):
        return self.peek(key) is not MISSING

    def __len__(self):
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.count

    def delete(self, key):
        """Take ``key`` out. Returns whether it was there."""
        return self.discard(key)

    cdef bint discard(self, object key) except -1:
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
        self.settle()
        return live

    def pop(self, key, default=MISSING):
        """Take ``key`` out and return its value, or ``default``; without one a missing key is a KeyError."""
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        value = default
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
        cdef uint32_t hash
        cdef uint32_t ref = self.find(key, &hash)
        cdef Entry* e
        if ref:
            e = slab_entry(&self.slab, ref)
            if self.live(e, ref):
                if e.deadline == NEVER:
                    return None
                return ((self.soft_deadline(e, ref) << TICK_BITS) - <double>(self.clock.now() - self.birth)) / 1e9
        self.refuse(key)
        raise KeyError(key)

    def add(self, key, value, *, ttl=None):
        """Store ``value`` only if ``key`` is not there. Returns whether it was stored."""
        cdef Write w
        cdef uint32_t hash, ref
        self.prepare(&w, key, value, ttl, (), False, None)
        try:
            self.refuse(key)
            ref = self.find(key, &hash)
        except BaseException:
            self.abandon(&w)
            raise
        if ref and self.live(slab_entry(&self.slab, ref), ref):
            self.abandon(&w)
            return False
        if w.gone:
            self.abandon(&w)
            if ref:
                self.remove(ref, BY_EXPIRY, True)
        else:
            self.put(key, hash, ref, value, &w)
        self.void_flight_of(key)
        self.settle()
        return True

    def replace(self, key, expected, value):
        """Store ``value`` only if ``key`` holds what equals ``expected``. Returns whether it was stored."""
        while True:
            current = self.peek(key)
            if current is MISSING or not PyObject_RichCompareBool(current, expected, Py_EQ):
                return False
            if self.exchange(key, current, value, False):
                return True

    def incr(self, key, by=1):
        """Add ``by`` to the integer under ``key``, 0 where there is none. Returns the sum; keeps all but the value."""
        if type(by) is not int:
            raise TypeError(f"by={by!r} must be an int")
        while True:
            current = self.peek(key)
            if current is not MISSING and type(current) is not int:
                raise TypeError(f"key {key!r} holds {type(current).__name__}, and incr works on int")
            total = by if current is MISSING else current + by
            if self.exchange(key, current, total, True):
                return total

    cdef bint exchange(self, object key, object current, object value, bint keep) except -1:
        """Store ``value`` if ``key`` holds ``current`` itself, MISSING for nothing. False: it was changed meanwhile.

        With ``keep`` the entry's expiry, pin and tags stay as they are.
        """
        cdef Write w
        cdef uint32_t hash, ref
        cdef bint alive
        self.prepare(&w, key, value, None, (), False, None)
        try:
            self.refuse(key)
            ref = self.find(key, &hash)     # may run Python code, and is the last that does
            alive = ref and self.live(slab_entry(&self.slab, ref), ref)
            if not (<object>slab_entry(&self.slab, ref).value is current if alive else current is MISSING):
                self.abandon(&w)
                return False
            if alive and keep:
                self.keep(ref, &w)
        except BaseException:
            self.abandon(&w)
            raise
        self.put(key, hash, ref, value, &w)
        self.void_flight_of(key)
        self.settle()
        return True

    cdef int keep(self, uint32_t ref, Write* w) except -1:
        """Let a write leave all of entry ``ref`` as it is but the value."""
        w.deadline = self.soft_deadline(slab_entry(&self.slab, ref), ref)
        if self.special:
            w.flags = slab_flags(&self.slab, ref)[0]
        self.abandon(w)
        if self.slab.on[EXTRAS] and slab_extra(&self.slab, ref)[0] != NULL:
            w.extra = self.tags.again(slab_extra(&self.slab, ref)[0])
            w.extra.deadline = w.deadline
        return 0


# ``get`` is the one method that is not written with ``def``: its arguments are taken as they lie on the stack, without
# a reference to each, which is a tenth of the time of a hit.
# hot
cdef PyObject* get_plainly(PyObject* self, PyObject** args, Py_ssize_t n, PyObject* names) except NULL:
    cdef PyObject* value
    if names != NULL or n < 1 or n > 2:
        return (<Singles>self).get_by_name(args, n, names)
    value = (<Singles>self).hit(args[0], <PyObject*>None if n == 1 else args[1])
    Py_INCREF(<object>value)
    return value


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


cdef PyMethodDef GET
method_put(<PyTypeObject*>Singles, &GET, b"get", get_plainly,
           b"get($self, /, key, default=None)\n--\n\nThe value under ``key``, or ``default``.")

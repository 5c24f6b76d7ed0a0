"""The memory engine: a table of the caller's own objects, with the methods that every store has.

Meanings are those of the contract in ``door43fast.contracts.Store``. Values are references: what was set is the
very object that comes back. See ``table.pyx`` for the rule by which all of it survives re-entry.
"""

cimport cython
from cpython.bytes cimport PyBytes_CheckExact
from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool, PyTypeObject, inquiry, traverseproc, visitproc
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.batch cimport PyLong_CheckExact
from door43fast.native.clock cimport Clock, span_ns
from door43fast.native.core cimport BY_USER, FREE, OP_INVALIDATE, EventQueue
from door43fast.native.hashing cimport mix
from door43fast.native.index cimport Walk, index_bytes, walk_begin, walk_next
from door43fast.native.memory_transactions cimport MemoryTransactions
from door43fast.native.slab cimport (
    FLAGS, WEIGHTS, Entry, slab_bytes, slab_entry, slab_flags, slab_turn_on, slab_weight)
from door43fast.native.policy cimport NONE, Kind, policy_begin, policy_bytes, policy_fault, policy_open
from door43fast.native.recording cimport Recording, recording_begin
from door43fast.native.singles cimport own_hash
from door43fast.native.table cimport PINNED, RECORDING, PyUnicode_CheckExact
from door43fast.native.wheel cimport NEVER, TICK_BITS, wheel_holds

from door43fast.contracts import Capabilities
from door43fast.errors import ClosedError, ConfigError, UnsupportedError, did_you_mean

cdef object CAPABILITIES = Capabilities(traces=True, streams=True)
POLICIES = ("none", "lru", "sieve", "s3fifo", "wtinylfu", "adaptive")    # by their kinds
cdef tuple OPTIONS = ("max_entries", "max_bytes", "policy", "ttl", "idle", "weigher", "clock")


cdef uint64_t whole(object n, str option) except? 0:
    """A bound given as an option: a whole number of 1 or more, or None for no bound (0)."""
    if n is None:
        return 0
    if not isinstance(n, int) or isinstance(n, bool) or not 0 < n < 1 << 62:
        raise ConfigError(f"{option}={n!r} must be a whole number of 1 or more, or None for no bound")
    return n


cdef bint ready_made(PyObject* key) noexcept:
    """Whether comparing a key with another such runs no code of the caller's."""
    return PyUnicode_CheckExact(key) or PyLong_CheckExact(key) or PyBytes_CheckExact(<object>key)


cdef class MemoryEngine(MemoryTransactions):
    """A store in memory that holds any object under any hashable key."""

    def __init__(self, max_entries=None, max_bytes=None, policy="lru", ttl=None, *, idle=None, weigher=None,
                 clock=None, **unknown):
        cdef uint64_t entries, size, sliding
        cdef int64_t span
        cdef int kind
        for name in unknown:
            raise ConfigError(f"{type(self).__name__} has no option {name!r}: {did_you_mean(name, OPTIONS)}")
        if policy not in POLICIES:
            raise ConfigError(f"policy={policy!r} is unknown: {did_you_mean(policy, POLICIES)}")
        if weigher is not None and max_bytes is None:
            raise ConfigError("weigher= has no effect without max_bytes=: give both")
        if weigher is not None and not callable(weigher):
            raise ConfigError(f"weigher={weigher!r} must be callable as weigher(key, value) -> bytes")
        if clock is not None and not isinstance(clock, Clock):
            raise ConfigError(f"clock={clock!r} must be a door43fast.native.clock.Clock")
        entries = whole(max_entries, "max_entries")
        size = whole(max_bytes, "max_bytes")
        kind = POLICIES.index(policy)
        try:
            span = -1 if ttl is None else span_ns(ttl, "ttl")
            sliding = 0 if idle is None else max(<uint64_t>span_ns(idle, "idle") >> TICK_BITS, 1)
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from None
        if span == 0:
            raise ConfigError("ttl=0 would expire every entry at once: give seconds, or None for no expiry")
        if ttl is not None and idle is not None:
            raise ConfigError("ttl= and idle= exclude each other as defaults: give idle= here and ttl= to set()")
        # All that may run Python code, or fail, has: the options did, and may have used the store, or begun it.
        if self.begun or self.version:
            raise TypeError("a store is initialised once, before it is used")
        if (sliding and not slab_turn_on(&self.slab, FLAGS)) or (size and not slab_turn_on(&self.slab, WEIGHTS)):
            raise MemoryError()
        self.begin(entries, size, kind, span, sliding)
        self.weigher = weigher
        if clock is not None:
            self.clock = clock
        self.birth = self.clock.now()

    cdef void begin(self, uint64_t entries, uint64_t size, int kind, int64_t span, uint64_t sliding) noexcept:
        self.begun = True
        self.max_entries = entries
        self.max_bytes = size
        self.ring = kind != <int>NONE and (entries or size)
        policy_open(&self.policy, <Kind>kind if self.ring else NONE, entries, size)
        policy_begin(&self.policy, &self.slab)
        self.notice = self.policy.kind
        self.ttl_ns = span
        self.idle = sliding
        self.special = sliding != 0

    @property
    def capabilities(self):
        """What this store can do, a :class:`door43fast.contracts.Capabilities`."""
        return CAPABILITIES

    def invalidate(self, tag):
        """Make every entry that carries ``tag`` missing, at once."""
        with cython.critical_section(self):
            self.invalidate_in(tag)
        self.settle()

    cdef int invalidate_in(self, object tag) except -1:
        self.need_open()
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")
        self.void_begin()
        try:
            tag = str.__str__(tag)
            if self.tags.invalidate(tag):
                self.version += 1
            if self.events is not None and self.events.heard():
                self.events.push(OP_INVALIDATE, BY_USER, <PyObject*>tag, NULL, NULL)
        finally:
            self.void_end()
        return 0

    # -- recording -------------------------------------------------------------------------------------------

    def record_trace(self, path, *, sample=1.0):
        """Record which keys are asked for into a file, for ``door43fast simulate``; see ``door43fast.recordings``.

        What is recorded is what ``stats()`` counts: each ``get``, ``[]``, ``get_or_compute`` and each key of a
        ``get_many`` or ``get_packed``, whether it hits or misses. Writes are not: a simulation puts what misses in.

        Parameters
        ----------
        path : path
            The file. An earlier recording is written over; any other file is refused.
        sample : float
            The share of all keys that are followed, chosen by their hashes, such as 0.01.

        Returns
        -------
        Recording
            ``stop()`` ends it, as does leaving its context, or closing the store. A child of a fork records nothing.

        Raises
        ------
        OSError
            The file cannot be written. Where that happens later, the recording ends and ``stop()`` raises it; the
            store goes on.
        ConfigError
            A recording is under way, or ``sample`` is out of range.
        """
        with cython.critical_section(self):
            return self.record_in(path, sample)

    cdef Recording record_in(self, object path, object sample):
        cdef Recording last = self.recording
        cdef Recording recording
        self.need_open()
        recording = recording_begin(last, path, sample)
        if self.closed:     # by the path's __fspath__
            recording.end()
            raise ClosedError(f"{type(self).__name__} was closed while a recording began")
        if self.recording is not last:
            recording.end()
            raise ConfigError(f"another recording of this store, into {self.recording.path!r}, began meanwhile: "
                              "call stop() of that recording first")
        self.shut()
        self.recording = recording
        self.tape = &recording.tape
        self.notice = self.policy.kind | RECORDING
        self.aside = True
        return recording

    # -- care ------------------------------------------------------------------------------------------------

    def expire(self):
        """Take out everything that is past its time. Returns how many."""
        cdef uint64_t n
        cdef uint32_t hash
        with cython.critical_section(self):
            self.find(0, &hash)     # raises when closed
            n = self.reap(0xFFFFFFFF)
        self.settle()
        return n

    def stats(self):
        """Counts since the store was opened, and what it holds now. O(1)."""
        with cython.critical_section(self):
            return self.stats_in()

    cdef dict stats_in(self):
        if FREE:
            self.catch_up()
        self.need_open()
        return {
            "entries": self.count, "bytes": self.bytes if self.max_bytes else None,
            "pinned": self.pinned, "hits": self.hits, "misses": self.misses, "sets": self.sets,
            "deletes": self.deletes, "evictions": self.evictions, "expirations": self.expirations, "stale": self.stales,
            "bookkeeping_bytes": index_bytes(&self.index) + slab_bytes(&self.slab) + policy_bytes(&self.policy),
            "max_entries": self.max_entries or None, "max_bytes": self.max_bytes or None,
        }

    def flush(self):
        """Return when every listener has had what happened before this call."""
        cdef EventQueue events
        with cython.critical_section(self):
            self.need_open()
            events = self.events
        if events is not None:
            events.flush()

    def verify(self, *, progress=None):
        """Check the table against itself: every entry is found by its key, and the counts agree.

        ``progress``, if given, is called once, as ``progress(done, total, name)``.
        """
        with cython.critical_section(self):
            found = self.verify_in()
        if progress is not None:
            progress(found["checked"], found["checked"], "entries")
        return found

    cdef uint32_t found_at(self, uint32_t ref) noexcept:
        """Where the key of an entry is found, 0 for nowhere. Compares only with keys whose comparison is their own, and
        so runs no Python code: of others it is seen whether the index leads to the entry by its hash."""
        cdef Entry* e = slab_entry(&self.slab, ref)
        cdef PyObject* stored
        cdef bint own = ready_made(e.key)
        cdef Walk walk
        cdef uint32_t found
        cdef int row
        if own and mix(own_hash(e.key)) != e.hash:
            return 0
        for row in range(1 if self.index.old.group == NULL else 2):
            walk_begin(&walk, &self.index.now if row == 0 else &self.index.old, e.hash)
            found = walk_next(&walk)
            while found and found != ref:
                stored = slab_entry(&self.slab, found).key
                if own and stored.ob_type == e.key.ob_type and slab_entry(&self.slab, found).hash == e.hash and (
                        PyObject_RichCompareBool(<object>stored, <object>e.key, Py_EQ) == 1):
                    return found
                found = walk_next(&walk)
            if found:
                return found
        return 0

    cdef dict verify_in(self):
        cdef uint32_t ref, found
        cdef uint64_t n = 0, weight = 0, pinned = 0
        cdef Entry* e
        cdef const char* fault
        cdef list errors = []
        if FREE:
            self.catch_up()
        self.need_open()
        for ref in range(1, self.slab.used):
            e = slab_entry(&self.slab, ref)
            if e.key == NULL:
                continue
            n += 1
            if self.max_bytes:
                weight += slab_weight(&self.slab, ref)[0]
            if self.special and slab_flags(&self.slab, ref)[0] & PINNED:
                pinned += 1
            if (e.deadline != NEVER) != (self.wheel != NULL and wheel_holds(&self.slab, ref)):
                errors.append(f"entry {ref} has a deadline and is not in the wheel, or the reverse")
            found = self.found_at(ref)
            if found != ref:
                key = <object>e.key
                errors.append(f"key {key!r} of entry {ref} is found at {found}" if ready_made(e.key) else
                              f"key of type {type(key).__name__} of entry {ref} is not found")
        for name, counted, kept in (("entries", n, self.count), ("bytes", weight, self.bytes),
                                    ("pinned", pinned, self.pinned),
                                    ("slots", self.index.now.count + self.index.old.count, self.count)):
            if counted != kept:
                errors.append(f"{name}: counted {counted}, kept {kept}")
        if self.ring:
            fault = policy_fault(&self.policy, &self.slab, self.count - self.pinned)
            if fault != NULL:
                errors.append(f"policy: {fault.decode()}")
        return {"checked": n, "errors": errors}

    def backup(self, path, *, progress=None):
        """A memory store has nothing on disk: UnsupportedError."""
        raise UnsupportedError(f"a memory store cannot be backed up to {path!r}: open it over a directory, "
                               "with door43fast.open(path)")

    def close(self):
        """Let go of everything. Calls after this raise ClosedError; a second close does nothing."""
        cdef Recording recording
        with cython.critical_section(self):
            if self.closed:
                return
            self.shut()
            self.void_begin()
            try:
                self.closed = self.aside = True
                self.sorted_keys = None
                self.empty()
            finally:
                self.void_end()
            recording = self.recording
        self.settle()
        if recording is not None:
            recording._close()


# The garbage collector must see the references in the slab, which Cython does not know of: without this a value
# that leads back to its store would keep both for ever.
ctypedef int (*clearproc)(PyObject*) noexcept
cdef traverseproc inherited_traverse = (<PyTypeObject*>MemoryEngine).tp_traverse
cdef clearproc inherited_clear = <clearproc>(<PyTypeObject*>MemoryEngine).tp_clear


cdef int traverse(PyObject* self, visitproc visit, void* arg) noexcept:
    cdef uint32_t ref
    cdef Entry* e
    cdef int stop
    for ref in range(1, (<MemoryEngine>self).slab.used):
        e = slab_entry(&(<MemoryEngine>self).slab, ref)
        if e.key != NULL:
            stop = visit(e.key, arg)
            if stop:
                return stop
            stop = visit(e.value, arg)
            if stop:
                return stop
    return inherited_traverse(self, visit, arg)


cdef int clear(PyObject* self) noexcept:
    (<MemoryEngine>self).empty()
    return inherited_clear(self)


(<PyTypeObject*>MemoryEngine).tp_traverse = <traverseproc>traverse
(<PyTypeObject*>MemoryEngine).tp_clear = <inquiry><void*>clear

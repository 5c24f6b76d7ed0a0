"""The LMDB engine: the options of a store on disk, and the methods of a mapping over its records."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

import difflib
import os
import warnings
import weakref

from clib.lmdb cimport *
from door43fast.native.clock cimport Clock, span_ns
from door43fast.native.compression cimport Compression
from door43fast.native.core cimport BY_EXPIRY, BY_USER, EventQueue, Flight, OP_DELETE, OP_SET
from door43fast.native.environment cimport Environment, acquire
from door43fast.native.marks cimport Marks
from door43fast.native.status cimport lmdb_raise, told
from door43fast.native.frame cimport *
from door43fast.native.handle cimport handle_sure
from door43fast.native.journal cimport ORIGIN
from door43fast.native.keys cimport KeyCodec
from door43fast.native.lmdb_budget cimport check_budget
from door43fast.native.lmdb_changes cimport carried
from door43fast.native.lmdb_journal cimport check_journal
from door43fast.native.lmdb_records cimport *
from door43fast.native.upkeep cimport set_aside

from door43fast.contracts import MISSING, Capabilities
from door43fast.errors import ConfigError, CorruptError

cdef dict DEFAULTS = {
    "keys": "str", "codec": "auto", "compression": None, "durability": "commit", "sync_interval": 0.1,
    "readonly": False, "map_size": None, "index_bytes": 256 << 20, "ttl": None, "clock": None, "create": True,
    "journal": None, "on_damage": "raise", "max_bytes": None, "policy": None,
}
cdef tuple LEVELS = ("commit", "batch", "none"), DAMAGE = ("raise", "set_aside")
cdef object STORES = weakref.WeakSet()


def _after_fork():
    """What other threads of the parent were in the middle of, nobody ends here: stop waiting for it."""
    cdef LmdbEngine store
    for store in STORES:
        store.unvoided = store.news.pending = 0
        _name(store)            # two processes are two origins


os.register_at_fork(after_in_child=_after_fork)


cdef class LmdbEngine(BudgetEngine):
    """A store on disk; the options are those of :class:`door43fast.LmdbStore`."""

    def __init__(self, path, **options):
        cdef dict plan = dict(DEFAULTS)
        if self.home is not None:
            raise ConfigError("this store is open already; make another one")
        for name in options:
            if name not in plan:
                raise ConfigError(f"LmdbStore has no option {name}=" + _nearest(name, plan))
        plan.update(options)
        _check(plan)
        self.absent = MISSING
        self.key_codec = KeyCodec(plan["keys"])
        self.mode = self.key_codec.mode
        from door43fast.codecs import resolve
        self.codec = resolve(plan["codec"])
        self.native_values = plan["codec"] == "auto"
        self.readonly = plan["readonly"]
        self.default_ttl = -1 if plan["ttl"] is None else span_ns(plan["ttl"], "ttl")
        self.clock = Clock("wall") if plan["clock"] is None else plan["clock"]
        self.home = _open(path, plan)
        plan["path"] = self.home.path
        self.compression = Compression(self.home, plan["compression"] == "zstd")
        _name(self)
        self.plan = plan
        self.closed = False
        try:
            self._keep_journal(plan["journal"])
            self._keep_budget(plan["max_bytes"], plan["policy"])
            if not self.readonly:
                with told("opening", self.home.path):
                    self.marks = Marks(os.path.join(self.home.path, "flights"))
                self.mark_words = self.marks.words
                self._sweep()
        except BaseException:
            self.closed = True
            self.home.release()
            raise
        STORES.add(self)

    @property
    def path(self):
        """The directory of the store, absolute."""
        return self.plan["path"]

    @property
    def capabilities(self):
        """What this store can do."""
        return Capabilities(writes=not self.readonly, persistent=True, backup=True, shared=True,
                            journal=self.home is not None and self.journalled(), traces=True, streams=True)

    def get(self, key, default=None):
        """The value of ``key``, or ``default``."""
        cdef object value = self.fetch(key, NULL, False)
        if self.recording is not None:
            self.note(key)
        if value is self.absent:
            self.misses += 1
            return default
        self.hits += 1
        return value

    def __getitem__(self, key):
        cdef object value = self.fetch(key, NULL, False)
        if self.recording is not None:
            self.note(key)
        if value is self.absent:
            self.misses += 1
            raise KeyError(key)
        self.hits += 1
        return value

    def _lookup(self, key):
        cdef Found found
        cdef object value = self.fetch(key, &found, True)
        if self.recording is not None:
            self.note(key)
        if value is self.absent:
            self.misses += 1
            return 0, None
        self.hits += 1
        return found.state, value

    def _peek(self, key):
        """The frame of a live record as it is judged now: (state, deadline), without its value."""
        cdef Slice name
        cdef Frame frame
        cdef MDB_txn* txn
        cdef object owner
        cdef int rc
        self.begin(False)
        owner = self.slice_key(key, &name)
        txn = self.home.reader()
        rc = handle_sure(self.home, self.find(txn, name, &frame, self.now()))
        self.home.give(txn)
        self.home.leave()
        if rc == MDB_NOTFOUND or (rc == 0 and frame.state != FRESH):
            return None
        if rc:
            self.fault(rc, key)
        return frame.deadline

    def __contains__(self, key):
        return self._peek(key) is not None

    def ttl(self, key):
        """Seconds until ``key`` expires, None if it does not. KeyError if it has no value."""
        deadline = self._peek(key)
        if deadline is None:
            raise KeyError(key)
        return (deadline - self.now()) / 1e9 if deadline else None

    # Writing

    def set(self, key, value, *, ttl=None, tags=(), pin=False, durable=False):
        """Set ``key``; ``durable=True`` syncs it to the disk before it returns, whatever the store's durability."""
        self.begin(True)
        self.store(key, value, PUT, self.deadline_of(ttl), 0, self.tags_whole(tags), pin, durable, None, None)

    def __setitem__(self, key, value):
        self.begin(True)
        self.store(key, value, PUT, self.deadline_of(None), 0, None, False, False, None, None)

    def delete(self, key):
        """Delete ``key``; True if it had a value."""
        return self.remove(key, BY_USER)

    def __delitem__(self, key):
        if not self.remove(key, BY_USER):
            raise KeyError(key)

    def add(self, key, value, *, ttl=None):
        """Set ``key`` if it has no value; True if it was set."""
        cdef int64_t deadline
        self.begin(True)
        deadline = self.deadline_of(ttl)
        if deadline < 0:
            return self._peek(key) is None
        return self.store(key, value, PUT_NEW, deadline, 0, None, False, False, None, None)

    def replace(self, key, expected, value):
        """Set ``key`` to ``value`` if its value equals ``expected``; True if it was set."""
        cdef bytes token
        cdef object held
        while True:
            self.begin(True)
            token, held = self._read(key)
            if held is MISSING or not (held is expected or held == expected):
                return False
            if self.store(key, value, PUT_SAME, self.deadline_of(None), 0, None, False, False, token, None):
                return True

    def incr(self, key, by=1):
        """Add ``by`` to the integer at ``key``, a missing one being 0; returns the sum. It keeps its deadline."""
        cdef bytes token, tags
        cdef int64_t deadline, stale
        if not _whole(by):
            raise TypeError(f"incr adds an int, not {type(by).__name__}")
        while True:
            self.begin(True)
            token, held, deadline, stale, tags, pin = self._read_whole(key)
            if held is MISSING:
                held, deadline = 0, self.deadline_of(None)
                if deadline < 0:
                    return by
            elif not _whole(held):
                raise TypeError(f"the value of {key!r} is {type(held).__name__}; incr works on int")
            if self.store(key, held + by, PUT_SAME, deadline, stale, tags, pin, False, token, None):
                return held + by

    def touch(self, key, ttl):
        """Give ``key`` a new time to live, None for endless, 0 to expire it now; False if it has no value."""
        cdef Job job
        cdef object owner
        self.begin(True)
        memset(&job, 0, sizeof(Job))
        owner = self.slice_key(key, &job.key)
        job.verb = TOUCH
        job.draft.deadline = 0 if ttl is None else self.deadline_of(ttl)
        if job.draft.deadline < 0:
            return self.remove(key, BY_EXPIRY)
        return self.perform(&job, key, None, OP_SET, BY_USER)

    def pop(self, key, *default):
        """Delete ``key`` and return what it held; ``default`` if it held nothing, KeyError if none is given."""
        cdef Job job
        cdef Frame frame
        cdef object owner, lifted
        if len(default) > 1:
            raise TypeError(f"pop takes a key and one default, not {1 + len(default)} arguments")
        self.begin(True)
        memset(&job, 0, sizeof(Job))
        owner = self.slice_key(key, &job.key)
        job.verb = ERASE
        job.take = True
        self.perform(&job, key, None, OP_DELETE, BY_USER)
        if not job.existed:
            if default:
                return default[0]
            raise KeyError(key)
        try:
            frame_read(job.key, job.taken.data, job.taken.size, &frame)
            if frame.flags & CHUNKED:
                frame.payload = job.large
                frame.flags ^= CHUNKED
            self.home.enter()       # a dictionary may have to be read
            try:
                lifted = self.lift(&frame, NULL)
            finally:
                self.home.leave()
        finally:
            free(<void*>job.taken.data)
            free(<void*>job.large.data)
        self.deletes += 1
        return self.settle(frame.mark, lifted)

    @property
    def _marks(self):
        """Of computations in all processes, None for whoever only reads."""
        return self.marks

    def _flight_name(self, key):
        """What ``key`` is called in the table of flights: its bytes, so that looking it up runs no caller's code."""
        cdef Slice name
        owner = self.slice_key(key, &name)
        return PyBytes_FromStringAndSize(name.data, name.size)

    def _publish(self, Flight flight, key, value, ttl, stale):
        """Store what a computation gave, unless the key was written since its flight read it."""
        cdef int64_t deadline
        self.begin(True)
        deadline = self.deadline_of(ttl)
        token = getattr(flight, "token", None)      # tells of writes by other processes too
        if deadline < 0:
            return False
        return self.store(key, value, PUT_FLIGHT, deadline, 0 if stale is None else span_ns(stale, "stale"), None,
                          False, False, token if isinstance(token, bytes) else None, flight)

    def _read_whole(self, key):
        """(token, value, deadline, stale, tags, pin) of ``key``, to write it anew with what it carries."""
        cdef Slice name
        cdef Frame frame
        cdef MDB_txn* txn
        cdef object owner, lifted = None
        cdef bytes tags = None
        cdef char token[TOKEN]
        cdef int rc
        self.begin(False)
        owner = self.slice_key(key, &name)
        txn = self.home.reader()
        try:
            rc = handle_sure(self.home, self.find(txn, name, &frame, self.now()))
            if rc == 0 and frame.state == FRESH:
                frame_token(&frame, token)
                lifted = self.lift(&frame, txn)
                if frame.tag_count:
                    tags = carried(&frame)
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc == MDB_NOTFOUND or (rc == 0 and frame.state != FRESH):
            return b"", MISSING, 0, 0, None, False
        if rc:
            self.fault(rc, key)
        return (PyBytes_FromStringAndSize(token, TOKEN), self.settle(frame.mark, lifted), frame.deadline, frame.stale,
                tags, bool(frame.flags & PINNED))

    def _tag_hashes(self, tags):
        """The hashes under which records carry these tags, one after the other."""
        return self.tag_hashes(tags)

    def _read(self, key):
        return self._read_whole(key)[:2]

    @property
    def _plan(self):
        """The options as the constructor takes them, without those that are at their default."""
        return {name: value for name, value in self.plan.items()
                if name != "path" and not (value is DEFAULTS[name] or value == DEFAULTS[name])}


cdef int _name(LmdbEngine store) except -1:
    """Give a store the name that its changes have in a journal."""
    cdef bytes name = os.urandom(ORIGIN)
    memcpy(store.origin, PyBytes_AS_STRING(name), ORIGIN)
    return 0


cdef bint _whole(object value):
    return isinstance(value, int) and not isinstance(value, bool)


cdef str _nearest(object name, object valid):
    cdef list near = difflib.get_close_matches(str(name), [str(v) for v in valid], 1, 0.5)
    return f"; did you mean {near[0]}?" if near else "; it has " + ", ".join(sorted(str(v) for v in valid))


cdef Environment _open(object path, dict plan):
    """The files of the store; damaged ones are set aside first, if that was asked for."""
    cdef dict options = {name: plan[name] for name in ("durability", "sync_interval", "readonly", "map_size", "keys",
                                                       "index_bytes", "on_damage")}
    try:
        return acquire(path, options, plan["create"])
    except CorruptError as error:
        full = os.path.abspath(os.fsdecode(path))
        if plan["on_damage"] == "raise":
            raise CorruptError(f"{error}. If it is a cache, on_damage='set_aside' moves it out of the way and starts "
                               f"afresh; `door43fast verify --store {full}` says more") from error
        aside = set_aside(full)
        warnings.warn(f"the store in {full} was damaged ({error}); it was moved to {aside}, and an empty one takes its "
                      "place", RuntimeWarning, stacklevel=3)
        return acquire(path, options, True)


cdef int _check(dict plan) except -1:
    """Refuse what an option does not take, with the nearest that it does."""
    if plan["durability"] not in LEVELS:
        raise ConfigError(f"durability={plan['durability']!r} is unknown" + _nearest(plan["durability"], LEVELS))
    if plan["compression"] is not None and plan["compression"] != "zstd":
        raise ConfigError(f"compression={plan['compression']!r} is unknown; it is 'zstd' or None")
    if plan["on_damage"] not in DAMAGE:
        raise ConfigError(f"on_damage={plan['on_damage']!r} is unknown" + _nearest(plan["on_damage"], DAMAGE))
    if plan["on_damage"] == "set_aside" and plan["readonly"] is True:
        raise ConfigError("on_damage='set_aside' moves files and makes a new store, and readonly=True forbids that; "
                          "give one of them")
    for name in ("readonly", "create"):
        if not isinstance(plan[name], bool):
            raise ConfigError(f"{name}={plan[name]!r} is neither True nor False")
    interval = plan["sync_interval"]
    if isinstance(interval, bool) or not isinstance(interval, (int, float)) or not 0.001 <= interval <= 3600:
        raise ConfigError(f"sync_interval={interval!r} is out of range; give seconds from 0.001 to 3600")
    size = plan["map_size"]
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 65536 <= size < 1 << 47):
        raise ConfigError(f"map_size={size!r} is out of range; give bytes from 65536 to {1 << 47}, or None")
    size = plan["index_bytes"]
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 40:
        raise ConfigError(f"index_bytes={size!r} is out of range; give bytes from 0, for no index, to {1 << 40}")
    check_journal(plan["journal"])
    check_budget(plan)
    if plan["clock"] is not None and not isinstance(plan["clock"], Clock):
        raise ConfigError(f"clock={plan['clock']!r} is no clock; give a door43fast.native.clock.Clock")
    return 0

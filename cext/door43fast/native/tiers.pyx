"""The slow tier of a cascade, as the cascade sees it: a few C methods over a native or a Python store.

Which of them a cascade calls is decided once, when it is made: they are entries of a C table of functions. So is what
tells that others have written below: ``_watched()`` of a store names the stores and cells under it, whose keys are its
own, and in the end there is a row of numbers to look at (``watches.pxd``). Only a store that can do no better has
``_epoch()`` asked, which is Python, before each read.
"""

from datetime import datetime

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from door43fast.native.clock cimport span_ns
from door43fast.native.encoded cimport Encoded
from door43fast.native.journal cimport CHANGED_CLEAR, CHANGED_TAG, Entry, Row, row_next, row_read
from door43fast.native.keys cimport KEYS_ANY, KEYS_STR
from door43fast.native.watches cimport EpochCell, News, watches_add, watches_ask, watches_close

from door43fast import codecs
from door43fast.contracts import MISSING
from door43fast.errors import CorruptError

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char* where) except -1
    void Py_LeaveRecursiveCall() noexcept

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)


cdef bint immutable(object value) noexcept:
    kind = type(value)
    return (value is None or kind is str or kind is bytes or kind is int or kind is float or kind is bool
            or kind is datetime)


cdef uint64_t look_at_disk(void* store) noexcept:
    return (<LmdbEngine>store).foreign_epoch()


cdef class Tier:
    """A store of which only the contract is known."""

    def __cinit__(self, store not None, bint share):
        self.store = store
        self.share = share
        self.codec = codecs.resolve("auto")
        self.default_ttl = -1
        self.watched = []
        self.telling = []
        self.with_deadlines = getattr(store, "_with_deadlines", None)
        self.lasting = self.with_deadlines is not None
        if hasattr(store, "_gives_back"):   # in Python, and says whether what was set is what is read, and for how long
            self.publishes, ttl = store._gives_back()
            self.default_ttl = -1 if ttl is None else span_ns(ttl, "ttl")
        self.watch(store)
        if self.watches.count == 1 and not self.telling and isinstance(self.watched[0], LmdbEngine):
            self.engine = self.watched[0]
            self.follows = self.engine.mode == KEYS_STR

    def __dealloc__(self):
        watches_close(&self.watches)

    cdef int watch(self, object store) except -1:
        """Add to the row what tells that others have changed ``store``."""
        cdef const News* news
        cdef LmdbEngine disk
        if isinstance(store, EpochCell):
            news = &(<EpochCell>store).news
            watches_add(&self.watches, &news.known, news, NULL, NULL)
        elif isinstance(store, LmdbEngine):
            disk = store
            watches_add(&self.watches, disk.home.shown.txn, &disk.news, look_at_disk, <void*>store)
        elif hasattr(store, "_watched"):
            Py_EnterRecursiveCall(b" in _watched() of stores: one of them is below itself")
            try:
                for one in store._watched():
                    self.watch(one)
            finally:
                Py_LeaveRecursiveCall()
            return 0
        elif hasattr(store, "_epoch"):
            self.telling.append(store._epoch)
            return 0
        else:
            return 0
        self.watched.append(store)
        return 0

    cdef int stand_below(self, object store, object cascade) except -1:
        for method in ("_stand_below", "_tells"):
            if hasattr(store, method):
                getattr(store, method)(cascade)
        if hasattr(store, "_watched"):
            for one in store._watched():
                self.stand_below(one, cascade)
        return 0

    cdef object canonical(self, object key):
        # Keys of other types may be equal to one another (1, 1.0 and True): only the store itself can say.
        if type(key) is str:
            return key
        return str.__str__(key) if isinstance(key, str) else None

    cdef object fetch(self, object key, Fetched* fetched):
        if self.with_deadlines is not None:
            return self.fetch_many([key], fetched)[0]
        value = self.store.get(key, MISSING)
        fetched.left = -1
        fetched.keep = value is not MISSING
        if fetched.keep:
            try:
                left = self.store.ttl(key)
            except KeyError:        # it went between the two calls
                fetched.keep = False
            else:
                if left is not None:
                    fetched.left = <int64_t>(left * 1e9)
        return value

    cdef list fetch_many(self, list keys, Fetched* fetched):
        cdef Py_ssize_t i
        cdef list values, told
        # Lists of our own go down and up: the store may change those that it was given or gave, whenever it likes.
        if self.with_deadlines is None:
            values = list(self.store.get_many(list(keys), MISSING))
            self.each_one(values, keys)
            for i in range(len(values)):
                fetched[i].left = -1
                fetched[i].keep = False     # their deadlines would cost a call each
            return values
        told = list(self.with_deadlines(list(keys)))
        self.each_one(told, keys)
        values = []
        for i, (value, left) in enumerate(told):
            values.append(value)
            fetched[i].keep = value is not MISSING
            fetched[i].left = -1 if left is None else max(<int64_t>(left * 1e9), 0)
        return values

    cdef int each_one(self, list given, list keys) except -1:
        if len(given) != len(keys):
            raise RuntimeError(f"{type(self.store).__name__} gave {len(given)} values for {len(keys)} keys: a store "
                               "must give one for each, the default where it has none")
        return 0

    cdef uint64_t epoch(self) noexcept:
        cdef uint64_t looked = watches_ask(&self.watches)
        if not self.telling:
            return looked
        try:
            self.told = sum([tell() for tell in self.telling])
        except BaseException:       # as if there were news: the cascade then asks follow(), which may raise
            self.failed += 1
        return looked + self.told + self.failed

    cdef bint follow(self, uint64_t* last) except -1:
        cdef uint64_t oldest
        for tell in self.telling:
            tell()
        if not self.follows or not self.engine.journalled():
            return False
        try:
            last[0] = self.engine.last_change(&oldest)
        except CorruptError:        # verify tells of it; a tier that can not be told is emptied at every change
            return False
        return True

    cdef bint changes(self, uint64_t since, Py_ssize_t limit, list locals, list tags, uint64_t* last) except -1:
        """REQUIRES: ``follow`` has said yes."""
        cdef uint64_t oldest, run = d43_load(&self.engine.own_run), first = run >> 24
        cdef list rows = []
        cdef bytes name, data
        cdef Row row
        cdef Entry entry
        cdef Py_ssize_t i, taken = 0
        if first and first <= since + 1:            # our own are no news
            since = max(since, first + (run & 0xFFFFFF) - 1)
        try:
            last[0] = self.engine.rows_after(since, limit + 1, True, rows, &oldest)
        except CorruptError:
            return False
        if oldest > since + 1:                      # pruned
            return False
        for i in range(0, len(rows), 2):
            name = (<object>rows[i]).to_bytes(8, "big")
            data = rows[i + 1]
            row_read(PyBytes_AS_STRING(name), 8, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &row)
            while row_next(&row, &entry) == 1:
                taken += 1
                if entry.op == CHANGED_CLEAR or taken > limit or entry.op == CHANGED_TAG and not self.knows_tags:
                    return False
                if entry.op == CHANGED_TAG:
                    tags.append(self.engine.key_of_change(entry.op, entry.key.data, entry.key.size))
                elif self.engine.mode == KEYS_ANY:
                    locals.append(PyBytes_FromStringAndSize(entry.key.data, entry.key.size))
                else:
                    locals.append(self.engine.key_of(entry.key.data, entry.key.size))
        return True

    cdef object wrap(self, object value):
        if immutable(value) or self.share:
            return value
        try:
            return Encoded(*self.codec.encode(value))
        except TypeError:       # a store of objects may hold what no codec takes; then it is not kept
            return MISSING

    cdef object unwrap(self, object kept):
        if type(kept) is Encoded:
            return self.codec.decode((<Encoded>kept).mark, (<Encoded>kept).payload)
        return kept

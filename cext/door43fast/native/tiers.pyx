"""The slow tier of a cascade, as the cascade sees it: a few C methods over a native or a Python store.

Which of them a cascade calls is decided once, when it is made: they are entries of a C table of functions.
"""

from datetime import datetime

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc

from door43fast.native.encoded cimport Encoded
from door43fast.native.journal cimport CHANGED_CLEAR, CHANGED_TAG, Entry, Row, row_next, row_read
from door43fast.native.keys cimport KEYS_ANY, KEYS_BYTES, KEYS_INT, KEYS_STR
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_records cimport Found

from door43fast import codecs
from door43fast.contracts import MISSING
from door43fast.errors import ConfigError, CorruptError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)


cdef bint immutable(object value) noexcept:
    kind = type(value)
    return (value is None or kind is str or kind is bytes or kind is int or kind is float or kind is bool
            or kind is datetime)


cdef class Tier:
    """A store of which only the contract is known."""

    def __cinit__(self, store, bint share):
        self.store = store
        self.share = share
        self.codec = codecs.resolve("auto")
        self.default_ttl = -1

    cdef object canonical(self, object key):
        # Keys of other types may be equal to one another (1, 1.0 and True): only the store itself can say.
        if type(key) is str:
            return key
        return str.__str__(key) if isinstance(key, str) else None

    cdef object fetch(self, object key, Fetched* fetched):
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
        cdef list values = self.store.get_many(keys, MISSING)
        cdef Py_ssize_t i
        for i in range(len(values)):
            fetched[i].left = -1
            fetched[i].keep = False     # their deadlines would cost a call each
        return values

    cdef uint64_t epoch(self) noexcept nogil:
        return 0

    cdef bint follow(self, uint64_t* last) except -1:
        return False

    cdef bint changes(self, uint64_t since, Py_ssize_t limit, list locals, list tags, uint64_t* last) except -1:
        return False

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


cdef class TellingTier(Tier):
    """A store in Python that tells when others have written, by ``_epoch()``: a number that only grows."""

    def __cinit__(self, store, bint share):
        self.tell_epoch = store._epoch
        self.with_deadlines = getattr(store, "_with_deadlines", None)

    cdef object fetch(self, object key, Fetched* fetched):
        if self.with_deadlines is None:
            return Tier.fetch(self, key, fetched)
        return self.fetch_many([key], fetched)[0]

    cdef list fetch_many(self, list keys, Fetched* fetched):
        cdef Py_ssize_t i
        cdef list values = []
        if self.with_deadlines is None:
            return Tier.fetch_many(self, keys, fetched)
        for i, (value, left) in enumerate(self.with_deadlines(keys)):
            values.append(value)
            fetched[i].keep = value is not MISSING
            fetched[i].left = -1 if left is None else max(<int64_t>(left * 1e9), 0)
        return values

    cdef uint64_t epoch(self) noexcept nogil:
        with gil:
            try:
                self.told = self.tell_epoch()
            except BaseException:       # as if there were news: the cascade then asks follow(), which may raise
                self.failed += 1
            return self.told + self.failed

    cdef bint follow(self, uint64_t* last) except -1:
        self.tell_epoch()
        return False


cdef class LmdbTier(Tier):
    """A native store on disk."""

    def __cinit__(self, store, bint share):
        self.engine = store
        self.codec = self.engine.codec
        self.publishes = self.engine.native_values
        self.default_ttl = self.engine.default_ttl
        self.knows_tags = True

    cdef object canonical(self, object key):
        kind = type(key)
        if self.engine.mode == KEYS_STR:
            if kind is str:
                return key
            return str.__str__(key) if isinstance(key, str) else None
        if self.engine.mode == KEYS_INT:
            if kind is int:
                return key
            return None if kind is bool or not hasattr(kind, "__index__") else kind.__index__(key)
        if self.engine.mode == KEYS_BYTES:
            if kind is bytes:
                return key
            return bytes(key) if isinstance(key, (bytes, bytearray, memoryview)) else None
        return self.engine.key_codec.encode(key)

    cdef object fetch(self, object key, Fetched* fetched):
        cdef Found found
        value = self.engine.fetch(key, &found, False)
        if value is self.engine.absent:
            self.engine.misses += 1
            return MISSING
        self.engine.hits += 1
        self.tell(&found, fetched)
        return value

    cdef list fetch_many(self, list keys, Fetched* fetched):
        cdef Py_ssize_t i
        cdef Batch batch = self.engine.batch_of(keys)
        cdef Found* found = <Found*>malloc((len(keys) + 1) * sizeof(Found))
        cdef list values
        if found == NULL:
            raise MemoryError()
        try:
            values = self.engine.fetch_many(batch, MISSING, found)
            for i in range(len(values)):
                if values[i] is not MISSING:
                    self.engine.hits += 1
                    self.tell(&found[i], &fetched[i])
                else:
                    self.engine.misses += 1
        finally:
            free(found)
        return values

    cdef int tell(self, Found* found, Fetched* fetched) except -1:
        fetched.left = -1
        fetched.keep = not found.tagged
        if found.deadline:
            fetched.left = max(found.deadline - self.engine.clock.now(), 0)
        return 0

    cdef uint64_t epoch(self) noexcept nogil:
        return self.engine.foreign_epoch()

    cdef bint follow(self, uint64_t* last) except -1:
        cdef uint64_t oldest
        if not self.engine.journalled():
            return False
        try:
            last[0] = self.engine.last_change(&oldest)
        except CorruptError:        # verify tells of it; a tier that can not be told is emptied at every change
            return False
        return True

    cdef bint changes(self, uint64_t since, Py_ssize_t limit, list locals, list tags, uint64_t* last) except -1:
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
                if entry.op == CHANGED_CLEAR or taken > limit:
                    return False
                if entry.op == CHANGED_TAG:
                    tags.append(self.engine.key_of_change(entry.op, entry.key.data, entry.key.size))
                elif self.engine.mode == KEYS_ANY:
                    locals.append(PyBytes_FromStringAndSize(entry.key.data, entry.key.size))
                else:
                    locals.append(self.engine.key_of(entry.key.data, entry.key.size))
        return True


cdef Tier tier_over(object store, bint share):
    if isinstance(store, LmdbEngine):
        return LmdbTier(store, share)
    for method in ("get", "set", "delete", "get_many", "set_many", "ttl", "scan", "close"):
        if not callable(getattr(store, method, None)):
            raise ConfigError(f"a layer must be a store, and {type(store).__name__} has no {method}()")
    return TellingTier(store, share) if hasattr(store, "_epoch") else Tier(store, share)

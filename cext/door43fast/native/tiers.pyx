"""The slow tier of a cascade, as the cascade sees it: a few C methods over a native or a Python store.

Which of them a cascade calls is decided once, when it is made: they are entries of a C table of functions.
"""

from datetime import datetime

from libc.stdlib cimport free, malloc

from door43fast.native.encoded cimport Encoded
from door43fast.native.keys cimport KEYS_ANY, KEYS_BYTES, KEYS_INT, KEYS_STR
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_records cimport Found

from door43fast import codecs
from door43fast.contracts import MISSING
from door43fast.errors import ConfigError


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
            return MISSING
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
                    self.tell(&found[i], &fetched[i])
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


cdef Tier tier_over(object store, bint share):
    if isinstance(store, LmdbEngine):
        return LmdbTier(store, share)
    for method in ("get", "set", "delete", "get_many", "set_many", "ttl", "scan", "close"):
        if not callable(getattr(store, method, None)):
            raise ConfigError(f"a layer must be a store, and {type(store).__name__} has no {method}()")
    return Tier(store, share)

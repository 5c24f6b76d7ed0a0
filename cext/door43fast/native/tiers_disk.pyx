"""A native store on disk as the slow tier of a cascade."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from door43fast.native.keys cimport KEYS_BYTES, KEYS_INT, KEYS_STR
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_records cimport Found

from door43fast.contracts import MISSING


cdef class LmdbTier(Tier):
    """A native store on disk."""

    def __cinit__(self, store not None, bint share):
        self.codec = self.engine.codec
        self.publishes = self.engine.native_values
        self.default_ttl = self.engine.default_ttl
        self.follows = self.knows_tags = self.packs = self.lasting = True

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

    cdef uint64_t epoch(self) noexcept:
        return self.engine.foreign_epoch()

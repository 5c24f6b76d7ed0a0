"""A cascade as the slow tier of another one, and which tier it is that a store becomes."""

from libc.stdlib cimport calloc, free

from door43fast.native.lmdb cimport LmdbEngine
from door43fast.native.memory cimport MemoryEngine
from door43fast.native.singles cimport MISSING
from door43fast.native.tiers cimport Fetched
from door43fast.native.tiers_disk cimport LmdbTier
from door43fast.native.tiers_memory cimport MemoryTier

from door43fast.errors import ClosedError, ConfigError


cdef class NestedTier(Tier):
    """A native cascade: what it answers from memory goes up as what it fetches does, without a call of Python."""

    def __cinit__(self, store not None, bint share):
        self.cascade = store
        if self.cascade.tier is None:
            raise ClosedError("a cascade that was never made cannot be a layer: make it of two stores first")
        self.codec = self.cascade.tier.codec
        self.follows = self.cascade.tier.follows
        self.publishes = self.cascade.tier.publishes
        self.default_ttl = self.cascade.tier.default_ttl
        self.knows_tags = self.cascade.tier.knows_tags
        self.packs = self.cascade.tier.packs
        self.lasting = self.cascade.tier.lasting

    cdef object canonical(self, object key):
        return self.cascade.tier.canonical(key)

    cdef object fetch(self, object key, Fetched* fetched):
        return self.cascade.fetch_for(key, fetched)

    cdef list fetch_many(self, list keys, Fetched* fetched):
        return self.cascade.fetch_many_for(keys, fetched)


cdef Tier tier_over(object store, bint share):
    if isinstance(store, LmdbEngine):
        return LmdbTier(store, share)
    if isinstance(store, MemoryEngine):
        return MemoryTier(store, share)
    if isinstance(store, Coherent):
        return NestedTier(store, share)
    for method in ("get", "set", "delete", "get_many", "set_many", "ttl", "scan", "close"):
        if not callable(getattr(store, method, None)):
            raise ConfigError(f"a layer must be a store, and {type(store).__name__} has no {method}()")
    return Tier(store, share)


def with_deadlines(store, list keys):
    """Each value under ``keys``, or MISSING, and the seconds that it has left, None for no end: of any store."""
    cdef Tier tier = tier_over(store, True)
    cdef Fetched* fetched
    cdef list values
    cdef Py_ssize_t i
    keys = list(keys)       # what runs meanwhile may make it longer
    if type(tier) is Tier and tier.lasting:
        return tier.with_deadlines(keys)
    fetched = <Fetched*>calloc(len(keys) + 1, sizeof(Fetched))
    if fetched == NULL:
        raise MemoryError()
    try:
        if not tier.lasting:
            values = [tier.fetch(keys[i], &fetched[i]) for i in range(len(keys))]
        else:
            values = tier.fetch_many(keys, fetched)
        return [(values[i], None if values[i] is MISSING or fetched[i].left < 0 else fetched[i].left / 1e9)
                for i in range(len(keys))]
    finally:
        free(fetched)

"""A memory store as the slow tier of a cascade, and what is known of a value in one."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.singles cimport MISSING
from door43fast.native.slab cimport Extra, slab_entry, slab_extra, slab_flags
from door43fast.native.table cimport STALE, TAGGED
from door43fast.native.wheel cimport NEVER, TICK_BITS


cdef int told_in_memory(MemoryEngine store, object key, object value, Fetched* fetched) except -1:
    cdef uint32_t hash
    cdef uint32_t ref = store.find(key, &hash)
    cdef uint64_t deadline
    fetched.left = -1
    fetched.keep = False
    if not ref or slab_entry(&store.slab, ref).value != <PyObject*>value:    # another thread has written meanwhile
        return 0
    fetched.keep = not (store.special and slab_flags(&store.slab, ref)[0] & TAGGED)
    deadline = store.soft_deadline(slab_entry(&store.slab, ref), ref)
    if deadline != NEVER:
        fetched.left = max(<int64_t>(deadline << TICK_BITS) + store.birth - store.clock.now(), 0)
    return 0


cdef object past_in_memory(MemoryEngine store, object key, int64_t* age):
    cdef uint32_t hash
    cdef uint32_t ref = store.find(key, &hash) if store.special else 0
    cdef uint64_t tick, deadline
    cdef Extra* x
    # Again: the search may have run code that emptied the table, and then there are no flags.
    if ref == 0 or not store.special or not slab_flags(&store.slab, ref)[0] & STALE:
        return MISSING
    tick = store.tick()
    x = slab_extra(&store.slab, ref)[0]
    if not x.deadline <= tick < x.until or store.tags.stale(x):
        return MISSING
    age[0] = max(store.clock.now() - store.birth - <int64_t>(x.deadline << TICK_BITS), 0)
    return <object>slab_entry(&store.slab, ref).value


cdef class MemoryTier(Tier):
    """A memory store."""

    def __cinit__(self, store not None, bint share):
        self.memory = store
        self.knows_tags = self.packs = self.lasting = True
        self.publishes = not self.memory.idle       # else what was set lasts for as long as it is read
        self.default_ttl = self.memory.ttl_ns

    cdef object fetch(self, object key, Fetched* fetched):
        value = <object>self.memory.hit(<PyObject*>key, <PyObject*>MISSING)
        if value is not MISSING:
            self.tell(key, value, fetched)
        return value

    cdef list fetch_many(self, list keys, Fetched* fetched):
        cdef list values = self.memory.gather(keys, MISSING, False)
        cdef Py_ssize_t i
        for i in range(len(values)):
            if values[i] is not MISSING:
                self.tell(keys[i], values[i], &fetched[i])
        return values

    cdef int tell(self, object key, object value, Fetched* fetched) except -1:
        told_in_memory(self.memory, key, value, fetched)
        if self.memory.idle and fetched.left >= 0:      # it lasts for as long as it is read, and here
            fetched.keep = False
        return 0

    cdef uint64_t epoch(self) noexcept:
        return 0

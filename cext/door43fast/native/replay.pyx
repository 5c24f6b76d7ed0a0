"""Replaying a trace: how many of its reads a store of some policy and size would answer.

The policies are those of the memory engine, called as it calls them; what a store has beside them (keys, values, an
index) is left out. The keys of a trace are numbered once, so that a key is found by its number. A miss is followed by
the insertion of the key, as whoever uses a cache does it.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from door43fast.native.hashing cimport mix
from door43fast.native.policy cimport (
    Kind, Policy, policy_add, policy_begin, policy_close, policy_hit, policy_open, policy_remove, policy_victim)
from door43fast.native.slab cimport Slab, d43_prefetch, slab_close, slab_entry, slab_open, slab_take

from door43fast.native import memory

cdef tuple POLICIES = memory.POLICIES

cdef enum:
    AHEAD = 16          # reads ahead, whose memory is asked for

cdef struct Known:      # what is known of a key
    uint32_t ref        # its entry, 0 for none
    uint32_t hits


cdef inline uint64_t spot(uint64_t key) noexcept nogil:
    key *= <uint64_t>0x9E3779B97F4A7C15
    return key ^ key >> 32


cdef struct Numbers:        # a table of keys, half full at the most
    Place* place
    uint64_t mask
    uint32_t count


cdef struct Place:
    uint64_t key
    uint64_t number         # plus one; 0 for an empty place


cdef Place* seek(Numbers* t, uint64_t key) noexcept nogil:
    cdef uint64_t p = spot(key) & t.mask
    while t.place[p].number and t.place[p].key != key:
        p = (p + 1) & t.mask
    return &t.place[p]


cdef bint grow(Numbers* t) noexcept nogil:
    cdef Numbers bigger
    cdef uint64_t i
    bigger.mask = 2 * t.mask + 1
    bigger.count = t.count
    bigger.place = <Place*>calloc(bigger.mask + 1, sizeof(Place))
    if bigger.place == NULL:
        return False
    for i in range(t.mask + 1):
        if t.place[i].number:
            seek(&bigger, t.place[i].key)[0] = t.place[i]
    free(t.place)
    t[0] = bigger
    return True


def number(const uint64_t[::1] keys, uint32_t[::1] out):
    """Number the keys from 0 in the order of their first appearance. Returns how many there are.

    ``out`` is as long as ``keys`` and takes the numbers.
    """
    cdef Py_ssize_t i, n = keys.shape[0]
    cdef Numbers t
    cdef Place* place
    cdef bint room = True
    if out.shape[0] != n:
        raise ValueError(f"there are {n} keys and room for {out.shape[0]} numbers")
    if n >= <Py_ssize_t>0xFFFFFFF0:
        raise ValueError(f"a trace of {n} reads is too long: it may have up to 4,294,967,279")
    t.mask = 1023
    t.count = 0
    t.place = <Place*>calloc(t.mask + 1, sizeof(Place))
    if t.place == NULL:
        raise MemoryError()
    with nogil:
        for i in range(n):
            if i + AHEAD < n:
                d43_prefetch(&t.place[spot(keys[i + AHEAD]) & t.mask])
            place = seek(&t, keys[i])
            if place.number:
                out[i] = <uint32_t>(place.number - 1)
                continue
            out[i] = t.count
            t.count += 1
            place.key = keys[i]
            place.number = t.count
            if <uint64_t>t.count * 2 > t.mask and not grow(&t):
                room = False
                break
        free(t.place)
    if not room:
        raise MemoryError()
    return t.count


cdef class Replay:
    """A store of ``entries`` entries with one policy, as it stands after the part of a trace that it has seen."""
    cdef Slab slab
    cdef Policy policy
    cdef Known* known
    cdef uint32_t* owner        # number of the key of an entry
    cdef uint64_t entries
    cdef uint64_t held
    cdef readonly uint32_t distinct
    cdef readonly uint64_t hits
    cdef readonly uint64_t reads

    def __cinit__(self, policy, uint64_t entries, uint32_t distinct):
        cdef uint64_t room = min(entries, distinct)
        if policy not in POLICIES or policy == "none":
            raise ValueError(f"policy={policy!r} is unknown, or evicts nothing")
        if not 0 < entries < <uint64_t>1 << 62:
            raise ValueError(f"entries={entries} must be 1 or more")
        self.entries = entries
        self.distinct = distinct
        self.known = <Known*>calloc(<size_t>distinct + 1, sizeof(Known))
        self.owner = <uint32_t*>calloc(room + 8, 4)     # references begin at 4 at the most, and are used again
        if self.known == NULL or self.owner == NULL or not slab_open(&self.slab):
            raise MemoryError()
        policy_open(&self.policy, <Kind><int>POLICIES.index(policy), entries, 0)
        policy_begin(&self.policy, &self.slab)

    def __dealloc__(self):
        slab_close(&self.slab)
        policy_close(&self.policy)
        free(self.known)
        free(self.owner)

    def run(self, const uint32_t[::1] numbers, const uint64_t[::1] hashes):
        """Go on with these reads: the numbers of their keys, and the hashes of these. Lets go of the GIL."""
        cdef Py_ssize_t n = numbers.shape[0]
        cdef int fault
        if hashes.shape[0] != n:
            raise ValueError(f"there are {n} numbers for {hashes.shape[0]} hashes")
        if n == 0:
            return
        with nogil:
            fault = self.go(&numbers[0], &hashes[0], n)
        if fault == 1:
            raise MemoryError()
        if fault == 2:
            raise ValueError(f"a number is beyond the {self.distinct} keys that were told of")

    cdef int go(self, const uint32_t* numbers, const uint64_t* hashes, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i
        cdef uint32_t ref
        cdef Known* k
        for i in range(n):
            if numbers[i] >= self.distinct:
                return 2
            if i + 2 * AHEAD < n:
                d43_prefetch(&self.known[min(numbers[i + 2 * AHEAD], self.distinct)])
                ref = self.known[min(numbers[i + AHEAD], self.distinct)].ref
                if ref:
                    d43_prefetch(slab_entry(&self.slab, ref))
            k = &self.known[numbers[i]]
            self.reads += 1
            if k.ref:
                self.hits += 1
                k.hits += 1
                policy_hit(&self.policy, &self.slab, k.ref)
                continue
            if self.held < self.entries:
                ref = slab_take(&self.slab)
                if ref == 0:
                    return 1
                self.held += 1
            else:
                ref = policy_victim(&self.policy, &self.slab)
                policy_remove(&self.policy, &self.slab, ref)
                self.known[self.owner[ref]].ref = 0
            self.owner[ref] = numbers[i]
            slab_entry(&self.slab, ref).hash = mix(<Py_hash_t>hashes[i])
            policy_add(&self.policy, &self.slab, ref)
            k.ref = ref
        return 0

    def hits_by_key(self, uint32_t[::1] out):
        """How many hits each key had, by its number, in ``out``."""
        cdef Py_ssize_t i
        if out.shape[0] != self.distinct:
            raise ValueError(f"there are {self.distinct} keys and room for {out.shape[0]}")
        for i in range(out.shape[0]):
            out[i] = self.known[i].hits

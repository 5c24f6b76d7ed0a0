"""The table under a memory store: entries by hashed key, with recency, expiry, budgets, pins and tags."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from door43fast.native.clock cimport Clock
from door43fast.native.core cimport FREE, Core, Reason
from door43fast.native.hashing cimport mix
from door43fast.native.index cimport (
    ASCII, REFERENCE, Group, Groups, Index, d43_first, d43_match, d43_tag, groups_home)
from door43fast.native.policy cimport Policy
from door43fast.native.queues cimport LINK
from door43fast.native.recording cimport Recording, Tape
from door43fast.native.slab cimport FLAGS, Entry, Extra, Slab, d43_prefetch, slab_entry, slab_extra, slab_flags
from door43fast.native.tags cimport TagTable
from door43fast.native.wheel cimport LONG, NEVER, TICK_BITS, Wheel

cdef extern from "d43_str.h" nogil:
    Py_hash_t d43_str_hash(PyObject* s) noexcept
    bint d43_str_equal(PyObject* a, PyObject* b) noexcept
    bint d43_str_equal_ascii(PyObject* a, PyObject* b) noexcept
    bint d43_str_is_ascii(PyObject* s) noexcept
    int d43_str_fault(PyObject* s) noexcept

cdef extern from "d43_slots.h" nogil:
    ctypedef struct Slot "d43_slot":
        uint32_t count
        uint64_t hits
        uint64_t misses
        uint32_t note[1]
    ctypedef struct Slots "d43_slots":
        Slot slot[1]
        uint32_t used
    const uint32_t SLOTS "D43_SLOTS"
    const uint32_t NOTES "D43_SLOT_NOTES"
    Slots* d43_slots_new() noexcept
    void d43_slots_free(Slots* s) noexcept
    Slots* d43_slots_of(void** place) noexcept
    bint d43_slots_open(Slots* s) noexcept
    void d43_slots_set_open(Slots* s) noexcept
    void d43_slots_publish(void** place, Slots* s) noexcept
    void d43_slots_close(Slots* s) noexcept
    uint32_t d43_slot_number() noexcept
    Slot* d43_slot_enter(Slots* s) noexcept
    Slot* d43_slot_take(Slots* s, uint32_t number) noexcept
    void d43_slot_leave(Slot* slot) noexcept

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(PyObject* o) noexcept

cdef enum:
    RECORDING = 16      # in ``notice``, beside the kind of the policy

cdef enum:
    PINNED = 1
    TAGGED = 2          # its Extra holds tags
    STALE = 4           # its Extra holds a stale window
    ABSOLUTE = 8        # has a ttl of its own in a store with ``idle``

cdef extern from *:
    """
    #define D43_ASK 0xFFFFFFFEu
    """
    const uint32_t ASK "D43_ASK"        # no reference: the object protocol must be asked

cdef struct Seat:
    PyObject* table
    PyObject* flights
    Seat* next
    Seat* prev

cdef class Table(Core):
    cdef Index index
    cdef Slab slab
    cdef Wheel* wheel
    cdef TagTable tags
    cdef Clock clock
    cdef bint begun             # it was initialised
    cdef int64_t birth
    cdef object weigher
    cdef int64_t ttl_ns         # default time to live, -1 for none
    cdef uint64_t idle          # ticks of sliding expiry, 0 for none
    cdef uint64_t max_entries   # 0: no bound
    cdef uint64_t max_bytes     # 0: no bound
    cdef bint ring              # there is a policy, and something that it may evict for
    cdef Policy policy
    cdef bint special           # some entry has had flags
    cdef int notice             # what a hit is told to: the kind of the policy, with RECORDING where reads are recorded
    cdef bint aside             # a miss takes the longer way: the store is closed, or reads are recorded
    cdef Tape* tape             # of ``recording``
    cdef Recording recording    # the last one; None until the first
    cdef Py_hash_t asked        # hash of the last key that does not carry its own
    cdef uint64_t count
    cdef uint64_t bytes
    cdef uint64_t pinned
    cdef uint64_t pinned_bytes
    cdef uint64_t version       # raised by every change: what was found before may be gone
    cdef uint64_t keys_version  # raised when the set of keys changes
    cdef uint64_t hits, misses, sets, deletes, evictions, expirations
    cdef PyObject** doomed      # references to let go of when the change is complete
    cdef size_t doomed_count
    cdef size_t doomed_room
    cdef void* slots            # of the threads that read without the lock: Slots, NULL until there are any
    cdef Seat* seat            # in the list of tables
    cdef uint32_t quiet         # reads since the last change
    cdef uint32_t voiding       # writes that are done, but whose flights are not voided yet

    # The first act of every change of what a reader without the lock looks at. Runs no Python code.
    cdef inline void shut(self) noexcept:
        if FREE:
            self.quiet = 0
            if self.slots != NULL and d43_slots_open(<Slots*>self.slots):
                self.close_slots()

    cdef void close_slots(self) noexcept
    cdef void take_notes(self, Slot* slot) noexcept

    cdef inline uint64_t tick(self) noexcept nogil:
        cdef int64_t age = self.clock.now() - self.birth
        return 0 if age < 0 else <uint64_t>age >> TICK_BITS

    cdef inline uint64_t soft_deadline(self, Entry* e, uint32_t ref) noexcept nogil:
        return slab_extra(&self.slab, ref)[0].deadline if e.deadline == LONG else e.deadline

    cdef inline bint live(self, Entry* e, uint32_t ref) noexcept nogil:
        if e.deadline != NEVER and self.soft_deadline(e, ref) <= self.tick():
            return False
        if self.special and slab_flags(&self.slab, ref)[0] & TAGGED:
            return not self.tags.stale(slab_extra(&self.slab, ref)[0])
        return True

    # The entry of an exact str in one table of groups: a reference, 0, or ASK. Runs no Python code.
    cdef inline uint32_t seek(self, Groups* t, PyObject* key, uint32_t hash) noexcept:
        cdef uint32_t home = hash >> t.shift
        cdef uint32_t p = home
        cdef uint32_t tag = d43_tag(hash)
        cdef uint32_t found, marked, ref
        cdef Group* g
        cdef Entry* e
        while True:
            g = &t.group[p]
            found = d43_match(g, tag)
            while found:
                marked = g.ref[d43_first(found)]
                ref = marked & REFERENCE
                e = slab_entry(&self.slab, ref)
                if e.key == key:
                    return ref
                if e.hash == hash and marked & ASCII:
                    if d43_str_equal_ascii(e.key, key):
                        return ref
                elif e.hash == hash:
                    if not PyUnicode_CheckExact(e.key):
                        return ASK
                    if d43_str_equal(e.key, key):
                        return ref
                found &= found - 1
            if not g.over:
                return 0
            p = (p + 1) & t.mask
            if p == home:
                return 0

    # The reference of a key's entry, 0 if there is none. Runs no Python code after the search has ended.
    # hot
    cdef inline uint32_t find(self, object key, uint32_t* hash) except? 0xFFFFFFFE:
        cdef uint32_t ref
        cdef Py_hash_t h
        if PyUnicode_CheckExact(<PyObject*>key) and not self.closed:
            h = d43_str_hash(<PyObject*>key)
            if h != -1:
                hash[0] = mix(h)
                ref = self.seek(&self.index.now, <PyObject*>key, hash[0])
                if ref != ASK and (ref or self.index.old.group == NULL):
                    return ref
        return self.find_hashed(key, hash)

    # Record one read, by the hash of its key. REQUIRES: ``notice`` says RECORDING. Runs no Python code.
    cdef inline void record(self, Py_hash_t h) noexcept:
        if FREE:
            if not self.recording.put(h):
                self.record_no_more()
            return
        if self.tape.at == self.tape.end and not self.recording.turn():
            self.record_no_more()
            return
        self.tape.at[0] = <uint64_t>h
        self.tape.at += 1

    # What the index holds for an entry with this key.
    cdef inline uint32_t marked(self, PyObject* key, uint32_t ref) noexcept:
        return ref | ASCII if d43_str_is_ascii(key) else ref

    # The next to be evicted is known one eviction ahead: what its removal will touch is asked for now.
    cdef inline void expect(self, uint32_t ref) noexcept nogil:
        cdef Entry* e = slab_entry(&self.slab, ref)
        d43_prefetch(groups_home(&self.index.now, e.hash))
        d43_prefetch(e.key)
        d43_prefetch(e.value)
        d43_prefetch(slab_entry(&self.slab, e.prev & LINK))

    cdef void record_no_more(self) noexcept
    cdef uint32_t find_hashed(self, object key, uint32_t* hash) except? 0xFFFFFFFE
    cdef uint32_t find_any(self, object key, uint32_t hash) except? 0xFFFFFFFE
    cdef int need_open(self) except -1
    cdef int refuse(self, object key) except -1
    cdef void remove(self, uint32_t ref, Reason reason, bint tell) noexcept
    cdef uint64_t reap(self, uint32_t budget) noexcept
    cdef void doom(self, PyObject* o) noexcept
    cdef int settle(self) except -1
    cdef int settle_freely(self) except -1
    cdef int empty(self) except -1

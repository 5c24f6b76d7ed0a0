"""The table under a memory store: entries by hashed key, with recency, expiry, budgets, pins and tags.

The rule that keeps it whole: the GIL is its lock, and **no Python code runs in the middle of a change**. A method
first does all that may run Python code (``__hash__``, the weigher, reading options), then finds the key
(``__eq__``, after which the search begins anew if anything changed meanwhile), then changes the table without
allocating a Python object, comparing or letting go of a reference, and last settles: the references that it no
longer needs are dropped and listeners are told. Any of these may call back into the same table.

Where there is no GIL the critical section of the store is its lock (see ``d43_section.h``): every method that others
can call takes it, and settles after. A change begins with ``shut``, since some readers take no lock (``readers.pyx``).
"""

import os

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport Py_EQ, PyObject, PyObject_Hash, PyObject_RichCompareBool
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from door43fast.native.core cimport (
    BY_EVICTION, BY_EXPIRY, OP_DELETE, EventQueue, d43_section_free, spin_lock, spin_unlock)
from door43fast.native.hashing cimport mix
from door43fast.native.index cimport Walk, index_close, index_open, index_remove, walk_begin, walk_next
from door43fast.native.labels cimport Labels
from door43fast.native.policy cimport policy_begin, policy_close, policy_hit, policy_remove
from door43fast.native.slab cimport (
    EXTRAS, LINKS, WEIGHTS, d43_pages_trim, slab_close, slab_give, slab_open, slab_turn_on, slab_weight)
from door43fast.native.wheel cimport wheel_arm, wheel_disarm, wheel_holds, wheel_turn

from door43fast.errors import ClosedError

cdef enum:
    MANY = 10_000       # entries let go of at once, after which the C heap is asked to shrink
    RETRIES = 1000      # searches begun anew because a key's __eq__ changed the table each time
    HANDFUL = 32        # references that are taken out of the lock at once


cdef uint32_t lock                  # guards the list
cdef Seat tables                   # all tables, where there is no GIL


cdef int enlist(Table table) except -1:
    cdef Seat* seat = <Seat*>calloc(1, sizeof(Seat))
    if seat == NULL:
        raise MemoryError()
    seat.table = <PyObject*>table
    seat.flights = <PyObject*>table.flights
    seat.prev = &tables
    spin_lock(&lock)
    seat.next = tables.next
    if seat.next != NULL:
        seat.next.prev = seat
    tables.next = seat
    spin_unlock(&lock)
    table.seat = seat
    return 0


cdef void delist(Table table) noexcept:
    cdef Seat* seat = table.seat
    if seat == NULL:
        return
    spin_lock(&lock)
    seat.prev.next = seat.next
    if seat.next != NULL:
        seat.next.prev = seat.prev
    spin_unlock(&lock)
    free(seat)


def _after_fork():
    """In a forked child: locks that were on their way to threads which are not here are free."""
    global lock
    cdef Seat* seat
    lock = 0
    with nogil:
        seat = tables.next
        while seat != NULL:
            d43_section_free(seat.table)
            d43_section_free(seat.flights)
            seat = seat.next


if FREE and hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef class Table(Core):
    def __cinit__(self, *_, **__):
        if FREE:
            enlist(self)
        self.ttl_ns = -1
        self.clock = Clock()        # also for an heir that does not call our __init__
        self.birth = self.clock.now()
        self.tags = TagTable()
        if not index_open(&self.index) or not slab_open(&self.slab):
            raise MemoryError()

    def __dealloc__(self):
        cdef uint32_t ref
        if FREE:
            delist(self)
        cdef Entry* e
        for ref in range(1, self.slab.used):
            e = slab_entry(&self.slab, ref)
            Py_XDECREF(e.key)
            Py_XDECREF(e.value)
            if self.slab.on[EXTRAS]:
                free(slab_extra(&self.slab, ref)[0])
        while self.doomed_count:
            self.doomed_count -= 1
            Py_DECREF(<object>self.doomed[self.doomed_count])
        PyMem_RawFree(self.doomed)
        slab_close(&self.slab)
        index_close(&self.index)
        policy_close(&self.policy)
        free(self.wheel)
        if FREE:
            d43_slots_free(<Slots*>self.slots)

    # -- readers without the lock, where there is no GIL: REQUIRES the lock -----------------------------------

    cdef void close_slots(self) noexcept:
        """Let nobody read without the lock, and take over what those did who have."""
        cdef Slots* s = <Slots*>self.slots
        cdef uint32_t number
        d43_slots_close(s)
        for number in range(SLOTS):
            if s.used >> number & 1:
                self.take_notes(&s.slot[number])

    cdef void take_notes(self, Slot* slot) noexcept:
        """What the reads that a slot tells of did beside reading."""
        cdef uint32_t i
        for i in range(slot.count):
            policy_hit(&self.policy, &self.slab, slot.note[i])
        self.hits += slot.hits
        self.misses += slot.misses
        slot.count = 0
        slot.hits = slot.misses = 0

    # -- finding ---------------------------------------------------------------------------------------------

    cdef uint32_t find_hashed(self, object key, uint32_t* hash) except? 0xFFFFFFFE:
        """``find`` for keys that do not carry their hash."""
        cdef Py_hash_t h
        cdef uint32_t ref
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        if PyUnicode_CheckExact(<PyObject*>key):
            hash[0] = mix(PyObject_Hash(key))
            ref = self.seek(&self.index.now, <PyObject*>key, hash[0])
            if ref == 0 and self.index.old.group != NULL:
                ref = self.seek(&self.index.old, <PyObject*>key, hash[0])
            return ref if ref != ASK else self.find_any(key, hash[0])
        try:
            h = PyObject_Hash(key)
        except TypeError as error:
            raise TypeError(f"a key must be hashable, and this {type(key).__name__} is not ({error}): "
                            "use a str, a number, a tuple or a frozenset of such") from error
        hash[0] = mix(h)
        ref = self.find_any(key, hash[0])
        self.asked = h      # a comparison may have looked for others
        return ref

    cdef uint32_t find_any(self, object key, uint32_t hash) except? 0xFFFFFFFE:
        cdef Walk walk
        cdef Entry* e
        cdef PyObject* stored
        cdef uint64_t version
        cdef uint32_t ref
        cdef int equal, turn, row
        for turn in range(RETRIES):
            if self.closed:     # by the hash or the comparison
                raise ClosedError(f"{type(self).__name__} was closed while a key was hashed or compared")
            version = self.version
            for row in range(2):
                if row == 1 and self.index.old.group == NULL:
                    break
                walk_begin(&walk, &self.index.now if row == 0 else &self.index.old, hash)
                ref = walk_next(&walk)
                while ref:
                    e = slab_entry(&self.slab, ref)
                    stored = e.key
                    if stored == <PyObject*>key:
                        return ref
                    if e.hash == hash:
                        Py_INCREF(<object>stored)
                        try:
                            equal = PyObject_RichCompareBool(<object>stored, key, Py_EQ)
                        finally:
                            Py_DECREF(<object>stored)   # may be the last one, and run Python code
                        if self.version != version:
                            break
                        if equal:
                            return ref
                    ref = walk_next(&walk)
                if self.version != version:
                    break
            if self.version == version:
                return 0
        raise RuntimeError(f"the __eq__ of {type(key).__name__} changed the store in each of {RETRIES} searches")

    cdef int need_open(self) except -1:
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return 0

    cdef int refuse(self, object key) except -1:
        """Raise for a str that no store takes as a key."""
        cdef int fault
        if PyUnicode_CheckExact(<PyObject*>key):
            fault = d43_str_fault(<PyObject*>key)
            if fault == 1:
                raise ValueError("the empty str is not a key: give it at least one character")
            if fault == 2:
                raise ValueError(f"key {key!r} holds a lone surrogate and has no UTF-8 form: "
                                 "decode it with errors='surrogateescape' undone, or use bytes keys")
        return 0

    cdef void record_no_more(self) noexcept:
        self.notice = self.policy.kind
        self.aside = self.closed

    # -- removing --------------------------------------------------------------------------------------------

    cdef void remove(self, uint32_t ref, Reason reason, bint tell) noexcept:
        """Take an entry out. Runs no Python code; its key and value are let go of when the caller settles."""
        cdef Slab* s = &self.slab
        cdef Entry* e = slab_entry(s, ref)
        cdef bint pin = self.special and (slab_flags(s, ref)[0] & PINNED) != 0
        cdef uint64_t weight = 0
        cdef Labels* labels = NULL
        self.shut()
        index_remove(&self.index, e.hash, ref)
        if s.on[LINKS] and wheel_holds(s, ref):
            wheel_disarm(self.wheel, s, ref)
        if s.on[EXTRAS] and slab_extra(s, ref)[0] != NULL:
            if tell and self.events is not None and self.events.labelled():
                labels = self.tags.labels(slab_extra(s, ref)[0], NULL)
            self.tags.release(slab_extra(s, ref)[0])
            slab_extra(s, ref)[0] = NULL
        if self.max_bytes:
            weight = slab_weight(s, ref)[0]
            self.bytes -= weight
        if pin:
            self.pinned -= 1
            self.pinned_bytes -= weight
        elif self.ring:
            policy_remove(&self.policy, s, ref)
        if tell and self.events is not None and (self.events.heard() or labels != NULL):
            self.events.push(OP_DELETE, reason, e.key, e.value, labels)
        if reason == BY_EVICTION:
            self.evictions += 1
        elif reason == BY_EXPIRY:
            self.expirations += 1
        self.doom(e.key)
        self.doom(e.value)
        slab_give(s, ref)
        self.count -= 1
        self.version += 1
        self.keys_version += 1

    cdef uint64_t reap(self, uint32_t budget) noexcept:
        """Let the wheel turn, and take out what is due. Returns how many; runs no Python code."""
        cdef uint64_t now, due, n = 0
        cdef uint32_t ref
        cdef Entry* e
        if self.wheel == NULL:
            return 0
        now = self.tick()
        while True:
            ref = wheel_turn(self.wheel, &self.slab, now, &budget)
            if ref == 0:
                return n
            e = slab_entry(&self.slab, ref)
            due = self.soft_deadline(e, ref)
            if self.special and slab_flags(&self.slab, ref)[0] & STALE:
                due = slab_extra(&self.slab, ref)[0].until
            if due > now:
                wheel_arm(self.wheel, &self.slab, ref, due)
            else:
                self.remove(ref, BY_EXPIRY, True)
                n += 1

    cdef void doom(self, PyObject* o) noexcept:
        cdef PyObject** grown
        if self.doomed_count == self.doomed_room:
            grown = <PyObject**>PyMem_RawRealloc(self.doomed, (self.doomed_room * 2 + 16) * sizeof(void*))
            if grown == NULL:
                return      # out of memory: a reference that is never dropped harms less than one dropped now
            self.doomed = grown
            self.doomed_room = self.doomed_room * 2 + 16
        self.doomed[self.doomed_count] = o
        self.doomed_count += 1

    cdef int settle(self) except -1:
        """The last act of every change, without the lock: drop references and tell the listeners. Runs Python code."""
        if FREE:
            return self.settle_freely()
        while self.doomed_count:
            self.doomed_count -= 1
            Py_DECREF(<object>self.doomed[self.doomed_count])
        if self.events is not None and self.events.held:
            self.events.drain()
        return 0

    cdef int settle_freely(self) except -1:
        cdef PyObject* doomed[HANDFUL]
        cdef size_t count = HANDFUL
        cdef EventQueue events = None
        while count == HANDFUL:
            with cython.critical_section(self):
                count = min(self.doomed_count, <size_t>HANDFUL)
                self.doomed_count -= count
                if count:
                    memcpy(doomed, self.doomed + self.doomed_count, count * sizeof(doomed[0]))
                events = self.events
            for i in range(count):
                Py_DECREF(<object>doomed[i])
        if events is not None:
            events.drain()
        return 0

    cdef int empty(self) except -1:
        """Take out everything at once. The caller tells the listeners."""
        cdef Slab slab, fresh
        cdef Index index, places
        cdef uint32_t ref
        cdef Entry* e
        memset(&places, 0, sizeof(Index))
        if not slab_open(&fresh) or not index_open(&places) or (
                self.max_bytes and not slab_turn_on(&fresh, WEIGHTS)) or self.idle and not slab_turn_on(&fresh, FLAGS):
            slab_close(&fresh)
            index_close(&places)
            raise MemoryError()
        self.shut()
        slab, index = self.slab, self.index
        self.slab, self.index = fresh, places
        policy_begin(&self.policy, &self.slab)
        free(self.wheel)
        self.wheel = NULL
        self.special = self.idle != 0
        self.count = self.bytes = self.pinned = self.pinned_bytes = 0
        self.version += 1
        self.keys_version += 1
        if slab.on[EXTRAS]:
            for ref in range(1, slab.used):
                if slab_extra(&slab, ref)[0] != NULL:
                    self.tags.release(slab_extra(&slab, ref)[0])
        index_close(&index)
        for ref in range(1, slab.used):     # from here on Python code runs, on what nobody can reach any more
            e = slab_entry(&slab, ref)
            Py_XDECREF(e.key)
            Py_XDECREF(e.value)
        if slab.used > MANY:
            d43_pages_trim()
        slab_close(&slab)
        return 0

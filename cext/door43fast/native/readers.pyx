"""Readers that take no lock, where there is no GIL.

A hit of a str that needs nothing but to be found, counted and noted for the policy goes without the lock of the table,
so that threads which read do not wait for one another. ``d43_slots.h`` says how, and ``Table.shut`` ends it before
each change. All others take the lock: keys of other types, entries with flags or past their time, and every read while
changes are frequent or reads are recorded. Builds with a GIL make none of these calls.
"""

from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.object cimport Py_EQ, PyObject, PyObject_Hash, PyObject_RichCompareBool
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t

from door43fast.native.batch cimport (
    BLOCK, SINGLY, TEXT_REACH, PyLong_CheckExact, PySequence_Fast_ITEMS, Row, row_find, row_of_objects)
from door43fast.native.hashing cimport mix
from door43fast.native.index cimport REFERENCE
from door43fast.native.slab cimport Entry, slab_entry
from door43fast.native.table cimport (
    ASK, NOTES, RECORDING, SLOTS, PyUnicode_CheckExact, Slot, Slots, d43_slot_enter, d43_slot_leave, d43_slot_number,
    d43_slot_take, d43_slots_new, d43_slots_of, d43_slots_open, d43_slots_publish, d43_slots_set_open, d43_str_equal,
    d43_str_fault, d43_str_hash)
from door43fast.native.wheel cimport LONG, NEVER
from door43fast.native.writes cimport Writes

cdef enum:
    QUIET = 16          # reads without a change between them, after which readers need no lock


cdef bint same(PyObject* stored, PyObject* key) noexcept:
    """Whether two exact str or two exact int are equal; False for all others, which may be equal nevertheless."""
    if PyUnicode_CheckExact(key):
        return PyUnicode_CheckExact(stored) and d43_str_equal(stored, key)
    return PyLong_CheckExact(stored) and PyObject_RichCompareBool(<object>stored, <object>key, Py_EQ) == 1


cdef class Readers(Writes):

    cdef PyObject* read_unlocked(self, PyObject* key, PyObject* absent) noexcept:
        cdef Slots* slots = d43_slots_of(&self.slots)
        cdef Slot* slot
        cdef Py_hash_t h
        cdef uint32_t hash, ref
        cdef Entry* e
        cdef PyObject* value = NULL
        if slots == NULL or not PyUnicode_CheckExact(key):
            return NULL
        h = d43_str_hash(key)
        hash = mix(h if h != -1 else PyObject_Hash(<object>key))
        slot = d43_slot_enter(slots)
        if slot == NULL:
            return NULL
        # From here on no other thread changes the table, and nothing may wait or run Python code.
        if slot.count < NOTES:
            ref = self.seek(&self.index.now, key, hash)
            if ref == 0 and self.index.old.group != NULL:
                ref = self.seek(&self.index.old, key, hash)
            if ref == 0:
                if not d43_str_fault(key):
                    slot.misses += 1
                    value = absent
            elif ref != ASK:
                e = slab_entry(&self.slab, ref)
                if e.deadline == NEVER or e.deadline != LONG and e.deadline > self.tick():
                    slot.hits += 1
                    if self.notice:
                        slot.note[slot.count] = ref
                        slot.count += 1
                    value = e.value
            if value != NULL:
                Py_INCREF(<object>value)
        d43_slot_leave(slot)
        return value

    cdef list gather_unlocked(self, tuple wanted, object default):
        cdef Slots* slots = d43_slots_of(&self.slots)
        cdef Slot* slot
        cdef Row row
        cdef Py_ssize_t n = len(wanted), i
        cdef PyObject** item = PySequence_Fast_ITEMS(<PyObject*>wanted)
        cdef PyObject* held
        cdef Entry* e
        cdef list found
        cdef bint good
        if slots == NULL or n > BLOCK or not d43_slots_open(slots):
            return None
        found = PyList_New(n)
        slot = d43_slot_enter(slots)
        if slot == NULL:
            return None
        row_of_objects(&row, &self.index, <PyObject*>wanted, 0, n)
        row_find(&row, &self.index, &self.slab, n, TEXT_REACH, True)
        good = slot.count + n <= NOTES
        for i in range(n):
            if row.ref[i] == 0:
                good = good and not (PyUnicode_CheckExact(item[i]) and d43_str_fault(item[i]))
            elif row.ref[i] == SINGLY:
                good = False
            else:
                e = slab_entry(&self.slab, row.ref[i] & REFERENCE)
                good = good and same(e.key, item[i]) and (
                    e.deadline == NEVER or e.deadline != LONG and e.deadline > self.tick())
        for i in range(n if good else 0):
            held = <PyObject*>default
            if row.ref[i]:
                slot.hits += 1
                if self.notice:
                    slot.note[slot.count] = row.ref[i] & REFERENCE
                    slot.count += 1
                held = slab_entry(&self.slab, row.ref[i] & REFERENCE).value
            else:
                slot.misses += 1
            Py_INCREF(<object>held)
            PyList_SET_ITEM(found, i, <object>held)
        d43_slot_leave(slot)
        return found if good else None

    cdef void catch_up(self) noexcept:
        cdef Slots* s = <Slots*>self.slots
        cdef Slot* slot
        cdef uint32_t number
        cdef bint full
        if s == NULL or not d43_slots_open(s):
            return
        slot = d43_slot_take(s, d43_slot_number())
        full = slot.count == NOTES          # which is why its thread comes; others need not be disturbed
        self.take_notes(slot)
        d43_slot_leave(slot)
        for number in range(0 if full else SLOTS):
            slot = d43_slot_take(s, number)
            self.take_notes(slot)
            d43_slot_leave(slot)

    cdef void read_once(self) noexcept:
        """If there have been many and no change, the next need no lock."""
        cdef Slots* s = <Slots*>self.slots
        self.catch_up()
        self.quiet += 1
        if self.quiet < QUIET or self.special or self.aside or self.notice & RECORDING:
            return
        if s == NULL:
            s = d43_slots_new()
            d43_slots_publish(&self.slots, s)
        if s != NULL and not d43_slots_open(s):
            d43_slots_set_open(s)

"""The batch methods of the memory engine: each asks for the memory that a block of keys needs before it waits for any.

Meanings are those of the contract in ``door43fast.contracts.Store``. See ``table.pyx`` for the rule by which all of
it survives re-entry.
"""

import sys
from collections.abc import Mapping
from itertools import islice

cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer)
from cpython.list cimport PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport atol
from libc.string cimport strlen

from door43fast.native.batch cimport (
    BLOCK, INT_REACH, LARGE, SINGLY, TEXT_REACH, PyLong_CheckExact, PySequence_Fast_GET_SIZE, PySequence_Fast_ITEMS,
    Row, Texts, d43_int64_hash, d43_int64_is, d43_text_hash, d43_text_is, d43_text_object, row_find, row_of_numbers,
    row_of_objects, row_of_texts)
from door43fast.native.clock cimport span_ns
from door43fast.native.core cimport FREE
from door43fast.native.index cimport ASCII, REFERENCE
from door43fast.native.ordered cimport Ordered
from door43fast.native.singles cimport MISSING, own_hash
from door43fast.native.slab cimport Entry, slab_entry
from door43fast.native.table cimport PyUnicode_CheckExact, d43_str_equal, d43_str_equal_ascii, d43_str_fault
from door43fast.native.writes cimport Claim, Write

from door43fast.errors import ClosedError

cdef extern from "Python.h":
    PyObject* Py_True
    PyObject* Py_False
    void PyObject_GC_Track(PyObject* o) noexcept
    void PyObject_GC_UnTrack(PyObject* o) noexcept


cdef enum Form:         # how the keys of a batch are given
    LISTED              # a list or tuple of objects
    NUMBERS             # 64-bit integers in a row of memory
    BYTES               # texts of a fixed width there, of a byte a character
    WIDE                # and of four


cdef Form form_of(object keys, Py_buffer* view) except *:
    """How the keys are given; unless they must be listed, ``view`` is to be released."""
    cdef Form form = LISTED
    if type(keys) is list or type(keys) is tuple or not PyObject_CheckBuffer(keys):
        return LISTED
    try:
        PyObject_GetBuffer(keys, view, PyBUF_STRIDES | PyBUF_FORMAT)
    except (BufferError, ValueError):       # an array of dates, for example, hands out no memory
        return LISTED
    if view.ndim == 1 and view.format != NULL:
        if view.itemsize == 8 and view.format[0] in b"lq" and view.format[1] == 0:
            if (<size_t>view.buf | <size_t>view.strides[0]) % 8 == 0:
                form = NUMBERS
        elif atol(view.format) == view.itemsize > 0 and view.format[strlen(view.format) - 1] == c"s":
            form = BYTES
        elif atol(view.format) * 4 == view.itemsize > 0 and view.format[strlen(view.format) - 1] == c"w":
            form = WIDE
    if form == LISTED:
        PyBuffer_Release(view)
    return form


cdef object sequence_of(object keys):
    """The keys as a list or tuple, which is taken as it is; those of an array as plain Python objects."""
    if type(keys) is list or type(keys) is tuple:
        return keys
    numpy = sys.modules.get("numpy")        # an array can only be at hand where NumPy was imported
    if numpy is not None and type(keys) is numpy.ndarray and keys.ndim == 1 and keys.dtype.kind in "iufbUS":
        return keys.tolist()
    return list(keys)


cdef bint same_key(PyObject* stored, PyObject* key) noexcept:
    """Whether two exact str or two exact int are equal; False for all others, which may be equal nevertheless."""
    if PyUnicode_CheckExact(key):
        return PyUnicode_CheckExact(stored) and d43_str_equal(stored, key)
    return PyLong_CheckExact(stored) and PyObject_RichCompareBool(<object>stored, <object>key, Py_EQ) == 1


cdef object packable(object key, object value):
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"key {key!r} holds {type(value).__name__}, and only bytes can be packed")
    return value


cdef class Batches(Ordered):

    cdef list gather(self, object keys, object default, bint peek):
        """For each key its value or ``default``, as ``get``; with ``peek`` whether it is there, as ``in``.

        What the stages of a block have found is used by its last one, unless something has run in between that may
        have changed the table or the list of keys: then the rest of the block is looked up key by key.
        """
        cdef Row row
        cdef Texts texts
        cdef Py_buffer view
        cdef Form form = form_of(keys, &view)
        cdef object wanted = sequence_of(keys) if form == LISTED else keys
        cdef Py_ssize_t n = PySequence_Fast_GET_SIZE(<PyObject*>wanted) if form == LISTED else view.shape[0]
        cdef Py_ssize_t stride = 0 if form == LISTED else view.strides[0]
        cdef Py_ssize_t characters = 0 if form == LISTED else view.itemsize // (4 if form == WIDE else 1)
        cdef const char* data = NULL
        cdef Py_ssize_t start, size, i, j
        cdef uint64_t version
        cdef uint32_t ref
        cdef PyObject** item
        cdef bint same, ascii
        cdef PyObject* stored
        cdef PyObject* held
        cdef list found
        try:
            found = PyList_New(n)
            PyObject_GC_UnTrack(<PyObject*>found)      # nobody may come upon it before it is full
            start = 0
            while start < n:
                size = min(<Py_ssize_t>BLOCK, n - start)
                version = self.version
                if self.closed:
                    raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
                if form == LISTED:
                    if PySequence_Fast_GET_SIZE(<PyObject*>wanted) < start + size:
                        raise RuntimeError("the list of keys became shorter while it was being read")
                    row_of_objects(&row, &self.index, <PyObject*>wanted, start, size)
                    item = PySequence_Fast_ITEMS(<PyObject*>wanted) + start
                else:
                    item = NULL
                    data = <char*>view.buf + start * stride
                    if form == NUMBERS:
                        row_of_numbers(&row, &self.index, data, stride, size)
                    else:
                        row_of_texts(&row, &texts, &self.index, data, stride, characters, form == WIDE, size)
                row_find(&row, &self.index, &self.slab, size, INT_REACH if form == NUMBERS else TEXT_REACH, not peek)
                for i in range(size):
                    ref = row.ref[i]
                    held = NULL
                    if ref == 0:
                        if form == LISTED and PyUnicode_CheckExact(item[i]) and d43_str_fault(item[i]):
                            self.refuse(<object>item[i])
                    elif ref != SINGLY:
                        ascii = (ref & ASCII) != 0
                        ref &= REFERENCE
                        stored = slab_entry(&self.slab, ref).key
                        if form == LISTED:
                            same = stored == item[i] or (
                                d43_str_equal_ascii(stored, item[i]) if ascii and PyUnicode_CheckExact(item[i])
                                else same_key(stored, item[i]))
                        elif form == NUMBERS:
                            same = d43_int64_is(stored, (<int64_t*>(data + i * stride))[0])
                        else:
                            same = d43_text_is(stored, &texts.text[i], form == WIDE, ascii)
                        if not same:
                            ref = SINGLY
                    if ref == SINGLY:
                        if form == LISTED:
                            if PySequence_Fast_GET_SIZE(<PyObject*>wanted) <= start + i:
                                raise RuntimeError("the list of keys became shorter while it was being read")
                            key = <object>item[i]
                        elif form == NUMBERS:
                            key = (<int64_t*>(data + i * stride))[0]
                        else:
                            key = d43_text_object(data + i * stride, characters, form == WIDE)
                        if peek:
                            value = self.peek(key) is not MISSING
                        else:
                            value = <object>self.hit(<PyObject*>key, <PyObject*>default)
                        Py_INCREF(value)
                        PyList_SET_ITEM(found, start + i, value)
                        if form == LISTED:      # which may be another list now
                            item = PySequence_Fast_ITEMS(<PyObject*>wanted) + start
                        if form == LISTED or self.version != version:
                            for j in range(i + 1, size):
                                row.ref[j] = SINGLY
                        continue
                    if peek:
                        held = Py_True if ref and self.live(slab_entry(&self.slab, ref), ref) else Py_False
                    elif ref:
                        held = self.taken(ref, -1)
                    elif not self.aside:
                        self.misses += 1
                    elif form == LISTED:    # nothing but exact str and int is known to be missing without being asked
                        self.missed(own_hash(item[i]))
                    elif form == NUMBERS:
                        self.missed(d43_int64_hash((<int64_t*>(data + i * stride))[0]))
                    else:
                        self.missed(d43_text_hash(&texts.text[i]))
                    if held == NULL:
                        held = <PyObject*>default
                    Py_INCREF(<object>held)
                    PyList_SET_ITEM(found, start + i, <object>held)
                start += size
            PyObject_GC_Track(<PyObject*>found)
            return found
        finally:
            if form != LISTED:
                PyBuffer_Release(&view)

    cdef list gather_freely(self, object keys, object default, bint peek):
        """``gather`` where there is no GIL: others may change a list of keys, so it is read at once."""
        wanted = tuple(keys) if type(keys) is list or not PyObject_CheckBuffer(keys) else keys
        if type(wanted) is tuple and not peek:
            found = self.gather_unlocked(wanted, default)
            if found is not None:
                return found
        with cython.critical_section(self):
            if not peek:
                self.read_once()
            return self.gather(wanted, default, peek)

    def get_many(self, keys, default=None):
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        if FREE:
            return self.gather_freely(keys, default, False)
        return self.gather(keys, default, False)

    def contains_many(self, keys):
        """For each of ``keys`` whether it is there, as a list of bool."""
        if FREE:
            return self.gather_freely(keys, None, True)
        return self.gather(keys, None, True)

    def delete_many(self, keys):
        """Take ``keys`` out. Returns how many were there."""
        cdef Py_ssize_t n = 0
        cdef Py_ssize_t i
        cdef list wanted = list(sequence_of(keys))
        for key in wanted:
            hash(key)
            self.refuse(key)
        with cython.critical_section(self):
            for i in range(len(wanted)):
                if i % BLOCK == 0:
                    self.read_ahead(wanted, i)
                n += self.discard_in(wanted[i]) if FREE else self.discard(wanted[i])
        if FREE:
            self.settle()
        return n

    cdef int read_ahead(self, list keys, Py_ssize_t start) except -1:
        """Ask for what the next block of changes will touch. The list is our own. Runs no Python code."""
        cdef Row row
        cdef Py_ssize_t n = min(<Py_ssize_t>BLOCK, PyList_GET_SIZE(keys) - start)
        if self.index.now.mask >= LARGE:
            row_of_objects(&row, &self.index, <PyObject*>keys, start, n)
            row_find(&row, &self.index, &self.slab, n, TEXT_REACH, True)
        return 0

    def set_many(self, items, *, ttl=None):
        """Store every pair of a mapping or an iterable of pairs. Checked as a whole before any is stored."""
        cdef list keys, values
        cdef Write w
        cdef Py_ssize_t i
        if isinstance(items, Mapping) or hasattr(items, "keys"):
            keys = list(items.keys())
            values = list(items.values()) if hasattr(items, "values") else [items[key] for key in keys]
        else:
            keys = []
            values = []
            for pair in items:
                try:
                    key, value = pair
                except (TypeError, ValueError):
                    raise TypeError(f"set_many takes a mapping or pairs (key, value), not {pair!r}") from None
                keys.append(key)
                values.append(value)
        with cython.critical_section(self):
            if self.crowding():
                last = dict(zip(keys, values))      # of equal keys the last one is stored, and it alone must fit
                if len(keys) == len(values):
                    keys, values = list(last.keys()), list(last.values())
            self.check_all(keys, values, ttl)
            for i in range(len(keys)):
                if i % BLOCK == 0:
                    self.read_ahead(keys, i)
                self.prepare(&w, keys[i], values[i], ttl, (), False, None)
                if FREE:
                    self.write_in(keys[i], values[i], &w)
                else:
                    self.write(keys[i], values[i], &w)
        if FREE:
            self.settle()

    cdef int check_all(self, list keys, list values, object ttl) except -1:
        """Raise what writing these pairs would raise, before anything is written."""
        cdef Write w
        cdef Claim c
        cdef uint32_t hash
        cdef Py_ssize_t i
        if len(keys) != len(values):
            raise ValueError(f"there are {len(keys)} keys and {len(values)} values")
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        if ttl is not None:
            span_ns(ttl, "ttl")
        for i in range(len(keys)):
            key = keys[i]
            if not PyUnicode_CheckExact(<PyObject*>key) or self.max_bytes:
                self.find(key, &hash)
                if self.max_bytes:
                    self.prepare(&w, key, values[i], ttl, (), False, None)
                    self.abandon(&w)
                    self.grant(key, w.weight, 0, False)
            self.refuse(key)
        if self.crowding():
            c = self.claims()
            for i in range(len(keys)):
                self.prepare(&w, keys[i], values[i], ttl, (), False, None)
                self.abandon(&w)
                self.claim(&c, keys[i], &w)
        return 0

    def get_packed(self, keys, *, out=None):
        """The values under ``keys``, which must be bytes, in one :class:`door43fast.native.packed.Packed`."""
        from door43fast.native.packed import PackedBuilder
        cdef list wanted = list(sequence_of(keys))
        cdef list values = self.get_many(wanted, MISSING)
        builder = PackedBuilder(len(wanted), out)
        for key, value in zip(wanted, values):
            builder.add(key, None if value is MISSING else packable(key, value))
        return builder.build()

    def set_packed(self, keys, data, offsets):
        """Store the bytes ``data[offsets[i]:offsets[i+1]]`` under ``keys[i]``."""
        from door43fast.native.packed import Packed
        cdef list wanted = list(keys)
        values = Packed(data, offsets)
        if len(values) != len(wanted):
            raise ValueError(f"there are {len(wanted)} keys and offsets for {len(values)} values")
        self.set_many(zip(wanted, values))

    def scan_packed(self, prefix="", chunk=65536):
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records; keys are in UTF-8."""
        if not isinstance(chunk, int) or chunk < 1:
            raise ValueError(f"chunk={chunk!r} must be a whole number of 1 or more")
        return self.pack_scan(self.scan(prefix), chunk)

    def pack_scan(self, records, Py_ssize_t chunk):
        from door43fast.native.packed import PackedBuilder
        while True:
            keys = PackedBuilder(chunk)
            values = PackedBuilder(chunk)
            n = 0
            for key, value in islice(records, chunk):
                keys.add(key, key.encode())
                values.add(key, packable(key, value))
                n += 1
            if n == 0:
                return
            yield keys.build(), values.build()

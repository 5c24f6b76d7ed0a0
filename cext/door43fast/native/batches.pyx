"""The batch methods of the memory engine: each asks for the memory that a block of keys needs before it waits for any.

Meanings are those of the contract in ``door43fast.contracts.Store``. See ``table.pyx`` for the rule by which all of
it survives re-entry.
"""

from collections.abc import Mapping
from itertools import islice

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint32_t

from door43fast.native.batch cimport BLOCK, prefetch_block
from door43fast.native.clock cimport span_ns
from door43fast.native.ordered cimport Ordered
from door43fast.native.singles cimport MISSING
from door43fast.native.table cimport PyUnicode_CheckExact
from door43fast.native.writes cimport Write

from door43fast.errors import ClosedError

cdef extern from "Python.h":
    void PyObject_GC_Track(PyObject* o) noexcept
    void PyObject_GC_UnTrack(PyObject* o) noexcept


cdef object packable(object key, object value):
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"key {key!r} holds {type(value).__name__}, and only bytes can be packed")
    return value


cdef class Batches(Ordered):

    def get_many(self, keys, default=None):
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        cdef list wanted = keys if type(keys) is list else list(keys)
        cdef Py_ssize_t n = PyList_GET_SIZE(wanted)
        cdef Py_ssize_t i
        cdef PyObject* held
        cdef list found = PyList_New(n)
        PyObject_GC_UnTrack(<PyObject*>found)      # nobody may come upon it before it is full
        for i in range(n):
            if i % BLOCK == 0:
                prefetch_block(&self.index, &self.slab, wanted, i)
            if i >= PyList_GET_SIZE(wanted):
                raise RuntimeError("the list of keys became shorter while get_many was reading it")
            key = <object>PyList_GET_ITEM(wanted, i)    # owned: hashing it may take it out of the list
            held = self.hit(key)
            value = default if held == NULL else <object>held
            Py_INCREF(value)
            PyList_SET_ITEM(found, i, value)
        PyObject_GC_Track(<PyObject*>found)
        return found

    def contains_many(self, keys):
        """For each of ``keys`` whether it is there, as a list of bool."""
        cdef list wanted = list(keys)
        cdef Py_ssize_t i
        cdef list found = []
        for i in range(len(wanted)):
            if i % BLOCK == 0:
                prefetch_block(&self.index, &self.slab, wanted, i)
            found.append(self.peek(wanted[i]) is not MISSING)
        return found

    def delete_many(self, keys):
        """Take ``keys`` out. Returns how many were there."""
        cdef Py_ssize_t n = 0
        cdef list wanted = list(keys)
        for key in wanted:
            hash(key)
            self.refuse(key)
        for key in wanted:
            n += self.discard(key)
        return n

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
        self.check_all(keys, values, ttl)
        for i in range(len(keys)):
            self.prepare(&w, keys[i], values[i], ttl, (), False, None)
            self.write(keys[i], values[i], &w)

    cdef int check_all(self, list keys, list values, object ttl) except -1:
        """Raise what writing these pairs would raise, before anything is written."""
        cdef Write w
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
                    self.afford(key, w.weight, 0, False, False)
            self.refuse(key)
        return 0

    def get_packed(self, keys, *, out=None):
        """The values under ``keys``, which must be bytes, in one :class:`door43fast.native.packed.Packed`."""
        from door43fast.native.packed import PackedBuilder
        cdef list wanted = list(keys)
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

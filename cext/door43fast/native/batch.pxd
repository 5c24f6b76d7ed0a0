"""Reading ahead for batches: the cache lines that many lookups will need are asked for before any of them waits.

A lookup in a large table costs a row of dependent misses: the key object, its slot, the entry, the stored key and
the value. Done key by key, each waits for the one before; done in stages over a block of keys, those of a whole
block overlap. These functions only ask for memory: they decide nothing, so what they guess may be out of date.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyObject_Hash
from libc.stdint cimport uint32_t, uint64_t

from door43fast.native.hashing cimport mix
from door43fast.native.index cimport Index, Slots
from door43fast.native.slab cimport Entry, Slab, d43_prefetch, slab_entry

cdef extern from "d43_str.h" nogil:
    Py_hash_t d43_str_hash(PyObject* s) noexcept

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(PyObject* o) noexcept
    bint PyLong_CheckExact(PyObject* o) noexcept

cdef enum:
    BLOCK = 64
    LINE = 64

cdef inline void prefetch_keys(list keys, Py_ssize_t start, Py_ssize_t stop) noexcept:
    cdef Py_ssize_t i
    for i in range(start, min(stop, PyList_GET_SIZE(keys))):
        d43_prefetch(PyList_GET_ITEM(keys, i))

cdef inline int prefetch_block(Index* index, Slab* slab, list keys, Py_ssize_t start) except -1:
    """Ask for what looking up ``keys[start:start + BLOCK]`` needs. Runs no Python code."""
    cdef uint32_t hash[BLOCK]
    cdef uint32_t ref[BLOCK]
    cdef Py_ssize_t n = min(<Py_ssize_t>BLOCK, PyList_GET_SIZE(keys) - start)
    cdef Py_ssize_t i
    cdef PyObject* key
    cdef Py_hash_t h
    cdef Slots* t = &index.now
    cdef Entry* e
    cdef uint64_t v
    cdef uint32_t p
    if n <= 1 or t.mask < 1024:     # a table that the nearest cache holds needs none of this
        return 0
    if start == 0:
        prefetch_keys(keys, 0, n)
    prefetch_keys(keys, start + BLOCK, start + 2 * BLOCK)
    for i in range(n):
        key = <PyObject*>PyList_GET_ITEM(keys, start + i)
        ref[i] = 0
        if PyUnicode_CheckExact(key):
            h = d43_str_hash(key)
            if h == -1:
                h = PyObject_Hash(<object>key)
        elif PyLong_CheckExact(key):
            h = PyObject_Hash(<object>key)
        else:
            continue
        ref[i] = 1
        hash[i] = mix(h)
        d43_prefetch(&t.slot[hash[i] >> t.shift])
    for i in range(n):
        if not ref[i]:
            continue
        p = hash[i] >> t.shift
        ref[i] = 0
        while True:
            v = t.slot[p]
            if v == 0:
                break
            if <uint32_t>(v >> 32) == hash[i]:
                ref[i] = <uint32_t>v
                d43_prefetch(slab_entry(slab, ref[i]))
                break
            p = (p + 1) & t.mask
    for i in range(n):
        if ref[i]:
            e = slab_entry(slab, ref[i])
            d43_prefetch(e.key)
            d43_prefetch(<char*>e.key + LINE)
            d43_prefetch(e.value)
    return 0

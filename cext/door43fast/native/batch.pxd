"""Reading ahead for batches: the cache lines that a block of lookups needs are asked for before any of them waits.

A lookup in a large table costs a row of dependent misses: the key object, its slot, the entry, the stored key and
the value. Done key by key, each waits for the one before; done in stages over a block of keys, those of a whole
block overlap. A ``Row`` holds what the stages found; it is good until the table's version changes.
"""

from cpython.object cimport PyObject, PyObject_Hash
from libc.stdint cimport int64_t, uint32_t, uint64_t

from door43fast.native.hashing cimport mix
from door43fast.native.index cimport (
    ASCII, REFERENCE, Group, Groups, Index, Walk, d43_first, d43_match, d43_tag, groups_home, walk_begin, walk_next)
from door43fast.native.slab cimport Entry, Slab, d43_prefetch, slab_entry

cdef extern from "d43_str.h" nogil:
    Py_hash_t d43_str_hash(PyObject* s) noexcept

cdef extern from "d43_int.h":
    Py_hash_t d43_int64_hash(int64_t v) noexcept
    bint d43_int64_is(PyObject* o, int64_t v) noexcept

cdef extern from "d43_text.h":
    ctypedef struct Text "d43_text":
        pass
    bint d43_text_read(Text* t, const char* p, Py_ssize_t characters, bint wide) noexcept
    Py_hash_t d43_text_hash(const Text* t) noexcept
    bint d43_text_is(PyObject* o, const Text* t, bint wide, bint ascii) noexcept
    object d43_text_object(const char* p, Py_ssize_t characters, bint wide)

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(PyObject* o) noexcept
    bint PyLong_CheckExact(PyObject* o) noexcept
    Py_ssize_t PySequence_Fast_GET_SIZE(PyObject* o) noexcept
    PyObject** PySequence_Fast_ITEMS(PyObject* o) noexcept

cdef enum:
    BLOCK = 64
    TEXT_HEAD = 16      # where the length of a str stands
    TEXT_REACH = 64     # bytes of a stored key that a comparison reads: a short str,
    INT_REACH = 32      # or a number of up to 60 bits
    LARGE = 256          # groups of a table that the nearest cache does not hold: below, reading ahead would only cost

cdef extern from *:
    """
    #define D43_SINGLY 0xFFFFFFFFu
    """
    const uint32_t SINGLY "D43_SINGLY"  # as a reference in a row: the key must be looked up by itself

cdef struct Row:
    uint32_t hash[BLOCK]
    uint32_t ref[BLOCK]     # of the first entry with the key's hash, with its mark; 0: there is none; or SINGLY

cdef struct Texts:      # the elements of a block of an array of texts
    Text text[BLOCK]

cdef inline uint32_t row_guess(Groups* t, uint32_t hash) noexcept nogil:
    """The first entry with the tag of this hash, marked; 0 if there is none in its home."""
    cdef Group* home = groups_home(t, hash)
    cdef uint32_t found = d43_match(home, d43_tag(hash))
    return home.ref[d43_first(found)] if found else 0

cdef inline uint32_t row_seek(Index* index, Slab* slab, uint32_t hash) noexcept nogil:
    """The first entry with this hash, 0 if there is none."""
    cdef Walk walk
    cdef uint32_t ref
    walk_begin(&walk, &index.now, hash)
    ref = walk_next(&walk)
    while ref and slab_entry(slab, ref).hash != hash:
        ref = walk_next(&walk)
    if ref or index.old.group == NULL:
        return ref
    walk_begin(&walk, &index.old, hash)
    ref = walk_next(&walk)
    while ref and slab_entry(slab, ref).hash != hash:
        ref = walk_next(&walk)
    return ref

cdef inline void row_find(Row* row, Index* index, Slab* slab, Py_ssize_t n, int reach, bint values) noexcept nogil:
    """The second stage and the third: groups to entries, entries to keys, of which ``reach`` bytes matter, and values.

    A tag tells entries apart but for one in 255, so the second stage guesses, and the third, when the entry is there,
    looks again where the guess was wrong or there was none.
    """
    cdef bint large = index.now.mask >= LARGE
    cdef Py_ssize_t i
    cdef Entry* e
    cdef uint32_t ref
    for i in range(n):
        if row.ref[i] != SINGLY:
            row.ref[i] = ref = row_guess(&index.now, row.hash[i])
            if ref:
                d43_prefetch(slab_entry(slab, ref & REFERENCE))
    for i in range(n):
        ref = row.ref[i]
        if ref == SINGLY:
            continue
        if not ref or slab_entry(slab, ref & REFERENCE).hash != row.hash[i]:
            row.ref[i] = ref = row_seek(index, slab, row.hash[i])
        if large and ref:
            e = slab_entry(slab, ref & REFERENCE)
            d43_prefetch(<char*>e.key + (TEXT_HEAD if ref & ASCII else 0))
            d43_prefetch(<char*>e.key + reach - 1)
            if values:
                d43_prefetch(e.value)

cdef inline int row_of_objects(Row* row, Index* index, PyObject* keys, Py_ssize_t start, Py_ssize_t n) except -1:
    """The first stage for a list or tuple: hashes of exact str and int, and their slots. Runs no Python code."""
    cdef PyObject** item = PySequence_Fast_ITEMS(keys) + start
    cdef Py_ssize_t ahead = min(n + BLOCK, PySequence_Fast_GET_SIZE(keys) - start)
    cdef Py_ssize_t i
    cdef Py_hash_t h
    if index.now.mask >= LARGE:
        if start == 0:
            for i in range(n):
                d43_prefetch(item[i])
        for i in range(n, ahead):
            d43_prefetch(item[i])
    for i in range(n):
        if PyUnicode_CheckExact(item[i]):
            h = d43_str_hash(item[i])
            if h == -1:
                h = PyObject_Hash(<object>item[i])
        elif PyLong_CheckExact(item[i]):
            h = PyObject_Hash(<object>item[i])
        else:
            row.ref[i] = SINGLY
            continue
        row.ref[i] = 0
        row.hash[i] = mix(h)
        d43_prefetch(groups_home(&index.now, row.hash[i]))
    return 0

cdef inline void row_of_numbers(Row* row, Index* index, const char* numbers, Py_ssize_t stride, Py_ssize_t n) noexcept:
    """The first stage for 64-bit integers in memory, ``stride`` bytes apart."""
    cdef Py_ssize_t i
    for i in range(n):
        row.ref[i] = 0
        row.hash[i] = mix(d43_int64_hash((<int64_t*>(numbers + i * stride))[0]))
        d43_prefetch(groups_home(&index.now, row.hash[i]))

cdef inline void row_of_texts(Row* row, Texts* texts, Index* index, const char* data, Py_ssize_t stride,
                              Py_ssize_t characters, bint wide, Py_ssize_t n) noexcept:
    """The first stage for texts of a fixed width in memory, ``stride`` bytes apart."""
    cdef Py_ssize_t i
    for i in range(n):
        row.ref[i] = SINGLY
        if d43_text_read(&texts.text[i], data + i * stride, characters, wide):
            row.ref[i] = 0
            row.hash[i] = mix(d43_text_hash(&texts.text[i]))
            d43_prefetch(groups_home(&index.now, row.hash[i]))

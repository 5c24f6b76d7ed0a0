"""Ranges of a store on disk, in the order of the keys."""

from libc.stdint cimport int64_t, uint64_t

from clib.lmdb cimport MDB_cursor, MDB_txn, MDB_val
from door43fast.native.lmdb_batches cimport BatchEngine
from door43fast.native.core cimport EventQueue
from door43fast.native.frame cimport Slice


# The keys of a range as bytes: from ``first`` on, below ``beyond`` (None for no end).
cdef class Bounds:
    cdef bytes first
    cdef bytes beyond
    cdef Slice edge         # the far end in the direction of the scan; NULL for none
    cdef bint reverse

    cdef int seek(self, MDB_cursor* cursor, MDB_val* key, MDB_val* value, bytes after) noexcept
    cdef int step(self, MDB_cursor* cursor, MDB_val* key, MDB_val* value) noexcept nogil
    cdef bint within(self, const MDB_val* key) noexcept nogil


cdef class RangeEngine(BatchEngine):
    cdef Bounds bounds_of(self, object prefix, object start, object stop, bint reverse)
    cdef int _clear(self, Bounds bounds, EventQueue queue, uint64_t* seq) except? -1
    cdef object stretch(self, Bounds bounds, bytes after, Py_ssize_t limit, bint values, list keys, list lifted,
                        list marks, list tokens, MDB_txn* txn)

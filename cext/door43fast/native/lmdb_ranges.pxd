"""Ranges of a store on disk, in the order of the keys."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.lmdb_batches cimport BatchEngine
from door43fast.native.core cimport EventQueue
from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_walk cimport Range


cdef class Bounds:
    """A range, and what keeps its bytes alive."""
    cdef Range range
    cdef Py_ssize_t most    # records that a stretch may take, -1 for any number
    cdef bytes low
    cdef bytes high
    cdef int rc             # with which the last stretch ended
    cdef bytes failed       # the key that it is about, None where it is that of the walk itself
    cdef bytes head         # what the keys of the walk's group begin with


cdef inline Slice slice_of(bytes data) noexcept:
    """The bytes of ``data``; NULL for None."""
    cdef Slice s
    s.data = NULL if data is None else PyBytes_AS_STRING(data)
    s.size = 0 if data is None else PyBytes_GET_SIZE(data)
    return s


cdef class RangeEngine(BatchEngine):
    cdef Bounds bounds_of(self, object prefix, object start, object stop, bint reverse)
    cdef int clear_short(self, MDB_txn* txn, const Range* range) noexcept nogil
    cdef int clear_long(self, MDB_txn* txn, const Range* range) noexcept nogil
    cdef int apply_clear(self, const Range* range, EventQueue queue, uint64_t* seq) noexcept nogil
    # Makes no object that the collector looks after, and raises nothing but MemoryError; ``stretched`` is due once it
    # has returned and nobody is inside.
    cdef object stretch(self, Bounds bounds, bytes after, Py_ssize_t limit, bint values, list keys, list lifted,
                        list marks, list tokens, MDB_txn* txn)
    # The exception for the status of a stretch, if it has failed.
    cdef int stretched(self, Bounds bounds) except -1

"""Many records of a store on disk at once: one transaction a call, and the GIL let go for the walk."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.core cimport EventQueue
from door43fast.native.frame cimport Draft, Slice
from door43fast.native.lmdb_changes cimport ChangeEngine
from door43fast.native.lmdb_reads cimport Place
from door43fast.native.lmdb_records cimport Found

cdef class Batch:
    """Keys of one call, encoded; with values to write, drafted. Memory of its own, so that nogil code may walk it."""
    cdef Py_ssize_t count
    cdef Place* places
    cdef Draft* drafts      # NULL where nothing is written
    cdef list names         # the keys as given
    cdef list owners        # what keeps the bytes of keys and values alive
    cdef char* numbers      # the bytes of keys that came as an int64 array

    cdef int reserve(self, Py_ssize_t count) except -1
    cdef bint plain(self) noexcept
    cdef int draft(self) except -1      # room for a draft for each key
    # Sort the places by the bytes of the keys and keep the last of equal ones: pages are then written side by side.
    cdef int arrange(self) except -1


cdef class BatchEngine(ChangeEngine):
    cdef Batch batch_of(self, object keys)
    cdef object key_at(self, Batch batch, Py_ssize_t i)
    # The values of ``keys`` in order, ``default`` where there is none; at one instant. ``found`` may be NULL, or an
    # array with a place for each key.
    cdef list fetch_many(self, Batch batch, object default, Found* found)
    cdef Py_ssize_t write_many(self, Batch batch, bint erase, int reason, object values) except -1
    cdef int apply_many(self, Batch batch, bint erase, EventQueue queue, char* alive, uint64_t* seq,
                        Py_ssize_t* existed) noexcept nogil

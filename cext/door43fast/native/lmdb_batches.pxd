"""Many records of a store on disk at once: one transaction a call, and the GIL let go for the walk."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.core cimport EventQueue
from door43fast.native.lmdb_changes cimport ChangeEngine
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_records cimport Found

cdef class BatchEngine(ChangeEngine):
    cdef Batch batch_of(self, object keys)
    # Record the reads of a batch, if reads are recorded.
    cdef void note_all(self, Batch batch) noexcept
    cdef object key_at(self, Batch batch, Py_ssize_t i)
    # The values of ``keys`` in order, ``default`` where there is none; at one instant. ``found`` may be NULL, or an
    # array with a place for each key.
    cdef list fetch_many(self, Batch batch, object default, Found* found)
    cdef Py_ssize_t write_many(self, Batch batch, bint erase, int reason, object values) except -1
    cdef int apply_many(self, Batch batch, bint erase, EventQueue queue, char* alive, uint64_t* seq,
                        Py_ssize_t* existed) noexcept nogil

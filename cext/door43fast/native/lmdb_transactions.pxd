"""Transactions over a store on disk: one view to read from, and one step that checks and writes."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.core cimport EventQueue
from door43fast.native.environment cimport Environment
from door43fast.native.frame cimport Slice
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_training cimport TrainingEngine
from door43fast.native.lmdb_walk cimport Range
from door43fast.native.pins cimport Pin


# A range as it was scanned: keys and tokens of all that was in it, one after another.
cdef struct Seen:
    Range range
    Slice records           # of each record: size of the key (4 bytes), key, token


cdef class Snapshot:
    cdef TransactionEngine store
    cdef Environment home
    cdef Pin pin                    # the reader
    cdef int inside                 # calls that read from it
    cdef bint ended                 # it is let go once nobody is inside

    cdef MDB_txn* enter(self) except NULL
    cdef void leave(self) noexcept
    cdef void let_go(self) noexcept


# All that a commit needs, in memory that needs no GIL.
cdef class Commit:
    cdef Batch reads
    cdef const char** tokens        # for each read 16 bytes, NULL for "nothing is there"
    cdef Batch writes
    cdef char* erased               # for each write 0, 1 for a delete, 2 for one that expired at once
    cdef char* alive                # out, by place: whether what was erased had a value
    cdef Seen* seen
    cdef Py_ssize_t ranges
    cdef list owners
    cdef Py_ssize_t conflict        # out: which read or range (reads.count + n) had changed


cdef class TransactionEngine(TrainingEngine):
    cdef int check(self, MDB_txn* txn, Commit commit) noexcept nogil
    cdef int check_range(self, MDB_txn* txn, const Seen* seen) noexcept nogil
    cdef int apply_commit(self, Commit commit, EventQueue queue, uint64_t* seq, uint64_t* events) noexcept nogil
    cdef Commit commit_of(self, dict reads, dict writes, object ranges)
    cdef int conflict_in(self, Commit commit, object ranges) except -1
    cdef int write_commit(self, Commit commit, dict writes, object ranges) except -1

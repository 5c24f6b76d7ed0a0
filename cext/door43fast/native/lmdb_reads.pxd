"""How records of a store on disk are read: one by one and in blocks, through the key index or down the tree."""

from libc.stdint cimport int64_t, uint64_t

from clib.lmdb cimport MDB_txn, MDB_val
from door43fast.native.frame cimport Frame, Slice
from door43fast.native.keyindex cimport KeyIndex
from door43fast.native.lmdb_records cimport Found, RecordEngine

cdef enum:
    BLOCK = 64              # keys that are looked up together


cdef enum Spot:
    UNKNOWN
    SPOTTED                 # a record that needs nothing but its bytes to be handed out
    ABSENT


cdef struct Place:
    Slice key
    Py_ssize_t index        # where in the caller's order


# How a batch gets on: whether its reads wait for the disk. See lmdb_ahead.pyx.
cdef struct Course:
    const Place* stop       # end of the batch
    const Place* asked      # up to where pages were asked for
    const Place* last       # where the clock was read
    int64_t since
    int64_t faults
    int64_t blocks
    bint watched
    bint cold


cdef class ReadEngine(RecordEngine):
    # The value of ``key``, or ``self.absent``; counts neither hit nor miss. ``found`` may be NULL. A value within
    # its stale window is returned with state STALE only if ``stale`` is set.
    cdef object fetch(self, object key, Found* found, bint stale)
    # The value of ``key`` or ``absent`` without a transaction, None if it takes one. Fills ``frame``.
    cdef object glance(self, Slice key, Frame* frame)
    cdef Spot spot(self, KeyIndex* x, uint64_t id, Slice key, Frame* frame) noexcept nogil
    # The frames of ``n`` keys in the snapshot of ``txn``, with state GONE for those that have none. A status, and in
    # ``failed`` the key that it is about. REQUIRES: entered.
    cdef int find_all(self, MDB_txn* txn, const Place* places, Frame* frames, Py_ssize_t n, int64_t now,
                      Py_ssize_t* failed, Course* course) noexcept nogil
    cdef bint sound(self, Slice key, uint64_t hash, uint64_t at, Frame* frame) noexcept nogil
    cdef uint64_t left_of(self, MDB_txn* txn, Slice key, bint* told) noexcept nogil
    # The same for those of a block whose numbers are in ``todo``, down the tree; what is found is noted if ``indexed``.
    cdef int search(self, MDB_txn* txn, uint64_t id, const Place* places, Frame* frames, const uint64_t* hashes,
                    const int* todo, int n, bint indexed, Py_ssize_t* failed) noexcept nogil
    cdef uint64_t node_at(self, MDB_txn* txn, Slice key, const MDB_val* value) noexcept nogil
    cdef int find_block(self, MDB_txn* txn, uint64_t id, const Place* places, Frame* frames, int n, int64_t now,
                        bint indexed, Py_ssize_t* failed) noexcept nogil

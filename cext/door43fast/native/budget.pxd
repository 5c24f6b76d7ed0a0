"""The budget of a store on disk: its settings, the order in which records came, and marks of what was read since.

The table ``order`` has a row for each record that may be evicted: eight bytes of a position, big-endian, and then the
birth of the record and its key. A record is born at the next position, and says so in its frame; that never changes.
One that is given another round has its row moved to the next position, and is not itself touched. So a row is of its
record if the births agree; others are left over from what was overwritten or deleted after such a move, and go when
they are reached. A record that was written before the store had a budget, or is damaged, has the birth 0.
"""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_dbi, MDB_env, MDB_txn
from door43fast.native.frame cimport Slice

cdef extern from "d43_marks.h" nogil:
    ctypedef struct d43_marks:
        uint64_t* bits
        uint64_t words
    int d43_marks_open(d43_marks*, uint64_t words)
    void d43_marks_close(d43_marks*)
    void d43_mark(d43_marks*, uint64_t hash)
    bint d43_unmark(d43_marks*, uint64_t hash)
    void d43_marks_turn(d43_marks*)

cdef enum:
    ROW_BIRTH = 8           # bytes of a row before its key
    BUDGET_SETTINGS = 16    # bytes 8, policy 8
    BUDGET_FOUND = -201     # another process has given the store a budget; below the statuses of reading a record


cdef enum Policy:           # on the disk: never renumber
    CLOCK
    FIFO
    KEEP


# A row of the order, and what is to become of its record.
cdef struct Candidate:
    uint64_t position
    uint64_t birth
    Slice key               # copied out of the map
    bint again              # in: it was read since it came, and gets another round
    bint gone               # out: it was evicted
    Slice tags              # out, if it was and somebody listens by tag: what it carried


cdef struct Budget:
    bint on                 # the table is open; changes only with the gate closed, as do the rest
    MDB_dbi table
    uint64_t limit          # bytes of the file
    uint64_t policy
    d43_marks marks         # under CLOCK


# What the settings row says; MDB_NOTFOUND if the store has no budget.
cdef int budget_settings(MDB_txn* txn, MDB_dbi meta, uint64_t* limit, uint64_t* policy) noexcept nogil
# Read the settings, make the map as long as the budget, and get marks. REQUIRES: no transaction is open.
cdef int budget_fit(Budget* b, MDB_env* env, MDB_dbi meta, size_t* map_bytes) noexcept nogil
# A row at the next position, which is put into ``position``; the record is born there if ``birth`` is NULL.
cdef int order_add(MDB_txn* txn, MDB_dbi table, Slice key, const uint64_t* birth, uint64_t* position) noexcept nogil
# Take out the row that a record got at its birth, if it is there still.
cdef int order_drop(MDB_txn* txn, MDB_dbi table, Slice key, uint64_t birth) noexcept nogil
# How many pages the tables take, with those of LMDB itself.
cdef uint64_t pages_used(MDB_txn* txn, const MDB_dbi* tables, int count) noexcept nogil
cdef uint64_t order_position(const char* row) noexcept nogil
# The oldest rows, copied: up to ``most`` of them. ``keys`` has MAX_KEY bytes for each; long ones have their own memory.
cdef int order_oldest(MDB_txn* txn, MDB_dbi table, Candidate* rows, char* keys, Py_ssize_t most,
                      Py_ssize_t* count) noexcept nogil
cdef void order_free(Candidate* rows, Py_ssize_t count) noexcept nogil

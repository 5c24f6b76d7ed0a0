"""Room in a store with a budget: made before a write that needs it, by eviction in the order of the policy."""

from libc.stdint cimport int64_t, uint64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.budget cimport Candidate
from door43fast.native.core cimport EventQueue
from door43fast.native.lmdb_reads cimport ReadEngine

cdef enum:
    FRAME_ROOM = 1024       # bytes of a record beside its value, and of its rows


cdef struct Pages:
    uint64_t used           # by the tables
    uint64_t leaves         # of the records
    uint64_t free           # of those in the file that are not used, what a write may take now
    uint64_t limit          # of the budget
    uint64_t soft           # that the tables may take: what lies above is room for transactions
    int64_t holder          # process id of the reader of the oldest state, 0 for none

cdef class RoomEngine(ReadEngine):
    cdef list above                 # weak references to the cascades over this store
    cdef uint64_t evictions
    cdef uint64_t evicted_bytes
    cdef int64_t full_since         # monotonic ns: when a write first found no page, of a row without any that did
    cdef uint64_t full_known        # the newest transaction that was known then
    cdef int full_times
    cdef bint reaping

    # Make room for a write of so many records and ``need`` bytes, the largest value of which has ``largest``.
    # REQUIRES: a budget; not entered.
    cdef int room_for(self, Py_ssize_t records, size_t need, size_t largest, object subject) except -1
    # See to it that a transaction may take so many pages now.
    cdef int pages_for(self, uint64_t wanted, str what, object subject) except -1
    # A commit that changes nothing: what the transaction before has freed may be taken by the next after it. A status.
    cdef int nudge(self) noexcept nogil
    # What can be done about a failed write, or the exception. REQUIRES: not entered.
    cdef int remedy(self, int rc, size_t need, str what, object subject) except -1
    cdef int look(self, Pages* pages, bint closely) except -1
    cdef int freshen(self, int times) except -1
    cdef bint expiring_now(self) except -1
    cdef object local_of(self, const Candidate* row)
    cdef int evict_remedy(self, int rc) except -1
    # One round; ``any`` evicts whatever is oldest.
    cdef Py_ssize_t evict(self, uint64_t target, bint any) except -1
    cdef Py_ssize_t candidates(self, Candidate* rows, char* keys, Py_ssize_t most) except -1
    cdef int judge_candidates(self, Candidate* rows, Py_ssize_t count, list locals) except -1
    cdef int apply_evict(self, Candidate* rows, Py_ssize_t count, Py_ssize_t most, uint64_t target, EventQueue queue,
                         uint64_t* seq, Py_ssize_t* moved, Py_ssize_t* gone) noexcept nogil
    cdef int out(self, MDB_txn* txn, Candidate* row, int64_t now) noexcept nogil
    cdef int wait_for_pages(self, const Pages* pages, str what, object subject) except -1

"""How changes of single records are applied: each in one LMDB transaction, or those of many threads in one."""

from libc.stdint cimport int64_t

from clib.lmdb cimport MDB_txn
from door43fast.native.lmdb_records cimport Job
from door43fast.native.lmdb_room cimport RoomEngine


cdef class GroupEngine(RoomEngine):
    # Apply one job in a transaction of its own. Status: REFUSED, with nothing written, if its condition is unmet.
    # REQUIRES: entered.
    cdef int apply(self, Job* job) noexcept nogil
    # The same together with what other threads of this store have to write meanwhile: one sync for all.
    cdef int apply_in_line(self, Job* job) noexcept nogil

    cdef bint apply_all(self, Job* first) noexcept nogil
    cdef int step(self, MDB_txn* txn, Job* job, int64_t now, bint behind) noexcept nogil

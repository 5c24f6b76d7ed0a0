"""One LMDB environment: its handle, its gate, its pool of readers, its promise of durability."""

from libc.stdint cimport int64_t, uint64_t

from clib.lmdb cimport MDB_dbi, MDB_env, MDB_txn

cdef extern from "d43_gate.h" nogil:
    ctypedef struct d43_gate:
        pass

cdef extern from "d43_worker.h" nogil:
    ctypedef struct d43_worker:
        pass

cdef enum:
    POOL = 16               # idle readers kept per environment; each holds a slot of LMDB's reader table

cdef enum Durability:
    COMMIT
    BATCH
    NONE


cdef class Environment:
    cdef object __weakref__
    cdef readonly str path              # absolute
    cdef readonly dict options          # durability, sync_interval, readonly, map_size, keys
    cdef readonly bytes store_id
    cdef MDB_env* env                   # NULL when closed; changes only with the gate closed
    cdef MDB_dbi meta
    cdef MDB_dbi data
    cdef MDB_dbi expiry
    cdef MDB_dbi tags
    cdef Durability durability
    cdef bint readonly
    cdef int64_t sync_interval          # nanoseconds
    cdef size_t users                   # stores that hold it open; guarded by the GIL
    cdef object snapshots               # WeakSet of what holds a reader of its own
    cdef tuple identity
    cdef d43_gate gate
    cdef d43_worker worker
    cdef uint64_t generation            # number of the fork in which the handle was opened
    cdef void* pool[POOL]               # idle readers, MDB_txn*; each place is taken and filled atomically
    cdef const char* metas              # the two meta pages, mapped apart so that a remap never moves them
    cdef size_t page_size
    cdef size_t map_bytes
    cdef int fd
    cdef object marker                  # the locked marker file, while there may be unsynced writes

    # With the GIL; waits without it. After it the handle is open, of this process, and stays mapped until leave.
    cdef int enter(self) except -1
    cdef void leave(self) noexcept nogil

    # A live reader out of the pool, or a status. REQUIRES: entered.
    cdef int take(self, MDB_txn** txn) noexcept nogil
    cdef void give(self, MDB_txn* txn) noexcept nogil
    # enter and take, with every remedy that there is. The caller gives and leaves.
    cdef MDB_txn* reader(self) except NULL
    # What can be done about a failed write (grow, adopt a larger map), or the exception. REQUIRES: not entered.
    cdef int recover(self, int rc, size_t need, str what, object subject) except -1

    # Called before the first write that will not be synced; cheap afterwards. REQUIRES: the GIL, entered.
    cdef int announce(self) except -1
    # Called after each commit: leaves it to the background sync, or syncs now. Status.
    cdef int committed(self, bint durable) noexcept nogil
    cdef bint unsynced(self) noexcept nogil
    cdef int sync(self) except -1

    cdef uint64_t last_txn(self) noexcept nogil     # id of the last committed transaction; needs no gate

    cdef int _open(self, bint create) except -1
    cdef int _open_handle(self) except -1
    cdef int _open_tables(self, bint create) except -1
    cdef int _map_metas(self) except -1
    cdef int _shut(self) except -1
    cdef void _drop_handle(self) noexcept
    cdef int _remap(self, size_t size) except -1


cdef Environment acquire(object path, dict options, bint create)

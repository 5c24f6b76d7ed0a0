"""The open files of one LMDB environment: map, gate, pool of readers, growth and fork."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_NOTFOUND, MDB_dbi, MDB_env, MDB_txn, MDB_val
from door43fast.native.budget cimport Budget
from door43fast.native.frame cimport DOUBTFUL
from door43fast.native.journal cimport Journal
from door43fast.native.keyindex cimport KeyIndex
from door43fast.native.mapped cimport View
from door43fast.native.pins cimport Pin
from door43fast.native.saver cimport TXN_ID_AT
from door43fast.native.shown cimport Shown

cdef extern from "d43_gate.h" nogil:
    ctypedef struct d43_gate:
        pass
    bint d43_gate_try(d43_gate*)
    void d43_gate_leave(d43_gate*)
    void d43_gate_close(d43_gate*)
    void d43_gate_open(d43_gate*)

cdef enum:
    POOL = 16               # idle readers kept per environment; each holds a slot of LMDB's reader table


cdef class Handle:
    cdef object __weakref__
    cdef readonly str path              # absolute
    cdef readonly dict options          # durability, sync_interval, readonly, map_size, keys
    cdef readonly bytes store_id
    cdef object doubt                   # how many records were damaged at open, and the key of the first
    cdef bint doubtful                  # a miss may be one of them
    cdef MDB_env* env                   # NULL when closed; changes only with the gate closed
    cdef MDB_dbi meta
    cdef MDB_dbi data
    cdef MDB_dbi expiry
    cdef MDB_dbi tags
    cdef MDB_dbi chunks
    cdef bint has_chunks                # its table is open
    cdef MDB_dbi longs                  # records with keys longer than LMDB's
    cdef bint has_longs                 # its table is open
    cdef bint chunked                   # there may be rows in it; never back to False while it is open
    cdef uint64_t chunks_at             # the last transaction that is accounted for in ``chunked``
    cdef unsigned int extra_flags       # of mdb_env_open, beside MDB_NOTLS
    cdef Pin pins                       # readers that are kept from call to call
    cdef d43_gate gate
    cdef uint64_t generation            # number of the fork in which the handle was opened
    cdef const volatile uint64_t* forks # the number of the fork that this process is
    cdef void* pool[POOL]               # idle readers, MDB_txn*; each place is taken and filled atomically
    cdef const char* metas              # the two head pages, mapped apart so that a remap never moves them
    cdef size_t page_size
    cdef Shown shown                    # the newest transaction that readers see; needs no gate
    cdef size_t map_bytes
    cdef int fd
    cdef View view                      # of the map; its base changes only with the gate closed
    cdef KeyIndex index
    cdef Journal journal
    cdef Budget budget

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
    # Whether a value that LMDB gave lies in the file: its size may be damaged. REQUIRES: entered.
    cdef bint holds(self, const MDB_val* value) noexcept nogil
    # Look again how long the file is. Needs no gate.
    cdef void widen(self) noexcept nogil
    # Bring the index from the snapshot of ``txn``, an open reader, to the present one. REQUIRES: entered.
    cdef void follow(self, MDB_txn* txn) noexcept nogil
    # The same after a commit of ours. REQUIRES: entered.
    cdef void wrote(self, uint64_t id) noexcept nogil
    # Id of the last committed transaction, whoever committed it. Needs no gate.
    cdef uint64_t last_txn(self) noexcept nogil
    cdef bint own(self) noexcept nogil

    # Open the table of a journal that another process has made, if there is one. REQUIRES: not entered.
    cdef int join_journal(self) except -1

    cdef int open_handle(self) except -1
    cdef int open_tables(self, bint create) except -1
    cdef int map_metas(self) except -1
    cdef void start_index(self) noexcept
    cdef int remap(self, size_t size) except -1
    # A map as long as the budget, and marks. REQUIRES: nobody is inside, and no transaction is open.
    cdef int fit_map(self) except -1
    cdef void drop_handle(self) noexcept
    cdef int handle_opened(self) except -1
    cdef void handle_closing(self) noexcept


cdef inline bint handle_try(Handle h) noexcept nogil:
    """Enter, if that takes no waiting and no remedy; then the caller leaves by ``handle_leave``."""
    if h.generation != h.forks[0] or not d43_gate_try(&h.gate):
        return False
    if h.env == NULL:
        d43_gate_leave(&h.gate)
        return False
    return True


cdef inline int handle_sure(Handle h, int rc) noexcept nogil:
    """The status of a search: that there is no such key is not sure while any record may have been it."""
    return DOUBTFUL if rc == MDB_NOTFOUND and h.doubtful else rc


cdef inline void handle_leave(Handle h) noexcept nogil:
    d43_gate_leave(&h.gate)


cdef inline uint64_t handle_newest(Handle h) noexcept nogil:
    """``last_txn`` of an open handle."""
    cdef uint64_t a = (<const volatile uint64_t*>(h.metas + TXN_ID_AT))[0]
    cdef uint64_t b = (<const volatile uint64_t*>(h.metas + h.page_size + TXN_ID_AT))[0]
    return a if a > b else b

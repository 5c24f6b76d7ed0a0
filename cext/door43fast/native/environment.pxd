"""One LMDB environment per directory and process: shared by the stores that have it open, with one durability."""

from libc.stdint cimport int64_t, uint64_t

from door43fast.native.handle cimport Handle, d43_gate, d43_gate_close, d43_gate_open
from door43fast.native.saver cimport Saver

cdef extern from "d43_worker.h" nogil:
    ctypedef struct d43_worker:
        pass

cdef extern from "d43_line.h" nogil:
    ctypedef struct d43_waiter:
        d43_waiter* next
        int rc
    ctypedef struct d43_line:
        pass
    void d43_line_init(d43_line*)
    d43_waiter* d43_line_join(d43_line*, d43_waiter*)
    void d43_line_leave(d43_line*, d43_waiter*)

cdef enum Durability:
    COMMIT
    BATCH
    NONE


cdef class Environment(Handle):
    cdef Durability durability
    cdef bint readonly
    cdef int64_t sync_interval          # nanoseconds
    cdef size_t users                   # stores that hold it open; guarded by the GIL
    cdef tuple identity
    cdef d43_worker worker              # syncs
    cdef d43_worker mover               # under ``batch``: keeps pages of the saved state, when it is asked to
    cdef Saver saver
    cdef d43_line line                  # of those who wait for a sync of theirs
    cdef object claim                   # file descriptor whose lock tells other processes of this durability
    cdef object marking                 # RLock: one thread places the marker
    cdef object marker                  # the locked marker file, while there may be unsynced writes

    cdef bint stamped                   # the stamp of the last writer is there, and is to go before the first write

    # Called before the first write that will not be synced; cheap afterwards. It leaves and enters again, if it has
    # to run Python code. REQUIRES: the GIL, entered.
    cdef int announce(self) except -1
    cdef int mark(self, tuple marker) except? -1
    # Called after each commit: leaves it to the background sync, or syncs now. Status. REQUIRES: entered.
    cdef int committed(self, bint durable) noexcept nogil
    cdef int sync_in_line(self) noexcept nogil
    cdef bint unsynced(self) noexcept nogil
    cdef int sync(self) except -1

    cdef int open(self, bint create) except -1
    cdef int look(self, list lost) except -1
    cdef int shut(self) except -1
    cdef void let_go(self) noexcept


cdef Environment acquire(object path, dict options, bint create)
# Whether this process has the store in ``path``, an absolute one, open.
cdef bint is_open(str path)

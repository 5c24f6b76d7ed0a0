"""How ``batch`` keeps a way back: the head page of a synced state, and a reader that keeps the pages of that state."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_env, MDB_txn
from door43fast.native.undo cimport Undo

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef enum:
    STEP = 32               # commits between two moves of the reader
    PRESSED = 256           # commits after a save before a writer syncs itself
    MARKER_HEAD = 512       # bytes of a marker file before its two places
    TXN_ID_AT = 144         # of the transaction id in a head page of LMDB 0.9 on 64-bit systems
    SYNC_FAILED = -24       # status: a sync of data.mdb has failed, now or before


cdef struct Saver:
    int fd                  # data.mdb
    int marker              # the marker file, -1 while there is none
    bint keeps              # under ``batch``: a way back is kept
    const char* metas       # both head pages, mapped
    size_t page_size
    MDB_env** env
    void* gate
    uint64_t turn           # of the two places in the marker file
    uint64_t saved          # the state of the newest of them; atomic
    uint64_t ceiling        # a writer that brings the file beyond this page syncs itself; atomic
    pthread_mutex_t moving  # guards what is below; ``at`` is read without it
    MDB_txn* pinned         # the reader that keeps pages from being used again, NULL for none
    MDB_txn* spare          # reset
    uint64_t at             # the snapshot of ``pinned``, 0 for none
    bint stuck              # it stays where it is until the next state is saved
    uint64_t asked          # the mover is asked to move it
    int failed              # a sync of data.mdb has; atomic
    void* mover             # the worker that keeps pages; its job is saver_move
    Undo undo


cdef void saver_start(Saver* s) noexcept nogil
cdef int saver_job(void* saver, int inside) noexcept nogil
# Whether others have committed since the last save: a reader that stays behind keeps them from using pages again.
cdef int saver_due(void* saver) noexcept nogil
cdef void saver_release(Saver* s) noexcept nogil
cdef int saver_move(void* saver, int inside) noexcept nogil
cdef int saver_rest(void* saver) noexcept nogil
# After a commit, ``newest`` being the newest state: move the reader on, if that takes no I/O. REQUIRES: entered.
cdef void saver_follow(Saver* s, uint64_t newest) noexcept nogil
# Whether the file has grown since the last save, and is far larger than what lives in it: whoever has committed
# ``newest`` then syncs before it goes on.
cdef bint saver_pressed(Saver* s, uint64_t newest) noexcept nogil
# Put back the newest state that one of ``files`` (markers) has saved. True if there was one.
cdef bint put_back(str path, list files) except -1
# Write a head page over both. REQUIRES: nobody has the store open.
cdef int put_heads(int fd, bytes page) except -1

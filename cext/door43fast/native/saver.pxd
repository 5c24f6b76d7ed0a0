"""How ``batch`` keeps a way back: the head page of a synced state, and a reader that keeps the pages of that state."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_env, MDB_txn

cdef enum:
    MARKER_HEAD = 512       # bytes of a marker file before its two places
    TXN_ID_AT = 144         # of the transaction id in a head page of LMDB 0.9 on 64-bit systems


cdef struct Saver:
    int fd                  # data.mdb
    int marker              # the marker file, -1 while there is none
    bint keeps              # under ``batch``: a way back is kept
    const char* metas       # both head pages, mapped
    size_t page_size
    MDB_env** env
    void* gate
    MDB_txn* pinned
    uint64_t turn           # of the two places in the marker file


cdef int saver_job(void* saver, int inside) noexcept nogil
# Whether others have committed since the last save: a reader that stays behind keeps them from using pages again.
cdef int saver_due(void* saver) noexcept nogil
cdef void saver_release(Saver* s) noexcept nogil
# Put back the newest state that one of ``files`` (markers) has saved. True if there was one.
cdef bint put_back(str path, list files) except -1

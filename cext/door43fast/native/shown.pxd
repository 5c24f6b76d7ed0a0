"""The newest transaction that a reader sees, as LMDB notes it in its file of locks: one word, looked at without a call.

A commit first shows its number in a head page, then it is synced if it is to be, and only then readers see it; the lock
for writers is given back after that. So a write whose call has returned is one that this word tells of, and one that it
does not tell of is one that no reader finds below.

Where the word stands depends on how LMDB was built: behind the magic number, or behind that and a mutex. It is the
place whose number is that of a new reader. Where neither place is, or the file cannot be mapped, the word says UNSURE
for good, and LMDB is asked each time.

The file stays open for as long as the environment: to close any descriptor of it takes away the locks on it by which
LMDB knows which processes live.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.fcntl cimport O_CLOEXEC, O_RDONLY, open as posix_open
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close as posix_close

from clib.lmdb cimport *

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED

cdef enum:
    SHOWN_ROOM = 4096       # bytes of the file that are mapped
    SHOWN_HEAD = 8          # of its magic number and its format
    SHOWN_TRIES = 8

cdef struct Shown:
    const uint64_t* txn     # the word; the address stays what it is until ``shown_close``
    char* page              # what it lies in: the file, or memory of ours
    int fd                  # of the file, -1 for none


cdef inline bint shown_unsure(uint64_t txn) noexcept nogil:
    """Whether this is UNSURE, and no number of a transaction."""
    return txn == ~<uint64_t>0


cdef inline size_t shown_place(MDB_env* env, const char* page) noexcept nogil:
    """Where in the file of locks the word stands, 0 if that is not known."""
    cdef MDB_txn* txn = NULL
    cdef uint64_t before, after
    cdef uint64_t held[2]
    cdef size_t places[2]
    cdef int i, turn
    cdef bint fits[2]
    places[0] = SHOWN_HEAD
    places[1] = SHOWN_HEAD + sizeof(pthread_mutex_t)
    for turn in range(SHOWN_TRIES):
        if mdb_txn_begin(env, NULL, MDB_RDONLY, &txn):
            return 0
        before = mdb_txn_id(txn)
        mdb_txn_reset(txn)
        for i in range(2):
            held[i] = d43_load(<const uint64_t*>(page + places[i]))
        after = mdb_txn_id(txn) if mdb_txn_renew(txn) == 0 else 0
        mdb_txn_abort(txn)
        for i in range(2):
            fits[i] = before <= held[i] <= after
        if fits[0] != fits[1]:
            return places[0] if fits[0] else places[1]
    return 0


cdef inline int shown_open(Shown* s, MDB_env* env, const char* locks) noexcept nogil:
    """Look at the file ``locks`` of an environment that was opened just now. -1: there is no memory.

    REQUIRES: the environment holds a transaction, and ``fd`` is -1.
    """
    cdef struct_stat st
    cdef void* at = MAP_FAILED
    cdef size_t place = 0
    s.fd = posix_open(locks, O_RDONLY | O_CLOEXEC)
    if s.fd >= 0 and fstat(s.fd, &st) == 0 and st.st_size >= SHOWN_ROOM:
        at = mmap(NULL, SHOWN_ROOM, PROT_READ, MAP_SHARED, s.fd, 0)
    if at != MAP_FAILED:
        place = shown_place(env, <const char*>at)
        munmap(at, SHOWN_ROOM)
    if s.page == NULL:
        at = mmap(NULL, SHOWN_ROOM, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if at == MAP_FAILED:
            return -1
        s.page = <char*>at
        s.txn = <const uint64_t*>(s.page + (place or SHOWN_HEAD))
    if place and <const char*>s.txn == s.page + place:
        at = mmap(s.page, SHOWN_ROOM, PROT_READ, MAP_SHARED | MAP_FIXED, s.fd, 0)
    else:
        at = mmap(s.page, SHOWN_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
        if at != MAP_FAILED:
            memset(at, 0xFF, SHOWN_ROOM)
    return 0 if at != MAP_FAILED else -1


cdef inline void shown_leave(Shown* s) noexcept nogil:
    """The environment is closed, and may be opened anew. The word stays as it is, for whoever looks at it just now."""
    if s.fd >= 0:
        posix_close(s.fd)
    s.fd = -1


cdef inline void shown_close(Shown* s) noexcept nogil:
    if s.page != NULL:
        munmap(s.page, SHOWN_ROOM)
    s.page = NULL

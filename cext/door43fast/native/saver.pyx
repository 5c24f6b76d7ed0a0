"""How ``batch`` keeps a way back: the head page of a synced state, and a reader that keeps the pages of that state.

LMDB never writes to a page that the newest state, or the state of any reader, consists of. So if a reader stays at
state T, and all of T was synced, then T is on the disk whole whatever a power loss makes of later writes, but for the
two head pages, which later commits do overwrite. Therefore each background sync

1. looks at the newest state T with a reader, and copies the head page of T;
2. syncs data.mdb: all pages of T are on the disk now;
3. writes the copy, with a checksum, to one of two places in the marker file, in turns, and syncs that;
4. only then forgets the state before.

After a power loss the newest copy that is whole is written over both head pages. What was committed after T is lost:
at the most an interval and the time of a sync.

A reader that stayed at T all the while would keep every page that dies from being used again, also those that were
born after T: each write would go to new pages, and the file would grow by all that is written in an interval. So the
reader moves on, every few commits. LMDB's list of free pages tells which pages died between its snapshot and the next;
those of T are first kept in the marker file (undo.pyx), by a thread that does nothing else, and are put back with the
head page. Soon after a sync most pages of T that are written to have died, and moving on takes no I/O.

A system that fails to write pages may forget them all the same, and tell of it once. So after a sync of data.mdb that
failed none is tried any more: the marker is made one of another boot, and whoever opens the store next goes back to
what was saved before, as after a power loss.

Where more is rewritten in an interval than can be kept, the file still grows. So a writer that finds it far larger than
what lives in it syncs by itself, whereupon all that has died comes back.
"""

import os
import struct

from libc.errno cimport ENOMEM, EIO, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.mapped cimport LAST_PAGE_AT
from door43fast.native.undo cimport *

cdef extern from "d43_gate.h" nogil:
    ctypedef struct d43_gate:
        pass
    bint d43_gate_try(d43_gate*)
    void d43_gate_leave(d43_gate*)

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)
    void d43_store(uint64_t*, uint64_t)

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_init(pthread_mutex_t*, void*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_trylock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)

cdef extern from "d43_worker.h" nogil:
    ctypedef struct d43_worker:
        pass
    int D43_LATER
    void d43_worker_wake(d43_worker*)
    int d43_sync_file(int)

cdef extern from "<unistd.h>" nogil:
    ssize_t pwrite(int, const void*, size_t, long)

cdef enum:
    PLACE_HEAD = 16         # of a place: checksum over all behind it, size of the page
    ATTEMPTS = 100          # to read the head page of a state before two more commits overwrite it
    BUSY = 256              # commits between two saves from which pages are kept ahead
    FAR = 1024              # commits that a writer follows at once; more are left to the mover
    BOOT = 36               # bytes of the boot id in a marker
    SLACK = 16 << 20        # bytes that the file may grow by beside half of what lives in it


cdef void saver_start(Saver* s) noexcept nogil:
    """Nothing is pinned and nothing kept. REQUIRES: nobody uses it; in the child of a fork the parent's is left."""
    s.pinned = s.spare = NULL
    s.at = s.saved = s.asked = s.ceiling = 0
    s.stuck = False
    s.failed = 0
    memset(&s.undo, 0, sizeof(Undo))
    pthread_mutex_init(&s.moving, NULL)


cdef int saver_job(void* saver, int inside) noexcept nogil:
    """The job of the background sync; see the module docstring. A status."""
    cdef Saver* s = <Saver*>saver
    cdef MDB_txn* txn = NULL
    cdef char* place
    cdef uint64_t state = 0, last = 0
    cdef int rc
    if not s.keeps or s.marker < 0 or s.failed:
        return _sync(s)
    if not inside and not d43_gate_try(<d43_gate*>s.gate):
        return D43_LATER
    place = <char*>malloc(PLACE_HEAD + s.page_size)
    pthread_mutex_lock(&s.moving)
    rc = ENOMEM if place == NULL else _pin(s, &txn, place)
    if rc == 0:
        state = mdb_txn_id(txn)
        memcpy(&last, place + PLACE_HEAD + LAST_PAGE_AT, 8)
        s.undo.data = s.fd
        s.undo.marker = s.marker
        s.undo.page_size = s.page_size
        s.undo.start = _log_start(s.page_size)
        rc = undo_begin(&s.undo, txn, last + 1, s.turn)
        if rc == 0 and s.saved and state - s.saved >= BUSY:
            undo_ahead(&s.undo, state)
    if txn != NULL and s.at and not s.stuck:
        mdb_txn_abort(txn)          # the reader that moves stands before it, and from now on both states are kept
        txn = NULL
    pthread_mutex_unlock(&s.moving)
    if not inside:
        d43_gate_leave(<d43_gate*>s.gate)
    if rc == 0:
        rc = _sync(s)
    if rc == 0:
        rc = _save(s, place)
    pthread_mutex_lock(&s.moving)
    undo_end(&s.undo, rc == 0)
    if rc == 0:
        s.turn += 1
        d43_store(&s.ceiling, max(last, s.undo.live + s.undo.live // 2 + SLACK // s.page_size))
        d43_store(&s.saved, state)
        if txn != NULL:
            txn, s.pinned = s.pinned, txn
            d43_store(&s.at, state)
        s.stuck = False
    pthread_mutex_unlock(&s.moving)
    if txn != NULL:
        mdb_txn_abort(txn)
    free(place)
    if rc == 0 and not inside:
        saver_move(s, False)        # the reader of a process that writes nothing keeps no page from those that do
    return rc


cdef int _sync(Saver* s) noexcept nogil:
    """Sync data.mdb, if that has never failed. Status."""
    cdef char nothing[BOOT]
    if not s.failed:
        if d43_sync_file(s.fd) == 0:
            return 0
        s.failed = 1
        memset(nothing, 0, BOOT)
        if s.marker >= 0 and pwrite(s.marker, nothing, BOOT, 0) == BOOT:
            d43_sync_file(s.marker)
    return SYNC_FAILED


cdef inline size_t _log_start(size_t page_size) noexcept nogil:
    """Of the log in the marker file: behind the two places."""
    return (MARKER_HEAD + 2 * (PLACE_HEAD + page_size) + 4095) & ~<size_t>4095


cdef int _move(Saver* s, bint keep) noexcept nogil:
    """Move the reader to the newest state. REQUIRES: inside the gate, ``moving`` is held. Status."""
    cdef uint64_t id
    cdef int rc
    rc = mdb_txn_renew(s.spare) if s.spare != NULL else mdb_txn_begin(s.env[0], NULL, MDB_RDONLY, &s.spare)
    if rc:
        return rc
    id = mdb_txn_id(s.spare)
    rc = undo_follow(&s.undo, s.spare, s.at, id, keep)
    if rc == 0:
        s.spare, s.pinned = s.pinned, s.spare
        d43_store(&s.at, id)
    mdb_txn_reset(s.spare)
    return rc


cdef void saver_follow(Saver* s, uint64_t newest) noexcept nogil:
    cdef uint64_t at = d43_load(&s.at)
    cdef int rc = 0
    if at == 0 or newest < at + STEP or s.stuck or d43_load(&s.asked) or pthread_mutex_trylock(&s.moving):
        return
    if s.at and not s.stuck:
        rc = UNDO_NEEDED if newest > s.at + FAR else _move(s, False)
        if rc == UNDO_GAP:
            s.stuck = True
    pthread_mutex_unlock(&s.moving)
    if rc == UNDO_NEEDED:
        d43_store(&s.asked, 1)
        d43_worker_wake(<d43_worker*>s.mover)


cdef bint saver_pressed(Saver* s, uint64_t newest) noexcept nogil:
    cdef uint64_t last, saved = d43_load(&s.saved)
    if saved == 0 or newest < saved + PRESSED:
        return False
    memcpy(&last, s.metas + (newest & 1) * s.page_size + LAST_PAGE_AT, 8)
    return last > d43_load(&s.ceiling)


cdef int saver_move(void* saver, int inside) noexcept nogil:
    """The job of the mover: the same with I/O. Where it fails, the reader stays until the next state is saved."""
    cdef Saver* s = <Saver*>saver
    cdef int rc = 0
    if not inside and not d43_gate_try(<d43_gate*>s.gate):
        d43_store(&s.asked, 0)
        return D43_LATER
    pthread_mutex_lock(&s.moving)
    if s.at and not s.stuck:
        rc = _move(s, True)
        s.stuck = rc != 0
    pthread_mutex_unlock(&s.moving)
    if not inside:
        d43_gate_leave(<d43_gate*>s.gate)
    d43_store(&s.asked, 0)
    return 0 if rc == UNDO_GAP or rc == UNDO_FULL else rc


cdef int saver_rest(void* saver) noexcept nogil:
    """The mover has nothing to do but what it is asked for."""
    return False


cdef int _pin(Saver* s, MDB_txn** txn, char* place) noexcept nogil:
    """A reader at the newest state, and the head page of that state. REQUIRES: inside the gate."""
    cdef const char* page
    cdef uint64_t state
    cdef int i, rc
    for i in range(ATTEMPTS):
        rc = mdb_txn_begin(s.env[0], NULL, MDB_RDONLY, txn)
        if rc:
            return rc
        state = mdb_txn_id(txn[0])
        page = s.metas + (state & 1) * s.page_size
        memcpy(place + PLACE_HEAD, page, s.page_size)
        if (<const uint64_t*>(place + PLACE_HEAD + TXN_ID_AT))[0] == state and \
                (<const volatile uint64_t*>(page + TXN_ID_AT))[0] == state:
            return 0
        mdb_txn_abort(txn[0])
        txn[0] = NULL
    return D43_LATER


cdef int _save(Saver* s, char* place) noexcept nogil:
    cdef uint64_t size = s.page_size, checksum
    cdef ssize_t n
    memcpy(place + 8, &size, 8)
    checksum = XXH3_64bits(place + 8, 8 + s.page_size)
    memcpy(place, &checksum, 8)
    n = pwrite(s.marker, place, PLACE_HEAD + s.page_size,
               <long>(MARKER_HEAD + (s.turn & 1) * (PLACE_HEAD + s.page_size)))
    if n < 0:
        return errno
    if <size_t>n != PLACE_HEAD + s.page_size:
        return EIO
    return d43_sync_file(s.marker)


cdef int saver_due(void* saver) noexcept nogil:
    cdef Saver* s = <Saver*>saver
    cdef uint64_t state = d43_load(&s.saved)
    if state == 0:
        return False
    return (<const volatile uint64_t*>(s.metas + TXN_ID_AT))[0] > state or \
        (<const volatile uint64_t*>(s.metas + s.page_size + TXN_ID_AT))[0] > state


cdef void saver_release(Saver* s) noexcept nogil:
    """Let the readers go. REQUIRES: the handle is open, and neither worker runs."""
    d43_store(&s.at, 0)
    if s.pinned != NULL:
        mdb_txn_abort(s.pinned)
    if s.spare != NULL:
        mdb_txn_abort(s.spare)
    s.pinned = s.spare = NULL
    undo_free(&s.undo)


cdef tuple _newest(list files):
    """The head page of the newest saved state among the places of the marker files, and the pages that were kept for
    it; (None, None) for none."""
    cdef bytes best = None, content, place, log = None
    cdef uint64_t state, newest = 0
    for file in files:
        with open(file, "rb") as f:
            content = f.read()
        at = MARKER_HEAD
        for _ in range(2):
            if len(content) < at + PLACE_HEAD:
                break
            size, = struct.unpack_from("<Q", content, at + 8)
            if not 512 <= size <= 65536:
                break
            place = content[at + 8:at + PLACE_HEAD + size]
            if len(place) == 8 + size and XXH3_64bits(<const char*>place, len(place)) == struct.unpack_from(
                    "<Q", content, at)[0]:
                state, = struct.unpack_from("<Q", place, 8 + TXN_ID_AT)
                if state >= newest:
                    best, newest, log = place[8:], state, content
            at += PLACE_HEAD + size
    if best is None:
        return None, None
    return best, undo_pages(log, _log_start(len(best)), newest)


cdef bint put_back(str path, list files) except -1:
    """Write the newest saved state over what is there: its pages that were kept, then its head page over both.

    REQUIRES: nobody has the store open.
    """
    page, kept = _newest(files)
    if page is None:
        return False
    fd = os.open(os.path.join(path, "data.mdb"), os.O_RDWR)
    try:
        for number, content in kept.items():
            os.pwrite(fd, content, number * len(page))
        put_heads(fd, page)
    finally:
        os.close(fd)
    return True


cdef int put_heads(int fd, bytes page) except -1:
    # A head page says in its header which of the two it is.
    os.pwrite(fd, struct.pack("<Q", 0) + page[8:] + struct.pack("<Q", 1) + page[8:], 0)
    os.fsync(fd)
    return 0

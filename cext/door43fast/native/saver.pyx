"""How ``batch`` keeps a way back: the head page of a synced state, and a reader that keeps the pages of that state.

LMDB never writes to a page that the newest state, or the state of any reader, consists of. So if a reader stays at
state T, and all of T was synced, then T is on the disk whole whatever a power loss makes of later writes, but for the
two head pages, which later commits do overwrite. Therefore each background sync

1. opens a reader at the newest state T, and copies the head page of T;
2. syncs data.mdb: all pages of T are on the disk now;
3. writes the copy, with a checksum, to one of two places in the marker file, in turns, and syncs that;
4. only then lets the reader of the state before go.

After a power loss the newest copy that is whole is written over both head pages. What was committed after T is lost:
at the most an interval and the time of a sync.
"""

import os
import struct

from libc.errno cimport EIO, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits

cdef extern from "d43_gate.h" nogil:
    ctypedef struct d43_gate:
        pass
    bint d43_gate_try(d43_gate*)
    void d43_gate_leave(d43_gate*)

cdef extern from "d43_worker.h" nogil:
    int D43_LATER
    int d43_sync_file(int)

cdef extern from "<unistd.h>" nogil:
    ssize_t pwrite(int, const void*, size_t, long)

cdef enum:
    PLACE_HEAD = 16         # of a place: checksum over all behind it, size of the page
    ATTEMPTS = 100          # to read the head page of a state before two more commits overwrite it


cdef int saver_job(void* saver, int inside) noexcept nogil:
    """The job of the background sync; see the module docstring. A status."""
    cdef Saver* s = <Saver*>saver
    cdef MDB_txn* txn = NULL
    cdef char* place
    cdef int rc
    if not s.keeps or s.marker < 0:
        return d43_sync_file(s.fd)
    if not inside and not d43_gate_try(<d43_gate*>s.gate):
        return D43_LATER
    place = <char*>malloc(PLACE_HEAD + s.page_size)
    rc = EIO if place == NULL else _pin(s, &txn, place)
    if not inside:
        d43_gate_leave(<d43_gate*>s.gate)
    if rc == 0:
        rc = d43_sync_file(s.fd)
    if rc == 0:
        rc = _save(s, place)
    if rc == 0:
        txn, s.pinned = s.pinned, txn
    if txn != NULL:
        mdb_txn_abort(txn)
    free(place)
    return rc


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
    s.turn += 1
    return d43_sync_file(s.marker)


cdef int saver_due(void* saver) noexcept nogil:
    cdef Saver* s = <Saver*>saver
    cdef uint64_t state
    if s.pinned == NULL:
        return False
    state = mdb_txn_id(s.pinned)
    return (<const volatile uint64_t*>(s.metas + TXN_ID_AT))[0] > state or \
        (<const volatile uint64_t*>(s.metas + s.page_size + TXN_ID_AT))[0] > state


cdef void saver_release(Saver* s) noexcept nogil:
    """Let the pinned reader go. REQUIRES: the handle is open, and the worker does not run."""
    if s.pinned != NULL:
        mdb_txn_abort(s.pinned)
        s.pinned = NULL


cdef bytes _newest(list files):
    """The head page of the newest saved state among the places of the marker files; None for none."""
    cdef bytes best = None, content, place
    cdef uint64_t state, newest = 0
    for file in files:
        with open(file, "rb") as f:
            content = f.read()
        at = MARKER_HEAD
        while len(content) >= at + PLACE_HEAD:
            size, = struct.unpack_from("<Q", content, at + 8)
            if not 512 <= size <= 65536:
                break
            place = content[at + 8:at + PLACE_HEAD + size]
            if len(place) == 8 + size and XXH3_64bits(<const char*>place, len(place)) == struct.unpack_from(
                    "<Q", content, at)[0]:
                state, = struct.unpack_from("<Q", place, 8 + TXN_ID_AT)
                if state >= newest:
                    best, newest = place[8:], state
            at += PLACE_HEAD + size
    return best


cdef bint put_back(str path, list files) except -1:
    """Write the newest saved head page over both head pages. REQUIRES: nobody has the store open."""
    cdef bytes page = _newest(files)
    if page is None:
        return False
    fd = os.open(os.path.join(path, "data.mdb"), os.O_RDWR)
    try:
        # A head page says in its header which of the two it is.
        os.pwrite(fd, struct.pack("<Q", 0) + page[8:] + struct.pack("<Q", 1) + page[8:], 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    return True

"""Pages of a saved state that LMDB is about to use again: they are kept in the marker file first. See undo.pxd.

A record of the log is a checksum over all behind it, the snapshot up to which freed pages are kept with it, the number
of pages, their size, then their numbers and their contents. Records of a half follow each other; what is left behind
them from an earlier turn belongs to snapshots that are not newer than any state that may still be put back.
"""

import struct

from libc.errno cimport EIO, ENOMEM, errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits

cdef extern from "d43_worker.h" nogil:
    int d43_sync_file(int)

cdef extern from "<unistd.h>" nogil:
    ssize_t pwrite(int, const void*, size_t, long)
    ssize_t pread(int, void*, size_t, long)

cdef enum:
    FREE_LIST = 0           # LMDB's own table of free pages: transaction, then the number of pages and the pages
    HEAD = 32
    CHUNK = 128             # pages of a record at the most
    AHEAD = 1024            # pages that are kept ahead at the most

cdef size_t HALF = <size_t>32 << 20     # bytes of half the log


cdef int undo_begin(Undo* u, MDB_txn* txn, uint64_t count, uint64_t turn) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef uint64_t n, i, page
    cdef const char* pages
    cdef int rc
    u.next.bits = <unsigned char*>malloc(count // 8 + 1)
    if u.next.bits == NULL:
        return ENOMEM
    u.next.count = count
    u.live = count
    memset(u.next.bits, 0xFF, count // 8 + 1)
    rc = mdb_cursor_open(txn, FREE_LIST, &cursor)
    if rc:
        return rc
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
    while rc == 0:
        if value.mv_size >= 8:
            memcpy(&n, value.mv_data, 8)
            pages = <const char*>value.mv_data + 8
            for i in range(min(n, value.mv_size // 8 - 1)):
                memcpy(&page, pages + 8 * i, 8)
                if page < count:
                    u.next.bits[page >> 3] &= ~(1 << (page & 7))
                    u.live -= 1
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
    mdb_cursor_close(cursor)
    if rc != MDB_NOTFOUND:
        return rc
    if not u.begun:
        u.begun = True
        u.half = turn & 1
        u.used = 0
    return 0


cdef void undo_ahead(Undo* u, uint64_t state) noexcept nogil:
    cdef uint64_t lost[AHEAD]
    cdef size_t count = 0
    cdef uint64_t byte, page
    cdef unsigned char fresh
    for byte in range(u.next.count // 8 + 1):
        fresh = u.next.bits[byte]
        if byte < u.held.count // 8:
            fresh &= ~u.held.bits[byte]
        if fresh == 0:
            continue
        for page in range(8 * byte, min(8 * byte + 8, u.next.count)):
            if fresh >> (page & 7) & 1 and not _has(&u.held, page):
                if count == AHEAD:
                    return
                lost[count] = page
                count += 1
    if count:
        _keep(u, state + 1, lost, count)


cdef void undo_end(Undo* u, bint saved) noexcept nogil:
    if saved:
        free(u.held.bits)
        u.held = u.next
        u.begun = False
    else:
        free(u.next.bits)
    memset(&u.next, 0, sizeof(Pages))


cdef void undo_free(Undo* u) noexcept nogil:
    free(u.held.bits)
    free(u.next.bits)
    memset(&u.held, 0, sizeof(Pages))
    memset(&u.next, 0, sizeof(Pages))
    u.begun = False


cdef inline bint _has(const Pages* p, uint64_t page) noexcept nogil:
    return page < p.count and p.bits[page >> 3] >> (page & 7) & 1


cdef inline void _kept(Pages* p, uint64_t page) noexcept nogil:
    if page < p.count:
        p.bits[page >> 3] &= ~(1 << (page & 7))


cdef int undo_follow(Undo* u, MDB_txn* txn, uint64_t since, uint64_t id, bint keep) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef uint64_t wanted = since + 1, found, n, i, page
    cdef uint64_t* lost = NULL
    cdef void* more
    cdef size_t count = 0, room = 0
    cdef const char* pages
    cdef int rc = mdb_cursor_open(txn, FREE_LIST, &cursor)
    if rc:
        return rc
    key.mv_data = &wanted
    key.mv_size = 8
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
    while rc == 0:
        memcpy(&found, key.mv_data, 8)
        memcpy(&n, value.mv_data, 8)
        if found != wanted or n >= value.mv_size // 8:
            break
        pages = <const char*>value.mv_data + 8
        for i in range(n):
            memcpy(&page, pages + 8 * i, 8)
            if not (_has(&u.held, page) or _has(&u.next, page)):
                continue
            if not keep:
                mdb_cursor_close(cursor)
                return UNDO_NEEDED
            if count == room:
                room = 2 * room + 256
                more = realloc(lost, room * sizeof(uint64_t))
                if more == NULL:
                    mdb_cursor_close(cursor)
                    free(lost)
                    return ENOMEM
                lost = <uint64_t*>more
            lost[count] = page
            count += 1
        wanted += 1
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
    mdb_cursor_close(cursor)
    if rc != MDB_NOTFOUND or wanted != id + 1:
        rc = UNDO_GAP
    else:
        rc = _keep(u, id, lost, count) if count else 0
    free(lost)
    return rc


cdef int _keep(Undo* u, uint64_t state, const uint64_t* lost, size_t count) noexcept nogil:
    """Write pages to the log, and sync it. They are as they were in the states, since a reader still holds them."""
    cdef size_t done = 0, used = u.used, n, size, i
    cdef uint64_t head[4]
    cdef char* record = <char*>malloc(HEAD + CHUNK * (8 + u.page_size))
    cdef char* at
    cdef int rc = 0 if record != NULL else ENOMEM
    while rc == 0 and done < count:
        n = min(count - done, <size_t>CHUNK)
        size = HEAD + n * (8 + u.page_size)
        if used + size > HALF:
            rc = UNDO_FULL
            break
        head[1] = state
        head[2] = n
        head[3] = u.page_size
        memcpy(record + 8, head + 1, HEAD - 8)
        memcpy(record + HEAD, lost + done, 8 * n)
        at = record + HEAD + 8 * n
        for i in range(n):
            rc = _whole(pread(u.data, at, u.page_size, <long>(lost[done + i] * u.page_size)), u.page_size)
            if rc:
                break
            at += u.page_size
        if rc == 0:
            head[0] = XXH3_64bits(record + 8, size - 8)
            memcpy(record, head, 8)
            rc = _whole(pwrite(u.marker, record, size, <long>(u.start + u.half * HALF + used)), size)
        used += size
        done += n
    free(record)
    if rc == 0:
        rc = d43_sync_file(u.marker)
    if rc == 0:
        u.used = used       # not before: what follows a record that is not on the disk would not be found
        for i in range(count):
            _kept(&u.held, lost[i])
            _kept(&u.next, lost[i])
    return rc


cdef int _whole(ssize_t done, size_t size) noexcept nogil:
    if done < 0:
        return errno
    return 0 if <size_t>done == size else EIO


cdef dict undo_pages(bytes content, size_t start, uint64_t state):
    cdef list records = []
    cdef dict pages = {}
    cdef bytes body
    cdef size_t at, end, half
    for half in range(2):
        at = start + half * HALF
        while True:
            head = content[at:at + HEAD]
            if len(head) < HEAD:
                break
            checksum, reached, count, size = struct.unpack("<QQQQ", head)
            if not 512 <= size <= 65536 or not 0 < count <= CHUNK:
                break
            end = at + HEAD + count * (8 + size)
            body = content[at + 8:end]
            if at + 8 + len(body) < end or XXH3_64bits(<const char*>body, len(body)) != checksum:
                break
            if reached > state:
                records.append((reached, at + HEAD, count, size))
            at = end
    records.sort(key=lambda record: record[0])      # stable: within a snapshot as they were written
    for _, place, count, size in records:
        numbers = struct.unpack_from(f"<{count}Q", content, place)
        for i, number in enumerate(numbers):
            first = place + 8 * count + i * size
            pages.setdefault(number, content[first:first + size])
    return pages

"""A walk over the records of a range in the order of their keys, short and long ones together. See lmdb_walk.pxd."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from door43fast.native.longkeys cimport long_cursor, long_row
from door43fast.native.longrow cimport LONG_PLACE
from door43fast.native.status cimport lmdb_raise

from door43fast.errors import CorruptError

cdef enum:
    FEW = 8                 # rows that there is room for at first
    MOST = 16384            # and at most, twice: 1 MiB


cdef inline int _order(Slice a, Slice b) noexcept nogil:
    cdef int order = memcmp(a.data, b.data, min(a.size, b.size))
    return order if order else (a.size > b.size) - (a.size < b.size)


cdef int _rising(const void* a, const void* b) noexcept nogil:
    return _order((<const LongRow*>a).name, (<const LongRow*>b).name)


cdef int _falling(const void* a, const void* b) noexcept nogil:
    return _order((<const LongRow*>b).name, (<const LongRow*>a).name)


cdef int _first(MDB_cursor* cursor, const Range* r, MDB_val* key, MDB_val* value, Slice after) noexcept nogil:
    """Go to the first short key, or to the one that follows ``after``, in the direction of the range."""
    cdef Slice target = after if after.data != NULL else (r.high if r.reverse else r.low)
    cdef int rc
    if target.data == NULL or target.size == 0:
        return mdb_cursor_get(cursor, key, value, MDB_LAST if r.reverse else MDB_FIRST)
    key.mv_data = <void*>target.data
    key.mv_size = target.size
    rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE)
    if r.reverse:
        # The place is the target or beyond it: the one before is the first that may be handed out.
        return mdb_cursor_get(cursor, key, value, MDB_LAST if rc == MDB_NOTFOUND else MDB_PREV)
    if rc == 0 and after.data != NULL and compare(key, after) == 0:
        return mdb_cursor_get(cursor, key, value, MDB_NEXT)
    return rc


# Long keys

cdef int _group(Longs* l, bint reverse, Slice target) noexcept nogil:
    """Go to that end of a group from which the walk comes: the first that may have what follows ``target``."""
    cdef char edge[LONG_PLACE]
    cdef bint whole = target.size >= LONG_HEAD
    cdef int rc
    if target.data == NULL or target.size == 0:
        return mdb_cursor_get(l.cursor, &l.place, &l.value, MDB_LAST if reverse else MDB_FIRST)
    memcpy(edge, target.data, min(target.size, <size_t>LONG_HEAD))
    memset(edge + LONG_HEAD, 0xFF, LONG_PLACE - LONG_HEAD)
    l.place.mv_data = edge
    l.place.mv_size = LONG_PLACE if reverse and whole else min(target.size, <size_t>LONG_HEAD)
    rc = mdb_cursor_get(l.cursor, &l.place, &l.value, MDB_SET_RANGE)
    if not reverse or (rc == 0 and whole and memcmp(l.place.mv_data, edge, LONG_HEAD) == 0):
        return rc
    return mdb_cursor_get(l.cursor, &l.place, &l.value, MDB_LAST if rc == MDB_NOTFOUND else MDB_PREV)


cdef inline bint _beyond(const Range* r, Slice head) noexcept nogil:
    """Whether no key of the group with this head is before the far end, nor of those that come after it."""
    if r.reverse:
        return r.low.data != NULL and memcmp(head.data, r.low.data, min(head.size, r.low.size)) < 0
    return r.high.data != NULL and _order(head, r.high) >= 0


cdef inline bint _inside(const Range* r, Slice after, Slice name) noexcept nogil:
    if r.low.data != NULL and _order(name, r.low) < 0:
        return False
    if r.high.data != NULL and _order(name, r.high) >= 0:
        return False
    return after.data == NULL or (_order(name, after) < 0 if r.reverse else _order(name, after) > 0)


cdef int _take(Longs* l, bint reverse, const LongRow* row) noexcept nogil:
    """Put a row to the others; if they are too many, leave those that come last."""
    cdef LongRow* more
    cdef Py_ssize_t room
    if l.again and (_order(row.name, l.rows[MOST - 1].name) < 0) == reverse:
        return 0
    if l.count == 2 * MOST:
        qsort(l.rows, l.count, sizeof(LongRow), &_falling if reverse else &_rising)
        l.count = MOST
        l.again = True
    if l.count == l.room:
        room = 2 * l.room if l.room else FEW
        more = <LongRow*>realloc(l.rows, room * sizeof(LongRow))
        if more == NULL:
            return ENOMEM
        l.rows = more
        l.room = room
    l.rows[l.count] = row[0]
    l.count += 1
    return 0


cdef int _fill(Longs* l, Handle home, const Range* r) noexcept nogil:
    """Read what comes next of one group. REQUIRES: all of ``rows`` were handed out. MDB_NOTFOUND at the end."""
    cdef LongRow row
    cdef Slice head
    cdef int rc
    head.data = l.head
    head.size = LONG_HEAD
    l.at = l.count = 0
    if l.again:
        l.rc = _group(l, r.reverse, head)
    while l.rc == 0:
        if l.place.mv_size != LONG_PLACE:
            return FRAME_CORRUPT
        l.again = False
        memcpy(l.head, l.place.mv_data, LONG_HEAD)
        if _beyond(r, head):
            l.rc = MDB_NOTFOUND
            break
        while l.rc == 0 and l.place.mv_size == LONG_PLACE and memcmp(l.place.mv_data, l.head, LONG_HEAD) == 0:
            rc = long_row(home, &l.place, &l.value, &row)
            if rc == 0 and _inside(r, l.after, row.name):
                rc = _take(l, r.reverse, &row)
            if rc:
                return rc
            l.rc = mdb_cursor_get(l.cursor, &l.place, &l.value, MDB_PREV if r.reverse else MDB_NEXT)
            if l.unsorted and l.count:
                return 0
        if l.count > 1:
            qsort(l.rows, l.count, sizeof(LongRow), &_falling if r.reverse else &_rising)
        if l.count > MOST:
            l.count = MOST
            l.again = True
        if l.count:
            return 0
    return l.rc


# Both

cdef int _choose(Walk* w, Handle home) noexcept nogil:
    """The record that comes next is that of the short key or of the long one."""
    cdef Longs* l = &w.longs
    cdef int rc
    if l.at == l.count:
        rc = _fill(l, home, w.range)
        if rc and rc != MDB_NOTFOUND:
            return rc
    if w.rc and w.rc != MDB_NOTFOUND:
        return w.rc
    if l.at < l.count:
        w.long = w.rc != 0 or (compare(&w.key, l.rows[l.at].name) > 0) != w.range.reverse
    elif w.rc:
        return MDB_NOTFOUND
    else:
        w.long = False
    if w.long:
        w.name = l.rows[l.at].name
        w.frame.mv_data = <void*>l.rows[l.at].frame.data
        w.frame.mv_size = l.rows[l.at].frame.size
    else:
        w.name.data = <const char*>w.key.mv_data
        w.name.size = w.key.mv_size
        w.frame = w.value
    return 0


cdef int walk_on(Walk* w, Handle home) noexcept nogil:
    if w.long:
        if not w.longs.unsorted:
            w.longs.after = w.name
        w.longs.at += 1
    else:
        w.rc = mdb_cursor_get(w.cursor, &w.key, &w.value, MDB_PREV if w.range.reverse else MDB_NEXT)
        if w.rc == 0 and not within(w.range, &w.key):
            w.rc = MDB_NOTFOUND
    return _choose(w, home)


cdef int walk_begin(Walk* w, Handle home, MDB_txn* txn, const Range* range, Slice after, bint unsorted) noexcept nogil:
    cdef Slice target = after if after.data != NULL else (range.high if range.reverse else range.low)
    cdef int rc
    memset(w, 0, sizeof(Walk))
    w.range = range
    rc = mdb_cursor_open(txn, home.data, &w.cursor)
    if rc == 0:
        rc = long_cursor(home, txn, &w.longs.cursor)
    if rc:
        return rc
    w.rc = _first(w.cursor, range, &w.key, &w.value, after)
    if w.rc == 0 and not within(range, &w.key):
        w.rc = MDB_NOTFOUND
    if w.longs.cursor != NULL:
        w.longs.after = after
        w.longs.unsorted = unsorted
        w.longs.rc = _group(&w.longs, range.reverse, target)
        return _choose(w, home)
    w.name.data = <const char*>w.key.mv_data
    w.name.size = w.key.mv_size
    w.frame = w.value
    return w.rc


cdef void walk_end(Walk* w) noexcept nogil:
    if w.cursor != NULL:
        mdb_cursor_close(w.cursor)
    if w.longs.cursor != NULL:
        mdb_cursor_close(w.longs.cursor)
    free(w.longs.rows)


cdef bytes walk_head(const Walk* w):
    return w.longs.head[:LONG_HEAD]


cdef int walk_raise(bytes head, int rc, str what, str path) except -1:
    if rc == FRAME_CORRUPT:
        raise CorruptError(f"{what} {path} found a damaged record, whose key begins with {head!r}; nothing of it was "
                           "returned. Run verify(), and restore or delete it")
    return lmdb_raise(rc, what, path)

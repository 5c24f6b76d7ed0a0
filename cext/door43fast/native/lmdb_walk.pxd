"""A walk over the records of a range in the order of their keys, short and long ones together.

Short keys are in the order of their table. Long ones are in order up to their first 494 bytes; those of which these
are the same, a group, are read into a list of places in the map and sorted. Of a larger group than MOST the list takes
the next ones in order, and the group is read once more behind them: so memory is bounded, by MOST places, whatever the
group, and a walk over n keys of one group reads it n / MOST times.
"""

from clib.lmdb cimport MDB_NEXT, MDB_NOTFOUND, MDB_PREV, MDB_cursor, MDB_txn, MDB_val, mdb_cursor_get
from libc.string cimport memcmp
from door43fast.native.frame cimport FRAME_CORRUPT, Frame, Slice, frame_read
from door43fast.native.handle cimport Handle
from door43fast.native.longrow cimport LONG_HEAD, LongRow


# The keys of a range as bytes: from ``low`` on, below ``high``; NULL for no end on that side.
cdef struct Range:
    Slice low
    Slice high
    bint reverse


# Long keys in order.
cdef struct Longs:
    MDB_cursor* cursor      # NULL where there are none
    MDB_val place           # where it stands, if ``rc`` is 0
    MDB_val value
    int rc
    Slice after             # what was handed out last
    char head[LONG_HEAD]    # of the group that is read
    bint again              # there is more of it than ``rows`` took
    bint unsorted           # each row as it comes: for those who only count
    LongRow* rows
    Py_ssize_t room
    Py_ssize_t count
    Py_ssize_t at


cdef struct Walk:
    const Range* range
    MDB_cursor* cursor      # over the short keys
    MDB_val key             # where it stands, if ``rc`` is 0
    MDB_val value
    int rc
    Longs longs
    bint long               # the present record is that of a long key
    Slice name              # the present record
    MDB_val frame


# Go to the first record, or to the one that follows ``after``, in the direction of the range. A status: MDB_NOTFOUND at
# the end. Whatever it is, walk_end is due. What is handed out is good as long as the transaction, and until its next
# change. REQUIRES: entered.
cdef int walk_begin(Walk* w, Handle home, MDB_txn* txn, const Range* range, Slice after, bint unsorted) noexcept nogil
cdef int walk_on(Walk* w, Handle home) noexcept nogil
cdef void walk_end(Walk* w) noexcept nogil
# What the keys of the group begin with that is read, to be told of. Makes bytes only, so no Python code runs here.
cdef bytes walk_head(const Walk* w)
# The exception for a status of the walk itself. REQUIRES: not entered.
cdef int walk_raise(bytes head, int rc, str what, str path) except -1


cdef inline int compare(const MDB_val* key, Slice edge) noexcept nogil:
    cdef int order = memcmp(key.mv_data, edge.data, min(key.mv_size, edge.size))
    return order if order else (key.mv_size > edge.size) - (key.mv_size < edge.size)


cdef inline bint within(const Range* r, const MDB_val* key) noexcept nogil:
    """Whether the far end is not reached yet."""
    if r.reverse:
        return r.low.data == NULL or compare(key, r.low) >= 0
    return r.high.data == NULL or compare(key, r.high) < 0


cdef inline int walk_next(Walk* w, Handle home) noexcept nogil:
    """Go to the next record: a status, as of walk_begin."""
    if w.longs.cursor != NULL:
        return walk_on(w, home)
    w.rc = mdb_cursor_get(w.cursor, &w.key, &w.value, MDB_PREV if w.range.reverse else MDB_NEXT)
    if w.rc == 0 and not within(w.range, &w.key):
        w.rc = MDB_NOTFOUND
    w.name.data = <const char*>w.key.mv_data
    w.name.size = w.key.mv_size
    w.frame = w.value
    return w.rc


cdef inline bint walk_holds(const Walk* w) noexcept nogil:
    """Whether rows behind this one are at hand, for which a walk that began anew would have to read a group again."""
    return w.longs.at + 1 < w.longs.count


cdef inline int walk_frame(const Walk* w, Handle home, Frame* frame) noexcept nogil:
    """What the frame of the present record says; no deadline and no tag is looked at."""
    if not home.holds(&w.frame):
        return FRAME_CORRUPT
    return frame_read(w.name, <const char*>w.frame.mv_data, w.frame.mv_size, frame)

"""Ranges of a store on disk, in the order of the keys."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

from clib.lmdb cimport (MDB_FIRST, MDB_LAST, MDB_NEXT, MDB_NOTFOUND, MDB_PREV, MDB_SET_RANGE, MDB_cursor, MDB_txn,
                        MDB_val, mdb_cursor_get)
from door43fast.native.lmdb_batches cimport BatchEngine
from door43fast.native.core cimport EventQueue
from door43fast.native.frame cimport Slice


# The keys of a range as bytes: from ``low`` on, below ``high``; NULL for no end on that side.
cdef struct Range:
    Slice low
    Slice high
    bint reverse


cdef class Bounds:
    """A range, and what keeps its bytes alive."""
    cdef Range range
    cdef bytes low
    cdef bytes high


cdef inline int compare(const MDB_val* key, Slice edge) noexcept nogil:
    cdef int order = memcmp(key.mv_data, edge.data, min(key.mv_size, edge.size))
    return order if order else (key.mv_size > edge.size) - (key.mv_size < edge.size)


cdef inline int seek(const Range* r, MDB_cursor* cursor, MDB_val* key, MDB_val* value, Slice after) noexcept nogil:
    """Go to the first record, or to the one that follows ``after``, in the direction of the range."""
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


cdef inline int step(const Range* r, MDB_cursor* cursor, MDB_val* key, MDB_val* value) noexcept nogil:
    return mdb_cursor_get(cursor, key, value, MDB_PREV if r.reverse else MDB_NEXT)


cdef inline bint within(const Range* r, const MDB_val* key) noexcept nogil:
    """Whether the far end is not reached yet."""
    if r.reverse:
        return r.low.data == NULL or compare(key, r.low) >= 0
    return r.high.data == NULL or compare(key, r.high) < 0


cdef inline Slice slice_of(bytes data) noexcept:
    """The bytes of ``data``; NULL for None."""
    cdef Slice s
    s.data = NULL if data is None else PyBytes_AS_STRING(data)
    s.size = 0 if data is None else PyBytes_GET_SIZE(data)
    return s


cdef class RangeEngine(BatchEngine):
    cdef Bounds bounds_of(self, object prefix, object start, object stop, bint reverse)
    cdef int _clear(self, Bounds bounds, EventQueue queue, uint64_t* seq) except? -1
    cdef object stretch(self, Bounds bounds, bytes after, Py_ssize_t limit, bint values, list keys, list lifted,
                        list marks, list tokens, MDB_txn* txn)

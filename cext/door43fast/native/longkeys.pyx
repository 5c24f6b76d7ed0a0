"""The table of records whose keys are longer than a key of LMDB may be, one key at a time."""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from door43fast.native.frame cimport FRAME_CORRUPT
from door43fast.native.longrow cimport (LONG_NAME, LONG_PLACE, LONG_SIZE, LONG_TWINS, LONG_UNSEEN, TWINS_FULL,
                                        long_fits, long_parts, long_place, long_read)
from door43fast.native.tables cimport HAS_LONG, format_has, mark_format


cdef int long_count(Handle home, MDB_txn* txn, size_t* count) noexcept nogil:
    cdef MDB_stat stat
    cdef int rc
    count[0] = 0
    if not home.has_longs:
        return LONG_UNSEEN if format_has(txn, home.meta, HAS_LONG) else 0
    rc = mdb_stat(txn, home.longs, &stat)
    if rc == 0:
        count[0] = stat.ms_entries
    return rc


cdef int long_cursor(Handle home, MDB_txn* txn, MDB_cursor** cursor) noexcept nogil:
    cdef size_t count
    cdef int rc = long_count(home, txn, &count)
    cursor[0] = NULL
    return mdb_cursor_open(txn, home.longs, cursor) if rc == 0 and count else rc


cdef int long_row(Handle home, const MDB_val* place, const MDB_val* value, LongRow* row) noexcept nogil:
    if not home.holds(value):
        return FRAME_CORRUPT
    return long_read(<const char*>place.mv_data, place.mv_size, <const char*>value.mv_data, value.mv_size, row)


cdef int _seek(Handle home, MDB_cursor* cursor, Slice key, char* place, LongRow* row) noexcept nogil:
    """Find the row of ``key`` among those with its head and hash: then ``place`` is its place.

    MDB_NOTFOUND: ``place`` is free; if none is, it is TWINS_FULL. FRAME_CORRUPT: there is a damaged row at ``place``,
    and as no two keys have one hash but by intent, it is that of ``key``.
    """
    cdef MDB_val name, value
    cdef int rc, number = 0, free = 0, damaged = -1
    long_place(key, place)
    name.mv_data = place
    name.mv_size = LONG_PLACE
    rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE)
    while rc == 0 and name.mv_size == LONG_PLACE and memcmp(name.mv_data, place, LONG_NAME) == 0:
        number = <unsigned char>(<const char*>name.mv_data)[LONG_NAME]
        free += free == number
        if not home.holds(&value) or long_parts(<const char*>name.mv_data, LONG_PLACE, <const char*>value.mv_data,
                                                value.mv_size, row):
            damaged = number
        elif row.name.size == key.size and memcmp(row.name.data, key.data, key.size) == 0:
            place[LONG_NAME] = <char>number
            return 0
        elif not long_fits(<const char*>name.mv_data, row):
            damaged = number
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)
    if rc and rc != MDB_NOTFOUND:
        return rc
    place[LONG_NAME] = <char>(damaged if damaged >= 0 else free)
    if damaged >= 0:
        return FRAME_CORRUPT
    return TWINS_FULL if free == LONG_TWINS else MDB_NOTFOUND


cdef int long_get(Handle home, MDB_txn* txn, Slice key, MDB_val* frame) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef LongRow row
    cdef char place[LONG_PLACE]
    cdef int rc = long_cursor(home, txn, &cursor)
    if rc or cursor == NULL:
        return rc if rc else MDB_NOTFOUND
    rc = _seek(home, cursor, key, place, &row)
    mdb_cursor_close(cursor)
    if rc == 0:
        frame.mv_data = <void*>row.frame.data
        frame.mv_size = row.frame.size
    return MDB_NOTFOUND if rc == TWINS_FULL else rc


cdef int long_drop(Handle home, MDB_txn* txn, Slice key) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val name
    cdef LongRow row
    cdef char place[LONG_PLACE]
    cdef int rc = long_cursor(home, txn, &cursor)
    if rc or cursor == NULL:
        return rc if rc else MDB_NOTFOUND
    rc = _seek(home, cursor, key, place, &row)
    mdb_cursor_close(cursor)
    if rc and rc != FRAME_CORRUPT:
        return MDB_NOTFOUND if rc == TWINS_FULL else rc
    name.mv_data = place
    name.mv_size = LONG_PLACE
    return mdb_del(txn, home.longs, &name, NULL)


cdef int long_room(Handle home, MDB_txn* txn, Slice key, size_t size, MDB_val* frame) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val name, value
    cdef LongRow row
    cdef char place[LONG_PLACE]
    cdef char* at
    cdef uint32_t length = <uint32_t>key.size
    cdef int rc = mark_format(txn, home.meta, HAS_LONG)
    if rc == 0:
        rc = mdb_cursor_open(txn, home.longs, &cursor)
    if rc:
        return rc
    rc = _seek(home, cursor, key, place, &row)
    mdb_cursor_close(cursor)
    if rc and rc != MDB_NOTFOUND and rc != FRAME_CORRUPT:
        return rc
    name.mv_data = place
    name.mv_size = LONG_PLACE
    value.mv_data = NULL
    value.mv_size = LONG_SIZE + key.size + size
    rc = mdb_put(txn, home.longs, &name, &value, MDB_RESERVE)
    if rc:
        return rc
    at = <char*>value.mv_data
    memcpy(at, &length, LONG_SIZE)
    memcpy(at + LONG_SIZE, key.data, key.size)
    frame.mv_data = at + LONG_SIZE + key.size
    frame.mv_size = size
    return 0

"""The order of eviction against the records: a record that may be evicted and has no row would stay for ever.

First the records: most have their row at the place of their birth. Then the rows, for those that were given another
round: a row only ever moves to the end, so a walk from the beginning sees each at least once, whoever moves it
meanwhile. What was evicted or overwritten on the way is looked for once more at the end, and is then no error.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from door43fast.native.audit cimport walk
from door43fast.native.budget cimport ROW_BIRTH, order_position
from door43fast.native.frame cimport Frame, Slice, frame_read
from door43fast.native.longkeys cimport record_get, record_row
from door43fast.native.longrow cimport LONGEST_KEY

cdef enum:
    STRETCH = 4096          # rows between two looks at signals, and the longest that one snapshot is held
    RECORDS = 0             # parts of the walk
    LONGS
    ROWS


cdef bytes audit_order(Handle home, MDB_txn* txn, bytes place, dict waiting, list errors):
    cdef char part = RECORDS        # the first byte of a place; the key to go on from follows it
    cdef bytes resume = place[1:]
    if not home.budget.on:
        return None
    if place:
        part = (<const char*>place)[0]
    if part == ROWS:
        resume = _rows(home, txn, resume, waiting, errors)
        if resume is None:
            _lost(home, txn, waiting, errors)
            return None
    else:
        resume = _records(home, txn, part == LONGS, resume, waiting)
        if resume is None:
            part += 1
            resume = b""
    return PyBytes_FromStringAndSize(&part, 1) + resume


cdef object _records(Handle home, MDB_txn* txn, bint longs, bytes resume, dict waiting):
    """Of a damaged record the walk over the records tells."""
    cdef MDB_cursor* cursor
    cdef MDB_val key, value
    cdef Slice name, frame
    cdef uint64_t birth
    cdef int rc, seen = 0
    if longs and not home.has_longs:
        return None
    cursor = walk(txn, home.longs if longs else home.data, "records", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            birth = _birth(name, frame) if record_row(home, longs, &key, &value, &name, &frame) else 0
            if birth and not _stands(home, txn, name, birth):
                waiting[birth] = name.data[:name.size]
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        return None
    finally:
        mdb_cursor_close(cursor)


cdef uint64_t _birth(Slice name, Slice data) noexcept nogil:
    """0 for a record that has none, or is damaged."""
    cdef Frame frame
    return 0 if frame_read(name, data.data, data.size, &frame) else frame.birth


cdef bint _stands(Handle home, MDB_txn* txn, Slice name, uint64_t birth) noexcept nogil:
    """Whether the row that a record got at its birth is there."""
    cdef MDB_val key, row
    cdef unsigned char at[8]
    cdef int i
    for i in range(8):
        at[i] = <unsigned char>(birth >> (56 - 8 * i) & 0xFF)
    key.mv_data = at
    key.mv_size = 8
    return mdb_get(txn, home.budget.table, &key, &row) == 0 and row.mv_size == ROW_BIRTH + name.size and \
        memcmp(row.mv_data, &birth, ROW_BIRTH) == 0 and \
        memcmp(<const char*>row.mv_data + ROW_BIRTH, name.data, name.size) == 0


cdef object _rows(Handle home, MDB_txn* txn, bytes resume, dict waiting, list errors):
    cdef MDB_cursor* cursor
    cdef MDB_val key, row
    cdef uint64_t birth
    cdef int rc, seen = 0
    cursor = walk(txn, home.budget.table, "the order of eviction", resume, &key, &row, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            if key.mv_size != 8 or not ROW_BIRTH < row.mv_size <= ROW_BIRTH + LONGEST_KEY:
                errors.append("the order of eviction has a row that is none")
            else:
                memcpy(&birth, row.mv_data, ROW_BIRTH)
                if birth > order_position(<const char*>key.mv_data):
                    errors.append(f"the order of eviction has a row that is older than its record's birth {birth}")
                elif waiting.get(birth) == (<char*>row.mv_data)[ROW_BIRTH:row.mv_size]:
                    del waiting[birth]
            rc = mdb_cursor_get(cursor, &key, &row, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the order of eviction stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef int _lost(Handle home, MDB_txn* txn, dict waiting, list errors) except -1:
    """Those that are there still."""
    cdef MDB_val found
    cdef Slice name, frame
    for birth, key in waiting.items():
        name.data = <bytes>key
        name.size = len(<bytes>key)
        if record_get(home, txn, name, &found) == 0 and home.holds(&found):
            frame.data = <const char*>found.mv_data
            frame.size = found.mv_size
            if _birth(name, frame) == <uint64_t>birth:
                errors.append(f"the record {key!r} has no row in the order of eviction")
    return 0

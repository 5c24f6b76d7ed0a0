"""Records by their keys, short or long: the table of long keys beside that of the others. See longrow.pxd.

All take the whole key and give the frame. A key that LMDB can hold costs one comparison more than LMDB itself.
"""

from clib.lmdb cimport MDB_cursor, MDB_txn, MDB_val, mdb_del, mdb_get
from door43fast.native.frame cimport Slice
from door43fast.native.handle cimport Handle
from door43fast.native.longrow cimport MAX_KEY, LongRow

cdef int long_get(Handle home, MDB_txn* txn, Slice key, MDB_val* frame) noexcept nogil
cdef int long_drop(Handle home, MDB_txn* txn, Slice key) noexcept nogil
# Room for a frame of ``size`` bytes under a long key, in place of what was there: good until the next change.
cdef int long_room(Handle home, MDB_txn* txn, Slice key, size_t size, MDB_val* frame) noexcept nogil
# How many there are in the snapshot of ``txn``.
cdef int long_count(Handle home, MDB_txn* txn, size_t* count) noexcept nogil
# A cursor over the rows, NULL where there are none.
cdef int long_cursor(Handle home, MDB_txn* txn, MDB_cursor** cursor) noexcept nogil
# The row that LMDB gave, whose bytes are believed in nothing.
cdef int long_row(Handle home, const MDB_val* place, const MDB_val* value, LongRow* row) noexcept nogil


cdef inline int record_get(Handle home, MDB_txn* txn, Slice key, MDB_val* frame) noexcept nogil:
    """What ``mdb_get`` gives; FRAME_CORRUPT, if the row of a long key is damaged."""
    cdef MDB_val name
    if key.size > MAX_KEY:
        return long_get(home, txn, key, frame)
    name.mv_data = <void*>key.data
    name.mv_size = key.size
    return mdb_get(txn, home.data, &name, frame)


cdef inline int record_drop(Handle home, MDB_txn* txn, Slice key) noexcept nogil:
    """What ``mdb_del`` does. A damaged row of a long key goes too."""
    cdef MDB_val name
    if key.size > MAX_KEY:
        return long_drop(home, txn, key)
    name.mv_data = <void*>key.data
    name.mv_size = key.size
    return mdb_del(txn, home.data, &name, NULL)


cdef inline bint record_row(Handle home, bint long, const MDB_val* key, const MDB_val* value, Slice* name,
                            Slice* frame) noexcept nogil:
    """The record in a row of the table of records, or of that of long keys. False for a row that is damaged."""
    cdef LongRow row
    if long:
        if long_row(home, key, value, &row):
            return False
        name[0] = row.name
        frame[0] = row.frame
        return True
    name.data = <const char*>key.mv_data
    name.size = key.mv_size
    frame.data = <const char*>value.mv_data
    frame.size = value.mv_size
    return home.holds(value)

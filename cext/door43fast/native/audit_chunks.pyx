"""The chunks of large values against the records: each value belongs to a record and is whole, and each record has its
own. A value that is being written belongs to nobody yet; what a dead writer has left is removed by the next opening.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from door43fast.native.audit cimport walk
from door43fast.native.chunks cimport *
from door43fast.native.frame cimport CHUNKED, FRAME_HEADER, Frame, Slice, frame_read
from door43fast.native.longkeys cimport record_get, record_row

from door43fast.errors import CorruptError

cdef bytes PIECES = bytes([PIECE])

cdef enum:
    STRETCH = 64            # chunks that are read in one snapshot
    RECORDS = 4096          # and records


cdef object audit_heads(Handle home, MDB_txn* txn, bint longs, bytes resume, list errors):
    cdef MDB_cursor* cursor
    cdef MDB_val key, value, name, owner
    cdef Frame frame
    cdef Slice record, data
    cdef Head head
    cdef char row[ROW_KEY]
    cdef int rc, seen = 0
    if longs and not home.has_longs:
        return None
    cursor = walk(txn, home.longs if longs else home.data, "records", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == RECORDS:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            # Of a damaged record the walk over the records tells.
            if record_row(home, longs, &key, &value, &record, &data) and data.size >= FRAME_HEADER + HEAD and \
                    data.data[9] & CHUNKED and frame_read(record, data.data, data.size, &frame) == 0:
                rc = head_read(&frame, &head)
                if rc == 0 and home.has_chunks:
                    row_key(row, OWNED, head.id, 0)
                    name.mv_data = row
                    name.mv_size = 1 + VALUE_ID
                    rc = mdb_get(txn, home.chunks, &name, &owner)
                    if rc == 0 and (owner.mv_size != record.size or memcmp(owner.mv_data, record.data, record.size)):
                        rc = MDB_NOTFOUND
                    row_key(row, PIECE, head.id, 0)
                    name.mv_size = ROW_KEY
                    if rc == 0:
                        rc = mdb_get(txn, home.chunks, &name, &owner)
                if rc or not home.has_chunks:
                    errors.append(f"the large value of the record {record.data[:record.size]!r} is missing")
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the records stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef int audit_large(Handle home) except -1:
    cdef Compression compression = Compression(home, False)
    cdef MDB_txn* txn = NULL
    cdef list errors = []
    cdef int rc = mdb_txn_begin(home.env, NULL, MDB_RDONLY, &txn)
    if rc:
        raise CorruptError(f"{home.path} cannot be read: {mdb_strerror(rc).decode()}; restore a backup")
    try:
        for longs in (False, True):
            resume = b""
            while resume is not None:
                resume = audit_heads(home, txn, longs, resume, errors)
        resume = b""
        while resume is not None:
            resume = audit_chunks(home, compression, txn, resume, errors)
    finally:
        mdb_txn_abort(txn)
    if errors:
        raise CorruptError(f"{home.path} was open when the system went down, and {len(errors)} of its large values are "
                           f"damaged, the first: {errors[0]}; restore a backup")
    return 0


cdef object audit_chunks(Handle home, Compression compression, MDB_txn* txn, bytes resume, list errors):
    cdef MDB_cursor* cursor
    cdef MDB_val key, value
    cdef Head head
    cdef Slice content
    cdef bytes owner
    cdef char name[ROW_KEY]
    cdef char* room
    cdef uint32_t number
    cdef int rc, seen = 0, fault
    if not home.has_chunks:
        return None
    if resume == b"":
        resume = PIECES
    room = <char*>malloc(MOST_CHUNK)
    if room == NULL:
        raise MemoryError("no memory to check large values")
    try:
        cursor = walk(txn, home.chunks, "chunks", resume, &key, &value, &rc)
        try:
            while rc == 0:
                if key.mv_size != ROW_KEY:
                    errors.append("the table of chunks has a row that is none")
                    return None
                if seen >= STRETCH:
                    return (<char*>key.mv_data)[:key.mv_size]
                memcpy(name, key.mv_data, ROW_KEY)
                owner = _head_of(home, txn, name + 1, &head)
                if owner is None:
                    if not _writing(home, txn, name + 1):
                        errors.append(f"the large value {(name + 1)[:VALUE_ID].hex()} belongs to no record")
                    head.count = 0
                number = int.from_bytes((name + 1 + VALUE_ID)[:4], "big")
                # From here on in the order of numbers; a stretch may begin in the middle of a value.
                while rc == 0 and key.mv_size == ROW_KEY and memcmp(key.mv_data, name, 1 + VALUE_ID) == 0:
                    if seen >= STRETCH and owner is not None:
                        return (<char*>key.mv_data)[:key.mv_size]
                    seen += 1
                    if owner is not None:
                        row_key(name, PIECE, head.id, number)
                        fault = number >= head.count or memcmp(key.mv_data, name, ROW_KEY)
                        if fault == 0:
                            with nogil:
                                fault = chunk_get(home, compression, name, &value, room, MOST_CHUNK, &content)
                            fault = fault or content.size != chunk_size(&head, number)
                        if fault:
                            errors.append(f"chunk {number} of the record {owner!r} is missing, damaged or of another "
                                          "size")
                            number = head.count
                            break
                        number += 1
                    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
                if owner is not None and number < head.count:
                    errors.append(f"chunk {number} of the record {owner!r} is missing")
                if rc == 0 and key.mv_size == ROW_KEY and memcmp(key.mv_data, name, 1 + VALUE_ID) == 0:
                    row_key(name, PIECE, name + 1, 0xFFFFFFFF)      # past the rest of a value with a fault
                    key.mv_data = name
                    key.mv_size = ROW_KEY
                    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
            if rc != MDB_NOTFOUND:
                errors.append(f"the walk over the chunks stopped: {mdb_strerror(rc).decode()}")
            return None
        finally:
            mdb_cursor_close(cursor)
    finally:
        free(room)


cdef bint _writing(Handle home, MDB_txn* txn, const char* id) noexcept nogil:
    cdef MDB_val name, value
    cdef char row[ROW_KEY]
    row_key(row, WRITING, id, 0)
    name.mv_data = row
    name.mv_size = 1 + VALUE_ID
    return mdb_get(txn, home.chunks, &name, &value) == 0


cdef bytes _head_of(Handle home, MDB_txn* txn, const char* id, Head* head):
    """The key of the record that the value belongs to, and its head; None if there is no such record."""
    cdef MDB_val name, value, record
    cdef char row[ROW_KEY]
    cdef Frame frame
    cdef Slice key
    row_key(row, OWNED, id, 0)
    name.mv_data = row
    name.mv_size = 1 + VALUE_ID
    if mdb_get(txn, home.chunks, &name, &value) or value.mv_size == 0:
        return None
    key.data = <const char*>value.mv_data
    key.size = value.mv_size
    if record_get(home, txn, key, &record) or not home.holds(&record) or frame_read(
            key, <const char*>record.mv_data, record.mv_size, &frame) or not frame.flags & CHUNKED or head_read(
            &frame, head) or memcmp(head.id, id, VALUE_ID):
        return None
    return key.data[:key.size]

"""The walk over all records that finds damage: checksums, and the table of deadlines against the records."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp

from clib.lmdb cimport *
from door43fast.native.compression cimport read_dictionary
from door43fast.native.expiry cimport EXPIRY_KEY, expiry_key
from door43fast.native.frame cimport FRAME_CORRUPT, FRAME_NEWER, Frame, HAS_DEADLINE, Slice, frame_read
from door43fast.native.journal cimport Entry, Row, row_next, row_read
from door43fast.native.longkeys cimport long_row, record_get
from door43fast.native.longrow cimport LONG_HEAD, LongRow

from door43fast.errors import CorruptError

cdef enum:
    STRETCH = 4096          # records between two looks at signals, and the longest that one snapshot is held


cdef MDB_cursor* walk(MDB_txn* txn, MDB_dbi table, str name, bytes resume, MDB_val* key, MDB_val* value,
                      int* rc) except NULL:
    """A cursor of the caller's on the first row from ``resume`` on, if ``rc`` is then 0."""
    cdef MDB_cursor* cursor = NULL
    rc[0] = mdb_cursor_open(txn, table, &cursor)
    if rc[0]:
        raise CorruptError(f"the table of {name} cannot be read: {mdb_strerror(rc[0]).decode()}; restore a backup")
    key.mv_data = <char*>resume
    key.mv_size = len(resume)
    rc[0] = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE if key.mv_size else MDB_FIRST)
    return cursor


cdef int audit_dictionaries(MDB_txn* txn, MDB_dbi meta, set sound, list errors) except -1:
    """Add the numbers of the compression dictionaries that are sound to ``sound``."""
    cdef Slice prefix, body
    cdef int rc = 0
    cdef uint32_t id = 0
    while rc == 0:
        id += 1
        rc = read_dictionary(txn, meta, id, &prefix, &body)
        if rc == 0:
            sound.add(id)
        elif rc == FRAME_CORRUPT:
            errors.append(f"the compression dictionary {id} does not match its checksum")
            rc = 0
    if rc != MDB_NOTFOUND:
        errors.append(f"the compression dictionaries cannot be read: {mdb_strerror(rc).decode()}")
    return 0


cdef object audit_data(Handle home, MDB_txn* txn, bytes resume, uint64_t* count, set dictionaries, list errors):
    """Check up to STRETCH records from ``resume`` on; returns the key to go on from, or None."""
    cdef MDB_cursor* cursor
    cdef MDB_val key, value
    cdef Slice name, frame
    cdef int rc, seen = 0
    cursor = walk(txn, home.data, "records", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            count[0] += 1
            name.data = <const char*>key.mv_data
            name.size = key.mv_size
            frame.data = <const char*>value.mv_data
            frame.size = value.mv_size
            _record(home, txn, name, frame, dictionaries, errors)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the records stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef object audit_longs(Handle home, MDB_txn* txn, bytes resume, uint64_t* count, set dictionaries, list errors):
    """The same of those with long keys: each key at its place, and found from there."""
    cdef MDB_cursor* cursor
    cdef MDB_val key, value, found
    cdef LongRow row
    cdef int rc, seen = 0
    if not home.has_longs:
        return None
    cursor = walk(txn, home.longs, "long keys", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            count[0] += 1
            if long_row(home, &key, &value, &row):
                head = (<char*>key.mv_data)[:min(key.mv_size, LONG_HEAD)]
                errors.append(f"the record whose key begins with {head!r} is damaged")
            else:
                _record(home, txn, row.name, row.frame, dictionaries, errors)
                rc = record_get(home, txn, row.name, &found)
                if rc or found.mv_data != <void*>row.frame.data:
                    errors.append(f"the record {row.name.data[:row.name.size]!r} is not found by its key")
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the records of long keys stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef int _record(Handle home, MDB_txn* txn, Slice name, Slice data, set dictionaries, list errors) except -1:
    """Check one record by itself, and that the table of deadlines knows of it."""
    cdef MDB_val row, target
    cdef Frame frame
    cdef char wanted[EXPIRY_KEY]
    cdef int rc
    with nogil:
        rc = frame_read(name, data.data, data.size, &frame)
    if rc == FRAME_NEWER:
        errors.append(f"the record {name.data[:name.size]!r} is of a newer format")
    elif rc:
        errors.append(f"the record {name.data[:name.size]!r} does not match its checksum")
    elif frame.dictionary and frame.dictionary not in dictionaries:
        errors.append(f"the record {name.data[:name.size]!r} was compressed with the dictionary {frame.dictionary}, "
                      "which is missing or damaged")
    elif frame.flags & HAS_DEADLINE:
        expiry_key(name, frame.deadline + frame.stale, wanted)
        row.mv_data = wanted
        row.mv_size = EXPIRY_KEY
        rc = mdb_get(txn, home.expiry, &row, &target)
        if rc or target.mv_size != name.size or memcmp(target.mv_data, name.data, name.size):
            errors.append(f"the record {name.data[:name.size]!r} has a deadline, but no row in the table of deadlines")
    return 0


cdef object audit_expiry(Handle home, MDB_txn* txn, bytes resume, list errors):
    """The other way: each row of the table of deadlines must stand for a record with that deadline."""
    cdef MDB_cursor* cursor
    cdef MDB_val key, value, target
    cdef Frame frame
    cdef Slice name
    cdef char wanted[EXPIRY_KEY]
    cdef int rc, seen = 0
    cursor = walk(txn, home.expiry, "deadlines", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            name.data = <const char*>value.mv_data
            name.size = value.mv_size
            rc = record_get(home, txn, name, &target)
            if rc == FRAME_CORRUPT or rc == 0 and frame_read(name, <const char*>target.mv_data, target.mv_size, &frame):
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)     # the walk over the records tells of it
                continue
            if rc == 0:
                expiry_key(name, frame.deadline + frame.stale, wanted)
            if rc or key.mv_size != EXPIRY_KEY or memcmp(key.mv_data, wanted, EXPIRY_KEY):
                errors.append(f"the table of deadlines has a row for {name.data[:name.size]!r} that no record agrees "
                              "with")
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the deadlines stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef object audit_journal(MDB_txn* txn, const Journal* journal, bytes resume, uint64_t* next, list errors):
    """Each row whole, and each where the one before ended."""
    cdef MDB_cursor* cursor
    cdef MDB_val key, value
    cdef Row row
    cdef Entry entry
    cdef int rc, seen = 0, more
    if not journal.on:
        return None
    cursor = walk(txn, journal.table, "changes", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            more = row_read(<const char*>key.mv_data, key.mv_size, <const char*>value.mv_data, value.mv_size, &row)
            if more == 0:
                more = 1
                while more == 1:
                    more = row_next(&row, &entry)
            name = (<char*>key.mv_data)[:key.mv_size]
            number = int.from_bytes(name, "big")
            if more == FRAME_NEWER:
                errors.append(f"the journal's row {number} is of a newer format")
            elif more:
                errors.append(f"the journal's row {number} does not match its checksum, or not what it says it holds")
                next[0] = 0
            elif next[0] and row.first != next[0]:
                errors.append(f"the journal goes on with {row.first} where {next[0]} should follow")
            if more == 0:
                next[0] = row.first + row.count
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the journal stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)


cdef uint64_t audit_all(Handle home) except? 0:
    """All of a store that nobody may use yet; raises if anything is wrong. Returns the number of records."""
    cdef MDB_txn* txn = NULL
    cdef uint64_t count = 0, next = 0
    cdef list errors = []
    cdef set dictionaries = set()
    cdef int rc = mdb_txn_begin(home.env, NULL, MDB_RDONLY, &txn)
    if rc:
        raise CorruptError(f"{home.path} cannot be read: {mdb_strerror(rc).decode()}; restore a backup")
    try:
        audit_dictionaries(txn, home.meta, dictionaries, errors)
        resume = b""
        while resume is not None:
            resume = audit_data(home, txn, resume, &count, dictionaries, errors)
        resume = b""
        while resume is not None:
            resume = audit_longs(home, txn, resume, &count, dictionaries, errors)
        resume = b""
        while resume is not None:
            resume = audit_expiry(home, txn, resume, errors)
        resume = b""
        while resume is not None:
            resume = audit_journal(txn, &home.journal, resume, &next, errors)
    finally:
        mdb_txn_abort(txn)
    if errors:
        raise CorruptError(f"{home.path} was open when the system went down, and {len(errors)} of its {count} records "
                           f"are damaged, the first: {errors[0]}; restore a backup")
    return count

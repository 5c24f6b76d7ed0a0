"""The journal of a store on disk: rows of changes, each written in the transaction that makes the changes."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits, XXH3_64bits_withSeed
from door43fast.native.frame cimport FRAME_CORRUPT, FRAME_NEWER

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)
    void d43_store(uint64_t*, uint64_t)

cdef enum:
    BETWEEN = 64            # changes between two looks at the bounds
    FEW_ROWS = 130          # rows that a look removes beside two for each that was written


cdef inline void _put_number(uint64_t number, char* out) noexcept nogil:
    cdef int i
    for i in range(8):
        out[i] = <char>(number >> (56 - 8 * i) & 0xFF)


cdef inline uint64_t _number(const char* at) noexcept nogil:
    cdef uint64_t number = 0
    cdef int i
    for i in range(8):
        number = number << 8 | <uint8_t>at[i]
    return number


# Writing

cdef int journal_begin(Journal* j, MDB_txn* txn, MDB_dbi meta, const char* origin, int64_t now) noexcept nogil:
    cdef uint64_t before = mdb_txn_id(txn) - 1, oldest, last
    cdef int rc
    if d43_load(&j.checked) != before:         # others have written: the store may have a journal now, or other bounds
        rc = journal_settings(txn, meta, &j.max_age, &j.max_bytes)
        if rc == 0 and not j.on:
            return JOURNAL_FOUND
        if rc and rc != MDB_NOTFOUND:
            return rc
        d43_store(&j.checked, before)
    if not j.on:
        return 0
    rc = journal_span(txn, j.table, &oldest, &last)
    if rc:
        return rc
    j.first = j.row_first = last + 1
    j.count = 0
    j.used = ROW_HEAD
    j.rows = 0
    j.time = now
    memcpy(j.origin, origin, ORIGIN)
    return 0


cdef int _write_row(Journal* j, MDB_txn* txn, char* row, size_t size, uint32_t count) noexcept nogil:
    cdef MDB_val name, value
    cdef char number[8]
    cdef uint64_t checksum
    cdef int rc
    _put_number(j.row_first, number)
    memset(row, 0, 16)
    row[8] = ROW_VERSION
    memcpy(row + 12, &count, 4)
    memcpy(row + 16, &j.time, 8)
    memcpy(row + 24, j.origin, ORIGIN)
    checksum = XXH3_64bits_withSeed(row + 8, size - 8, XXH3_64bits(number, 8))
    memcpy(row, &checksum, 8)
    name.mv_data = number
    name.mv_size = 8
    value.mv_data = row
    value.mv_size = size
    rc = mdb_put(txn, j.table, &name, &value, MDB_APPEND)
    if rc == MDB_KEYEXIST:          # a row stands behind the last one: the order of the table is broken
        rc = MDB_CORRUPTED
    j.row_first += count
    j.rows += 1
    return rc


cdef int _flush(Journal* j, MDB_txn* txn) noexcept nogil:
    cdef int rc
    if j.count == 0:
        return 0
    rc = _write_row(j, txn, j.row, j.used, j.count)
    j.count = 0
    j.used = ROW_HEAD
    return rc


cdef inline void _put_entry(char* out, Change op, Slice key, uint64_t hash, uint64_t base) noexcept nogil:
    cdef uint32_t size = <uint32_t>key.size
    out[0] = <char>op
    memcpy(out + 1, &size, 4)
    memcpy(out + 5, &hash, 8)
    memcpy(out + 13, &base, 8)
    if size:
        memcpy(out + ENTRY_HEAD, key.data, size)


cdef int journal_note(Journal* j, MDB_txn* txn, Change op, Slice key, uint64_t hash, uint64_t base) noexcept nogil:
    cdef size_t size = ENTRY_HEAD + key.size
    cdef char* long_row
    cdef int rc = 0
    if j.used + size > ROW:
        rc = _flush(j, txn)
        if rc:
            return rc
    if ROW_HEAD + size > ROW:       # the name of a tag may be of any length
        long_row = <char*>malloc(ROW_HEAD + size)
        if long_row == NULL:
            return ENOMEM
        _put_entry(long_row + ROW_HEAD, op, key, hash, base)
        rc = _write_row(j, txn, long_row, ROW_HEAD + size, 1)
        free(long_row)
        return rc
    _put_entry(j.row + j.used, op, key, hash, base)
    j.used += size
    j.count += 1
    return 0


cdef int journal_end(Journal* j, MDB_txn* txn) noexcept nogil:
    cdef uint64_t pruned = 0
    cdef int rc = _flush(j, txn)
    if rc == 0 and j.first // BETWEEN != j.row_first // BETWEEN:
        rc = journal_prune(j, txn, 2 * j.rows + FEW_ROWS, &pruned)
    return rc


cdef int journal_prune(Journal* j, MDB_txn* txn, uint64_t limit, uint64_t* pruned) noexcept nogil:
    """The oldest rows go first. The last row stays whatever the bounds say: the next number is known from it."""
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef MDB_stat stat
    cdef int64_t time
    cdef bint beyond
    cdef int rc
    if not j.max_age and not j.max_bytes:
        return 0
    rc = mdb_cursor_open(txn, j.table, &cursor)
    while rc == 0 and limit:
        rc = mdb_stat(txn, j.table, &stat)
        if rc or stat.ms_entries < 2:
            break
        beyond = j.max_bytes and j.max_bytes < \
            (stat.ms_leaf_pages + stat.ms_branch_pages + stat.ms_overflow_pages) * stat.ms_psize
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        if rc == 0 and not beyond and j.max_age:
            if value.mv_size < ROW_HEAD:
                rc = MDB_CORRUPTED
                break
            memcpy(&time, <const char*>value.mv_data + 16, 8)
            beyond = j.time > time and <uint64_t>(j.time - time) > j.max_age
        if rc or not beyond:
            break
        rc = mdb_cursor_del(cursor, 0)
        limit -= 1
        pruned[0] += 1
    if cursor != NULL:
        mdb_cursor_close(cursor)
    return rc


# Reading

cdef int journal_settings(MDB_txn* txn, MDB_dbi meta, uint64_t* max_age, uint64_t* max_bytes) noexcept nogil:
    cdef MDB_val name, value
    cdef int rc
    name.mv_data = <char*>b"journal"
    name.mv_size = 7
    rc = mdb_get(txn, meta, &name, &value)
    if rc == 0 and value.mv_size != SETTINGS:
        rc = MDB_CORRUPTED
    if rc == 0:
        memcpy(max_age, value.mv_data, 8)
        memcpy(max_bytes, <const char*>value.mv_data + 8, 8)
    return rc


cdef int journal_span(MDB_txn* txn, MDB_dbi table, uint64_t* oldest, uint64_t* last) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val key, value
    cdef Row row
    cdef int rc = mdb_cursor_open(txn, table, &cursor)
    oldest[0] = 1
    last[0] = 0
    if rc == 0:
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST)
        if rc == 0:
            rc = row_read(<const char*>key.mv_data, key.mv_size, <const char*>value.mv_data, value.mv_size, &row)
            last[0] = row.first + row.count - 1
            if rc == 0:
                rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            if rc == 0 and key.mv_size != 8:
                rc = FRAME_CORRUPT
            if rc == 0:
                oldest[0] = _number(<const char*>key.mv_data)
        elif rc == MDB_NOTFOUND:
            rc = 0
        mdb_cursor_close(cursor)
    return MDB_CORRUPTED if rc == FRAME_CORRUPT else rc


cdef int journal_seek(MDB_cursor* cursor, uint64_t number, MDB_val* key, MDB_val* value) noexcept nogil:
    cdef char wanted[8]
    cdef Row row
    cdef int rc
    _put_number(number, wanted)
    key.mv_data = wanted
    key.mv_size = 8
    rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE)
    if rc == 0 and key.mv_size == 8 and _number(<const char*>key.mv_data) == number:
        return 0
    rc = mdb_cursor_get(cursor, key, value, MDB_LAST if rc == MDB_NOTFOUND else MDB_PREV)
    if rc == MDB_NOTFOUND:          # nothing stands before: the first row, if there is one
        return mdb_cursor_get(cursor, key, value, MDB_FIRST)
    if rc == 0:
        rc = row_read(<const char*>key.mv_data, key.mv_size, <const char*>value.mv_data, value.mv_size, &row)
    if rc == 0 and row.first + row.count <= number:
        rc = mdb_cursor_get(cursor, key, value, MDB_NEXT)
    return rc


cdef int row_read(const char* key, size_t key_size, const char* data, size_t size, Row* out) noexcept nogil:
    cdef uint64_t checksum
    if key_size != 8 or size < ROW_HEAD:
        return FRAME_CORRUPT
    memcpy(&checksum, data, 8)
    if checksum != XXH3_64bits_withSeed(data + 8, size - 8, XXH3_64bits(key, 8)):
        return FRAME_CORRUPT
    if data[8] != ROW_VERSION:
        return FRAME_NEWER
    out.first = _number(key)
    memcpy(&out.count, data + 12, 4)
    memcpy(&out.time, data + 16, 8)
    out.left = out.count
    out.origin = data + 24
    out.at = data + ROW_HEAD
    out.end = data + size
    return 0 if out.count and out.first else FRAME_CORRUPT


cdef int row_next(Row* row, Entry* out) noexcept nogil:
    """The next entry: 1, or 0 at the end, or FRAME_CORRUPT where the row does not hold what it says."""
    cdef uint32_t size
    if row.left == 0:
        return 0 if row.at == row.end else FRAME_CORRUPT
    if row.end - row.at < ENTRY_HEAD:
        return FRAME_CORRUPT
    out.op = <uint8_t>row.at[0]
    memcpy(&size, row.at + 1, 4)
    memcpy(&out.hash, row.at + 5, 8)
    memcpy(&out.base, row.at + 13, 8)
    if row.end - row.at - ENTRY_HEAD < size or not CHANGED_SET <= out.op <= CHANGED_EVICT:
        return FRAME_CORRUPT
    out.key.data = row.at + ENTRY_HEAD
    out.key.size = size
    row.at += ENTRY_HEAD + size
    row.left -= 1
    return 1

"""The budget of a store on disk: its settings, and the order in which records came. All under the writer lock."""

from libc.errno cimport ENOMEM
from libc.string cimport memcmp, memcpy, memset

from clib.lmdb cimport *
from door43fast.native.longrow cimport LONGEST_KEY, MAX_KEY, key_free, key_keep
from door43fast.native.told cimport told_free

cdef enum:
    HEADS = 2               # head pages of LMDB
    OWN = 2                 # tables of LMDB itself: free pages, and names of tables
    LEAST_WORDS = 1 << 10   # of marks; there is one for each 64 bytes of the budget, up to the most
    MOST_WORDS = 1 << 20
    MARK_FOR = 64 * 64      # bytes of the budget that a word has marks for


cdef int budget_settings(MDB_txn* txn, MDB_dbi meta, uint64_t* limit, uint64_t* policy) noexcept nogil:
    cdef MDB_val name, value
    cdef int rc
    name.mv_data = <char*>b"budget"
    name.mv_size = 6
    rc = mdb_get(txn, meta, &name, &value)
    if rc == 0 and value.mv_size != BUDGET_SETTINGS:
        rc = MDB_CORRUPTED
    if rc == 0:
        memcpy(limit, value.mv_data, 8)
        memcpy(policy, <const char*>value.mv_data + 8, 8)
    return rc


cdef int budget_fit(Budget* b, MDB_env* env, MDB_dbi meta, size_t* map_bytes) noexcept nogil:
    cdef MDB_envinfo info
    cdef MDB_txn* txn = NULL
    cdef uint64_t words = LEAST_WORDS
    cdef int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)
    if rc:
        return rc
    rc = budget_settings(txn, meta, &b.limit, &b.policy)
    mdb_txn_abort(txn)
    if rc == 0 and b.limit != map_bytes[0]:
        rc = mdb_env_set_mapsize(env, b.limit)      # LMDB takes no page beyond it
    if rc:
        return rc
    mdb_env_info(env, &info)
    map_bytes[0] = info.me_mapsize
    if b.marks.bits == NULL and b.policy == CLOCK:
        while words < MOST_WORDS and words * MARK_FOR < b.limit:
            words *= 2
        if d43_marks_open(&b.marks, words):
            return ENOMEM
    return 0


cdef inline void _put_position(uint64_t position, char* out) noexcept nogil:
    cdef int i
    for i in range(8):
        out[i] = <char>(position >> (56 - 8 * i) & 0xFF)


cdef uint64_t order_position(const char* row) noexcept nogil:
    cdef uint64_t position = 0
    cdef int i
    for i in range(8):
        position = position << 8 | <unsigned char>row[i]
    return position


cdef int order_add(MDB_txn* txn, MDB_dbi table, Slice key, const uint64_t* birth, uint64_t* position) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val name, value
    cdef char at[8]
    cdef char* row
    cdef uint64_t next = 1
    cdef int rc = mdb_cursor_open(txn, table, &cursor)
    if rc:
        return rc
    rc = mdb_cursor_get(cursor, &name, &value, MDB_LAST)
    if rc == 0:
        next = order_position(<const char*>name.mv_data) + 1 if name.mv_size == 8 else 0
    if rc == MDB_NOTFOUND:
        rc = 0
    if rc == 0 and (next == 0 or key.size > LONGEST_KEY):
        rc = MDB_CORRUPTED
    if rc == 0:
        _put_position(next, at)
        name.mv_data = at
        name.mv_size = 8
        value.mv_data = NULL
        value.mv_size = ROW_BIRTH + key.size
        rc = mdb_cursor_put(cursor, &name, &value, MDB_APPEND | MDB_RESERVE)
        position[0] = next
    if rc == 0:
        row = <char*>value.mv_data
        memcpy(row, &next if birth == NULL else <uint64_t*>birth, ROW_BIRTH)
        memcpy(row + ROW_BIRTH, key.data, key.size)
    mdb_cursor_close(cursor)
    return rc


cdef int order_drop(MDB_txn* txn, MDB_dbi table, Slice key, uint64_t birth) noexcept nogil:
    cdef MDB_val name, value
    cdef char at[8]
    cdef int rc
    if birth == 0:
        return 0
    _put_position(birth, at)
    name.mv_data = at
    name.mv_size = 8
    rc = mdb_get(txn, table, &name, &value)
    if rc == 0 and value.mv_size == ROW_BIRTH + key.size and memcmp(value.mv_data, &birth, ROW_BIRTH) == 0 and \
            memcmp(<const char*>value.mv_data + ROW_BIRTH, key.data, key.size) == 0:
        rc = mdb_del(txn, table, &name, NULL)
    return 0 if rc == MDB_NOTFOUND else rc


cdef int order_oldest(MDB_txn* txn, MDB_dbi table, Candidate* rows, char* keys, Py_ssize_t most,
                      Py_ssize_t* count) noexcept nogil:
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val name, value
    cdef Slice key
    cdef Candidate* row
    cdef int rc = mdb_cursor_open(txn, table, &cursor)
    count[0] = 0
    while rc == 0 and count[0] < most:
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)
        if rc == 0 and (name.mv_size != 8 or not ROW_BIRTH < value.mv_size <= ROW_BIRTH + LONGEST_KEY):
            rc = MDB_CORRUPTED
        if rc:
            break
        row = &rows[count[0]]
        memset(row, 0, sizeof(Candidate))
        row.position = order_position(<const char*>name.mv_data)
        memcpy(&row.birth, value.mv_data, ROW_BIRTH)
        key.data = <const char*>value.mv_data + ROW_BIRTH
        key.size = value.mv_size - ROW_BIRTH
        if key_keep(key, keys + count[0] * MAX_KEY, &row.key) == NULL:
            rc = ENOMEM
            break
        count[0] += 1
    if cursor != NULL:
        mdb_cursor_close(cursor)
    return 0 if rc == MDB_NOTFOUND else rc


cdef void order_free(Candidate* rows, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        key_free(rows[i].key)
        told_free(&rows[i].tags)


cdef uint64_t pages_used(MDB_txn* txn, const MDB_dbi* tables, int count) noexcept nogil:
    cdef MDB_stat stat
    cdef uint64_t total = HEADS
    cdef int i
    for i in range(OWN + count):
        if mdb_stat(txn, <MDB_dbi>i if i < OWN else tables[i - OWN], &stat) == 0:
            total += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages
    return total

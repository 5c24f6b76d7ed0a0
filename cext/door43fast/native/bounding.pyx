"""Giving a budget to a store on disk, and taking part in one that another process has given it.

The settings stand in the table ``meta``, and the format is marked, so that a writer that knows of no budget refuses the
store. Records that are there already get their rows in the order of their keys, in the same transaction.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport sscanf
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from door43fast.native.budget cimport BUDGET_FOUND, BUDGET_SETTINGS, budget_settings, order_add, pages_used
from door43fast.native.environment cimport BATCH, d43_worker
from door43fast.native.frame cimport FRAME_CORRUPT, PINNED, Frame
from door43fast.native.handle cimport d43_gate_close, d43_gate_open
from door43fast.native.lmdb_walk cimport Range, Walk, walk_begin, walk_end, walk_frame, walk_next
from door43fast.native.saver cimport saver_move
from door43fast.native.status cimport lmdb_raise
from door43fast.native.tables cimport HAS_BUDGET, commit_synced

from door43fast.errors import ClosedError, ConfigError

cdef extern from "d43_worker.h" nogil:
    void d43_worker_touch(d43_worker*)
    int d43_worker_now(d43_worker*, int)

cdef enum:
    TOO_LARGE = -300        # the file is larger than the budget that was asked for


cdef int join_budget(Environment home) except -1:
    cdef MDB_txn* txn = NULL
    cdef MDB_dbi table
    cdef size_t before = home.map_bytes
    cdef int rc
    with nogil:
        d43_gate_close(&home.gate)          # a table is opened by one transaction at a time
    try:
        if home.env == NULL:
            raise ClosedError(f"the store {home.path} was closed; open it again")
        rc = mdb_txn_begin(home.env, NULL, MDB_RDONLY, &txn)
        if rc == 0 and not home.budget.on:
            rc = mdb_dbi_open(txn, b"order", 0, &table)
            if rc == 0:
                rc = mdb_txn_commit(txn)    # only a commit makes the table's handle last
                txn = NULL
                home.budget.table = table
                home.budget.on = rc == 0
        if txn != NULL:
            mdb_txn_abort(txn)
        if rc == MDB_MAP_RESIZED or rc == MDB_NOTFOUND:
            return 0                        # whoever called finds the larger map first, or no budget any more
        if rc:
            lmdb_raise(rc, "reading the budget of", home.path)
        home.fit_map()
        if home.map_bytes != before:
            home.start_index()
    finally:
        d43_gate_open(&home.gate)
    return 0


cdef int keep_budget(Environment home, uint64_t limit, uint64_t policy) except -1:
    cdef MDB_txn* txn
    cdef uint64_t last = 0
    cdef int rc
    limit -= limit % home.page_size
    home.enter()                    # in the child of a fork this opens the files anew
    home.leave()
    while True:
        txn = NULL
        with nogil:
            d43_gate_close(&home.gate)
            rc = mdb_txn_begin(home.env, NULL, 0, &txn)
            if rc == 0:
                rc = _settle(home, txn, limit, policy, &last)
                if rc == 0:
                    rc = commit_synced(home.env, txn)
                else:
                    mdb_txn_abort(txn)
            d43_gate_open(&home.gate)
        if rc == 0:
            return join_budget(home)
        if rc == TOO_LARGE:
            raise ConfigError(f"max_bytes={limit} is less than the file of {home.path} has: {last} bytes, and a file "
                              "never shrinks; give more, or open a compact copy, which backup() makes")
        home.recover(rc, limit, "giving a budget to", home.path)


cdef int _settle(Environment home, MDB_txn* txn, uint64_t limit, uint64_t policy, uint64_t* last) noexcept nogil:
    """Write the settings, and the order of what is there, if they are not so already."""
    cdef MDB_envinfo info
    cdef MDB_dbi table
    cdef MDB_val name, value
    cdef Frame frame
    cdef Range all
    cdef Walk w
    cdef uint64_t position
    cdef uint64_t held[2]
    cdef uint64_t wanted[2]
    cdef uint64_t none = 0
    cdef uint32_t version
    cdef int found = budget_settings(txn, home.meta, &held[0], &held[1]), rc = 0
    if found and found != MDB_NOTFOUND:
        return found
    wanted[0], wanted[1] = limit, policy
    if found == 0 and held[0] == limit and held[1] == policy:
        return 0
    mdb_env_info(home.env, &info)
    last[0] = (info.me_last_pgno + 1) * home.page_size
    if last[0] > limit:
        return TOO_LARGE
    if found:
        rc = mdb_dbi_open(txn, b"order", MDB_CREATE, &table)
        if rc:
            return rc
        memset(&all, 0, sizeof(all))
        rc = walk_begin(&w, home, txn, &all, all.low, False)
        while rc == 0:
            if walk_frame(&w, home, &frame) == 0 and not frame.flags & PINNED:
                rc = order_add(txn, table, w.name, &none, &position)
            if rc == 0:
                rc = walk_next(&w, home)
        walk_end(&w)
        if rc != MDB_NOTFOUND:
            return MDB_CORRUPTED if rc == FRAME_CORRUPT else rc
    name.mv_data = <char*>b"budget"
    name.mv_size = 6
    value.mv_data = wanted
    value.mv_size = BUDGET_SETTINGS
    rc = mdb_put(txn, home.meta, &name, &value, 0)
    if rc == 0:
        name.mv_data = <char*>b"door43fast"
        name.mv_size = 10
        rc = mdb_get(txn, home.meta, &name, &value)
    if rc == 0:
        memcpy(&version, value.mv_data, 4)
        version |= HAS_BUDGET
        value.mv_data = &version
        value.mv_size = 4
        rc = mdb_put(txn, home.meta, &name, &value, 0)
    return rc


cdef int relieve(Environment home) except -1:
    cdef int rc, dead
    home.enter()
    with nogil:
        rc = mdb_reader_check(home.env, &dead)
        if rc == 0 and home.durability == BATCH and not home.readonly:
            d43_worker_touch(&home.worker)
            rc = d43_worker_now(&home.worker, 1)
            if rc == 0:                     # and the reader that keeps the way back goes on to what was committed since
                rc = saver_move(&home.saver, 1)
        home.leave()
    if rc > 0:
        lmdb_raise(rc, "syncing", home.path)
    return 0


cdef int _oldest(const char* line, void* context) noexcept nogil:
    """A line of LMDB's list of readers: process, thread, state; without a state it is idle."""
    cdef int pid
    cdef unsigned long thread, state
    cdef uint64_t* found = <uint64_t*>context
    if sscanf(line, b"%d %lx %lu", &pid, &thread, &state) == 3 and (found[0] == 0 or state < found[0]):
        found[0] = state
        found[1] = pid
    return 0


cdef int free_pages(Environment home, MDB_txn* txn, uint64_t limit, uint64_t* free, int64_t* holder) noexcept nogil:
    cdef MDB_envinfo info
    cdef MDB_cursor* cursor = NULL
    cdef MDB_val name, value
    cdef uint64_t oldest[2]
    cdef uint64_t state, count
    cdef int rc
    oldest[0] = oldest[1] = 0
    mdb_reader_list(home.env, _oldest, oldest)
    if oldest[0] < mdb_txn_id(txn):
        holder[0] = <int64_t>oldest[1]
    mdb_env_info(home.env, &info)
    if info.me_last_pgno + 1 < limit:
        free[0] = limit - info.me_last_pgno - 1
    rc = mdb_cursor_open(txn, 0, &cursor)
    while rc == 0:
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)
        if rc == 0 and name.mv_size == 8 and value.mv_size >= 8:
            memcpy(&state, name.mv_data, 8)
            memcpy(&count, value.mv_data, 8)
            if state < oldest[0]:
                free[0] += count
    if cursor != NULL:
        mdb_cursor_close(cursor)
    return 0 if rc == MDB_NOTFOUND else rc


cdef int budget_look(MDB_txn* txn, MDB_dbi meta) noexcept nogil:
    cdef uint64_t limit, policy
    cdef int rc = budget_settings(txn, meta, &limit, &policy)
    return BUDGET_FOUND if rc == 0 else 0 if rc == MDB_NOTFOUND else rc


cdef uint64_t used_pages(Environment home, MDB_txn* txn) noexcept nogil:
    cdef MDB_dbi tables[8]
    cdef int count = 6
    tables[0], tables[1], tables[2] = home.meta, home.data, home.expiry
    tables[3], tables[4], tables[5] = home.tags, home.budget.table, home.longs
    if home.journal.on:
        tables[count] = home.journal.table
        count += 1
    if home.chunked:
        tables[count] = home.chunks
        count += 1
    return pages_used(txn, tables, count)

"""The tables of a store: opened if they are ours, created in an empty file.

A file that is not ours, or not for this version, is refused in a read transaction: nothing is written to it.
"""

import os

from libc.string cimport memcpy

from clib.lmdb cimport *
from door43fast.native.directory cimport sync_directory
from door43fast.native.status cimport lmdb_raise

from door43fast.errors import ConfigError, FormatError


cdef int probe(str path, str keys) except -1:
    """Refuse a foreign file before LMDB puts its lock file beside it. No lock file: nobody else is writing."""
    cdef MDB_env* env = NULL
    cdef MDB_txn* txn = NULL
    cdef Tables tables
    cdef int rc = mdb_env_create(&env)
    if rc == 0:
        rc = mdb_env_set_maxdbs(env, MAX_TABLES)
    if rc == 0:
        rc = mdb_env_open(env, os.fsencode(path), MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0o644)
    if rc == 0:
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)
    try:
        if rc:
            lmdb_raise(rc, "opening", path)
        check_tables(txn, &tables, path, keys)
    finally:
        if txn != NULL:
            mdb_txn_abort(txn)
        mdb_env_close(env)
    return 0


cdef bytes check_tables(MDB_txn* txn, Tables* tables, str path, str keys):
    """Open the tables, if they are ours; None if the file is empty."""
    cdef MDB_dbi main
    cdef MDB_stat stat
    cdef MDB_val key, value
    cdef int rc = mdb_dbi_open(txn, NULL, 0, &main)
    if rc == 0:
        rc = mdb_stat(txn, main, &stat)
    if rc:
        lmdb_raise(rc, "reading", path)
    if stat.ms_entries == 0:
        return None
    rc = mdb_dbi_open(txn, b"meta", 0, &tables.meta)
    if rc == 0:
        key.mv_data = <char*>b"door43fast"
        key.mv_size = 10
        rc = mdb_get(txn, tables.meta, &key, &value)
    if rc == MDB_NOTFOUND or rc == MDB_INCOMPATIBLE:
        raise FormatError(f"{path} holds an LMDB file that door43fast did not write; it was left untouched: "
                          "give another directory")
    if rc:
        lmdb_raise(rc, "reading", path)
    version = int.from_bytes((<char*>value.mv_data)[:value.mv_size], "little")
    if version & ~<long>MARKED != FORMAT:
        raise FormatError(f"{path} is of format {version & FORMAT_BITS}"
                          + (f" with what is marked {version >> 16:#x}" if version >> 16 else "")
                          + f", written by a newer door43fast; this one reads format {FORMAT:d}. It was left "
                          "untouched: upgrade door43fast")
    held = _meta_value(txn, tables, path, b"keys").decode()
    if held != keys:
        raise ConfigError(f'{path} was created with keys="{held}" and cannot be opened with keys="{keys}"; open it '
                          f'with keys="{held}"')
    rc = mdb_dbi_open(txn, b"data", 0, &tables.data)
    if rc == 0:
        rc = mdb_dbi_open(txn, b"expiry", 0, &tables.expiry)
    if rc == 0:
        rc = mdb_dbi_open(txn, b"tags", 0, &tables.tags)
    tables.journalled = version & HAS_JOURNAL != 0
    if rc == 0 and tables.journalled:
        rc = mdb_dbi_open(txn, b"journal", 0, &tables.journal)
    tables.bounded = version & HAS_BUDGET != 0
    if rc == 0 and tables.bounded:
        rc = mdb_dbi_open(txn, b"order", 0, &tables.order)
    if rc == 0:
        rc = mdb_dbi_open(txn, b"chunks", 0, &tables.chunks)
        tables.has_chunks = rc == 0
        if rc == MDB_NOTFOUND and version & HAS_CHUNKS == 0:
            rc = 0
    if rc == 0:
        rc = mdb_dbi_open(txn, b"long", 0, &tables.longs)
        tables.has_longs = rc == 0
        if rc == MDB_NOTFOUND and version & HAS_LONG == 0:
            rc = 0
    if rc:
        lmdb_raise(MDB_CORRUPTED if rc == MDB_NOTFOUND else rc, "reading", path)
    return _meta_value(txn, tables, path, b"store")


cdef bint format_has(MDB_txn* txn, MDB_dbi meta, uint32_t bit) noexcept nogil:
    cdef MDB_val key, value
    cdef uint32_t version = 0
    key.mv_data = <char*>b"door43fast"
    key.mv_size = 10
    if mdb_get(txn, meta, &key, &value) == 0 and value.mv_size == 4:
        memcpy(&version, value.mv_data, 4)
    return version & bit != 0


cdef int mark_format(MDB_txn* txn, MDB_dbi meta, uint32_t bit) noexcept nogil:
    cdef MDB_val key, value
    cdef uint32_t version
    cdef int rc
    key.mv_data = <char*>b"door43fast"
    key.mv_size = 10
    rc = mdb_get(txn, meta, &key, &value)
    if rc or value.mv_size != 4:
        return rc if rc else MDB_CORRUPTED
    memcpy(&version, value.mv_data, 4)
    if version & bit:
        return 0
    version |= bit
    value.mv_data = &version
    return mdb_put(txn, meta, &key, &value, 0)


cdef int commit_synced(MDB_env* env, MDB_txn* txn) noexcept nogil:
    cdef unsigned int flags
    cdef int rc
    mdb_env_get_flags(env, &flags)
    mdb_env_set_flags(env, MDB_NOSYNC, 0)
    rc = mdb_txn_commit(txn)
    mdb_env_set_flags(env, flags & MDB_NOSYNC, 1)
    return rc


cdef int add_tables(MDB_env* env, str path) except -1:
    cdef MDB_txn* txn = NULL
    cdef MDB_dbi made
    cdef int rc = mdb_txn_begin(env, NULL, 0, &txn)
    if rc == 0:
        rc = mdb_dbi_open(txn, b"chunks", MDB_CREATE, &made)
        if rc == 0:
            rc = mdb_dbi_open(txn, b"long", MDB_CREATE, &made)
        if rc == 0:
            rc = commit_synced(env, txn)
        else:
            mdb_txn_abort(txn)
    return lmdb_raise(rc, "writing", path) if rc else 0


cdef int create_tables(MDB_env* env, str path, str keys) except -1:
    """Make the tables of a new store, in one synced transaction.

    The head pages are synced before: a file that the system went down under is none yet, or one without tables.
    """
    cdef MDB_txn* txn = NULL
    cdef MDB_dbi main, made
    cdef MDB_stat stat
    cdef MDB_val key, value
    cdef int rc = mdb_env_sync(env, 1)
    if rc == 0:
        rc = mdb_txn_begin(env, NULL, 0, &txn)
    if rc:
        lmdb_raise(rc, "creating the store", path)
    try:
        rc = mdb_dbi_open(txn, NULL, 0, &main)
        if rc == 0:
            rc = mdb_stat(txn, main, &stat)
        if rc == 0 and stat.ms_entries:     # another process was faster
            return 0
        for name in (b"data", b"expiry", b"tags", b"chunks", b"long", b"meta"):
            if rc == 0:
                rc = mdb_dbi_open(txn, name, MDB_CREATE, &made)
        for name, content in ((b"door43fast", int(FORMAT).to_bytes(4, "little")),
                              (b"keys", keys.encode()), (b"store", os.urandom(16))):
            key.mv_data = <char*>name
            key.mv_size = len(name)
            value.mv_data = <char*>content
            value.mv_size = len(content)
            if rc == 0:
                rc = mdb_put(txn, made, &key, &value, 0)
        if rc == 0:
            rc = commit_synced(env, txn)
            txn = NULL
        if rc:
            lmdb_raise(rc, "creating the store", path)
    finally:
        if txn != NULL:
            mdb_txn_abort(txn)
    return sync_directory(path)


cdef bytes _meta_value(MDB_txn* txn, const Tables* tables, str path, bytes name):
    cdef MDB_val key, value
    cdef int rc
    key.mv_data = <char*>name
    key.mv_size = len(name)
    rc = mdb_get(txn, tables.meta, &key, &value)
    if rc:
        lmdb_raise(MDB_CORRUPTED if rc == MDB_NOTFOUND else rc, "reading", path)
    return (<char*>value.mv_data)[:value.mv_size]

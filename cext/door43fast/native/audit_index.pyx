"""The key index against the tree: a place that the index would answer with is the one that LMDB finds.

The index may know less than the tree, and may hold places whose bytes have become something else: a read looks at them
and goes on to the tree. What may never be is a sound record of the key at another place than the tree's.
"""

from libc.stdint cimport uint64_t

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.audit cimport walk
from door43fast.native.frame cimport Frame, Slice, frame_read_under
from door43fast.native.keyindex cimport KeyIndex, d43_load, index_bucket, index_next, index_still
from door43fast.native.mapped cimport node_value

cdef enum:
    STRETCH = 4096          # records between two looks at signals, and the longest that one snapshot is held


cdef object audit_index(Handle home, MDB_txn* txn, bytes resume, list errors):
    cdef KeyIndex* x = &home.index
    cdef uint64_t id = mdb_txn_id(txn), hash, at
    cdef MDB_cursor* cursor
    cdef MDB_val key, value
    cdef Slice name, found
    cdef Frame frame
    cdef int rc, seen = 0, way
    if x.table == NULL or d43_load(&x.txn) != id:
        return None                 # it stands for another snapshot, or for none: nothing would be answered from it
    cursor = walk(txn, home.data, "records", resume, &key, &value, &rc)
    try:
        while rc == 0:
            if seen == STRETCH:
                return (<char*>key.mv_data)[:key.mv_size]
            seen += 1
            name.data = <const char*>key.mv_data
            name.size = key.mv_size
            hash = XXH3_64bits(name.data, name.size)
            way = 0
            at = index_next(x, index_bucket(x.table, hash), hash, &way)
            while at and not (node_value(&home.view, at, name, &found) and
                              frame_read_under(hash, found.data, found.size, &frame) == 0):
                at = index_next(x, index_bucket(x.table, hash), hash, &way)
            if at and found.data != <const char*>value.mv_data and index_still(x, id):
                errors.append(f"the index has another place for the record {name.data[:name.size]!r} than the tree")
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        if rc != MDB_NOTFOUND:
            errors.append(f"the walk over the records stopped: {mdb_strerror(rc).decode()}")
        return None
    finally:
        mdb_cursor_close(cursor)

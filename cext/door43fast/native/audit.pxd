"""The walk over all records that finds damage."""

from libc.stdint cimport uint64_t

from clib.lmdb cimport MDB_cursor, MDB_dbi, MDB_txn, MDB_val
from door43fast.native.handle cimport Handle
from door43fast.native.journal cimport Journal

# A cursor of the caller's on the first row of ``table`` from ``resume`` on, if ``rc`` is then 0.
cdef MDB_cursor* walk(MDB_txn* txn, MDB_dbi table, str name, bytes resume, MDB_val* key, MDB_val* value,
                      int* rc) except NULL
# The numbers of the compression dictionaries that are sound; the others are told of in ``errors``.
cdef int audit_dictionaries(MDB_txn* txn, MDB_dbi meta, set sound, list errors) except -1

# One stretch of the walk: up to ``limit`` records of ``table`` from the key ``resume`` on, each checked by itself and
# against the other table. Appends to ``errors``; returns where to go on, or None at the end.
cdef object audit_data(Handle home, MDB_txn* txn, bytes resume, uint64_t* count, set dictionaries, list errors)
# The same over the records with long keys.
cdef object audit_longs(Handle home, MDB_txn* txn, bytes resume, uint64_t* count, set dictionaries, list errors)
cdef object audit_expiry(Handle home, MDB_txn* txn, bytes resume, list errors)
# The same over the rows of a journal; ``next`` is the number that the next row must begin with, 0 if any may.
cdef object audit_journal(MDB_txn* txn, const Journal* journal, bytes resume, uint64_t* next, list errors)
cdef uint64_t audit_all(Handle home) except? 0

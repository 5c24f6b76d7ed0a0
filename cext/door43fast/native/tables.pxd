"""The tables of a store: opened if they are ours, created in an empty file."""

from libc.stdint cimport uint32_t

from clib.lmdb cimport MDB_dbi, MDB_env, MDB_txn

cdef enum:
    FORMAT = 1              # of our tables; a change that an older door43fast cannot read raises it
    FORMAT_BITS = 0xFFFF    # above them stands a bit for each thing that whoever writes the store must know of
    HAS_JOURNAL = 0x10000
    HAS_CHUNKS = 0x20000    # of large values
    HAS_BUDGET = 0x40000
    HAS_LONG = 0x80000      # records with keys longer than LMDB's
    MARKED = HAS_JOURNAL | HAS_CHUNKS | HAS_BUDGET | HAS_LONG
    MAX_TABLES = 16


cdef struct Tables:
    MDB_dbi meta
    MDB_dbi data
    MDB_dbi expiry
    MDB_dbi tags
    MDB_dbi journal
    MDB_dbi chunks
    bint has_chunks         # there is a table for the chunks of large values, and it is open
    bint journalled         # the store has a journal, and its table is open
    MDB_dbi order
    bint bounded            # the store has a budget, and its table is open
    MDB_dbi longs           # records with long keys
    bint has_longs          # their table is there, and it is open


# The id of the store, with ``tables`` open; None if the file is empty. Raises if it is not ours, or not for us.
cdef bytes check_tables(MDB_txn* txn, Tables* tables, str path, str keys)
# Add a bit to the number of the format, in a transaction that is open for writing. Status.
cdef int mark_format(MDB_txn* txn, MDB_dbi meta, uint32_t bit) noexcept nogil
# Whether the number of the format has a bit.
cdef bint format_has(MDB_txn* txn, MDB_dbi meta, uint32_t bit) noexcept nogil
# Commit as ``commit`` does, whatever the level: the head page comes to the disk after the pages that it leads to, and
# both before it returns. For changes that no marker announces. REQUIRES: no other thread of this process commits.
cdef int commit_synced(MDB_env* env, MDB_txn* txn) noexcept nogil
# Make the tables that a store of an older version has not.
cdef int add_tables(MDB_env* env, str path) except -1
# Make the tables of a new store.
cdef int create_tables(MDB_env* env, str path, str keys) except -1
cdef int probe(str path, str keys) except -1

"""The journal of a store on disk: rows of changes, each written in the transaction that makes the changes.

A row holds changes of one transaction, one after another, and stands under the number of the first; the layout is in
docs/format.md. Rows follow one another without a gap, the newest is never pruned, and so the number of the next change
is always known from the last row. Everything below ``checked`` belongs to whoever holds LMDB's writer lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from clib.lmdb cimport MDB_cursor, MDB_dbi, MDB_txn, MDB_val
from door43fast.native.frame cimport Slice

cdef enum:
    ROW = 2000              # bytes of a row, so that two fill a page; only an entry that is longer makes a longer row
    ROW_HEAD = 40
    ROW_VERSION = 1
    ENTRY_HEAD = 21         # of a change: operation 1, size of the key 4, hash 8, base 8
    ORIGIN = 16
    SETTINGS = 16           # age in ns 8, bytes 8; 0 for no bound
    JOURNAL_FOUND = -200    # another process has given the store a journal; below the statuses of reading a record


cdef enum Change:
    NO_CHANGE
    CHANGED_SET
    CHANGED_DELETE
    CHANGED_EXPIRE
    CHANGED_CLEAR           # of all keys with the prefix that stands for the key
    CHANGED_TAG             # the tag that stands for the key was invalidated
    CHANGED_EVICT           # it made room for others


cdef struct Journal:
    bint on                 # the table is open; changes only with the gate closed
    MDB_dbi table
    uint64_t max_age        # ns
    uint64_t max_bytes
    uint64_t checked        # the newest transaction whose settings are those above; atomic
    uint64_t first          # of the transaction under way: the number of its first change
    uint64_t row_first      # of the row under way
    uint32_t count
    size_t used
    uint64_t rows
    int64_t time
    char origin[ORIGIN]
    char row[ROW]


cdef struct Row:
    uint64_t first
    uint32_t count
    uint32_t left           # entries that were not taken yet
    int64_t time
    const char* origin
    const char* at
    const char* end


cdef struct Entry:
    uint8_t op
    Slice key
    uint64_t hash
    uint64_t base


# Under the writer lock. Each gives a status; whatever is not 0 ends the transaction.
cdef int journal_begin(Journal* j, MDB_txn* txn, MDB_dbi meta, const char* origin, int64_t now) noexcept nogil
cdef int journal_note(Journal* j, MDB_txn* txn, Change op, Slice key, uint64_t hash, uint64_t base) noexcept nogil
# Write what was noted, and remove a few rows that are beyond the bounds.
cdef int journal_end(Journal* j, MDB_txn* txn) noexcept nogil
# Remove up to ``limit`` rows that are beyond the bounds; counts them in ``pruned``.
cdef int journal_prune(Journal* j, MDB_txn* txn, uint64_t limit, uint64_t* pruned) noexcept nogil

# What the settings row says; MDB_NOTFOUND if the store has no journal.
cdef int journal_settings(MDB_txn* txn, MDB_dbi meta, uint64_t* max_age, uint64_t* max_bytes) noexcept nogil
# The numbers of the oldest and of the last change that are kept; ``oldest`` is last + 1 where there is none.
cdef int journal_span(MDB_txn* txn, MDB_dbi table, uint64_t* oldest, uint64_t* last) noexcept nogil
# The row that holds change ``number``, or else the next one; MDB_NOTFOUND at the end.
cdef int journal_seek(MDB_cursor* cursor, uint64_t number, MDB_val* key, MDB_val* value) noexcept nogil
# Take a row apart: 0 or FRAME_CORRUPT or FRAME_NEWER. The entries are then taken one by one.
cdef int row_read(const char* key, size_t key_size, const char* data, size_t size, Row* out) noexcept nogil
cdef int row_next(Row* row, Entry* out) noexcept nogil

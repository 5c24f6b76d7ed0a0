"""The journal of a store on disk, as Python sees it: who keeps one, and the changes in their order.

Rows are copied out of the map in stretches, each from a snapshot of its own, and taken apart after it has ended: so a
walk that is never finished pins no page, and no object of Python is made while the store is held.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from clib.lmdb cimport *
from door43fast.native.clock cimport span_ns
from door43fast.native.environment cimport Environment, d43_gate_close, d43_gate_open
from door43fast.native.frame cimport FRAME_CORRUPT, FRAME_NEWER
from door43fast.native.journal cimport (CHANGED_CLEAR, CHANGED_TAG, ORIGIN, ROW, SETTINGS, Entry, Row, journal_seek,
                                        journal_settings, journal_span, row_next, row_read)
from door43fast.native.keys cimport KEYS_ANY
from door43fast.native.status cimport lmdb_raise
from door43fast.native.tables cimport HAS_JOURNAL, commit_synced, mark_format

from door43fast.contracts import Change
from door43fast.errors import ConfigError, FormatError, PrunedError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)

cdef enum:
    STRETCH = 1024          # changes that are copied before they are handed out

cdef tuple OPS = ("", "set", "delete", "expire", "clear", "invalidate", "evict")
cdef tuple BOUNDS = ("max_age", "max_bytes")
cdef uint64_t WEEK = 7 * 86400 * <uint64_t>1_000_000_000
cdef uint64_t LARGEST = 64 << 20
cdef size_t SMALLEST = 1 << 16


cdef class JournalEngine(TransactionEngine):
    """What a store on disk does with its journal."""

    def _keep_journal(self, wanted):
        """What the option ``journal=`` asks for, once the store is open."""
        cdef uint64_t age = WEEK, size = LARGEST
        cdef bint bounded = isinstance(wanted, dict)
        self.begin(False)
        if wanted is None:
            return
        if wanted is False:
            if self.journalled():
                raise ConfigError(f"{self.home.path} has a journal, which every writer keeps; open it without "
                                  "journal=False, or copy its records to a new store")
            return
        if bounded:
            if "max_age" in wanted:
                age = 0 if wanted["max_age"] is None else span_ns(wanted["max_age"], "max_age")
            if "max_bytes" in wanted:
                size = wanted["max_bytes"] or 0
        if not self.readonly:
            _give_journal(self.home, bounded, age, size)
        elif not self.journalled():
            raise ConfigError(f"{self.home.path} has no journal, and readonly=True gives it none; open it once with "
                              "journal= and without readonly=True")

    cdef bint journalled(self) except -1:
        if self.home.journal.on:
            return True
        if not self.closed and self.home.last_txn() != self.home.journal.checked:   # somebody else has written
            self.home.enter()
            self.home.leave()
            self.home.join_journal()
        return self.home.journal.on

    cdef uint64_t last_change(self, uint64_t* oldest) except? 0:
        cdef MDB_txn* txn = self.home.reader()
        cdef uint64_t last = 0
        cdef int rc = journal_span(txn, self.home.journal.table, oldest, &last)
        self.home.give(txn)
        self.home.leave()
        if rc:
            lmdb_raise(rc, "reading the journal of", self.home.path)
        return last

    cdef uint64_t rows_after(self, uint64_t since, Py_ssize_t limit, bint foreign, list rows,
                             uint64_t* oldest) except? 0:
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val key, value
        cdef Row row
        cdef bint first = True
        cdef bytes data
        cdef MDB_txn* txn = self.home.reader()
        cdef int rc
        try:
            oldest[0] = since + 1
            rc = mdb_cursor_open(txn, self.home.journal.table, &cursor)
            if rc == 0:
                rc = journal_seek(cursor, since + 1, &key, &value)
            while rc == 0 and limit > 0:
                rc = row_read(<const char*>key.mv_data, key.mv_size, <const char*>value.mv_data, value.mv_size, &row) \
                    if self.home.holds(&value) else FRAME_CORRUPT
                if rc:
                    break
                if row.first > since + 1:
                    if first:
                        oldest[0] = row.first
                    else:
                        rc = FRAME_CORRUPT      # a row is missing
                    break
                first = False
                if not foreign or memcmp(row.origin, self.origin, ORIGIN):
                    data = PyBytes_FromStringAndSize(<const char*>value.mv_data, value.mv_size)
                    rows.append(row.first)
                    rows.append(data)
                    limit -= row.count
                since = row.first + row.count - 1
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        finally:
            if cursor != NULL:
                mdb_cursor_close(cursor)
            self.home.give(txn)
            self.home.leave()
        if rc == FRAME_NEWER:
            raise FormatError(f"the journal of {self.home.path} has rows of a newer format: upgrade door43fast")
        if rc and rc != MDB_NOTFOUND:
            lmdb_raise(MDB_CORRUPTED if rc == FRAME_CORRUPT else rc, "reading the journal of", self.home.path)
        return since

    cdef object key_of_change(self, int op, const char* data, size_t size):
        if op == CHANGED_TAG:
            return data[:size].decode("utf-8", "surrogatepass")
        if op == CHANGED_CLEAR:
            # Of the tuple layer a prefix may be half a key, for which there is no object but its bytes.
            return "" if size == 0 else data[:size] if self.mode == KEYS_ANY else self.key_of(data, size)
        return self.key_of(data, size)

    def _changes(self, since):
        """The changes after number ``since``; see :meth:`door43fast.surface.StoreSurface.changes`."""
        cdef uint64_t oldest, last
        if isinstance(since, bool) or not isinstance(since, int):
            raise TypeError(f"since= is the number of a change, not {type(since).__name__}")
        self.begin(False)
        last = self.last_change(&oldest)
        if since < 0 or since > last:
            raise ValueError(f"since={since} is no change of {self.home.path}, whose last is {last}: it is of another "
                             "store, or of this one before a backup was put in its place")
        if since + 1 < oldest:
            raise PrunedError(self._pruned(since, oldest), oldest)
        return self._walk_changes(since)

    def _last_change(self):
        """The number of the last change."""
        cdef uint64_t oldest
        self.begin(False)
        return self.last_change(&oldest)

    def _look(self, uint64_t known):
        """The newest transaction that readers see, if the file has another one than ``known``; else ``known``.

        The number in the file comes a moment before readers see it: whoever read before that asks again.
        """
        cdef MDB_txn* txn
        cdef uint64_t seen
        self.begin(False)
        self.home.enter()
        seen = self.home.last_txn()
        self.home.leave()
        if seen != known:
            txn = self.home.reader()
            seen = mdb_txn_id(txn)
            self.home.give(txn)
            self.home.leave()
        return seen

    def _pruned(self, since, oldest):
        self.begin(False)
        return (f"the changes of {self.home.path} after {since} are no longer all kept: the oldest is {oldest}. Read "
                f"the store as it is, and go on with changes(since={oldest - 1}) or a later one")

    def _walk_changes(self, uint64_t since):
        cdef uint64_t oldest, last, number
        cdef list rows
        cdef bytes name, data
        cdef Row row
        cdef Entry entry
        cdef Py_ssize_t i
        while True:
            self.begin(False)
            rows = []
            last = self.rows_after(since, STRETCH, False, rows, &oldest)
            if oldest > since + 1:
                raise PrunedError(self._pruned(since, oldest), oldest)
            for i in range(0, len(rows), 2):
                name = (<object>rows[i]).to_bytes(8, "big")
                data = rows[i + 1]
                row_read(PyBytes_AS_STRING(name), 8, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &row)
                number = row.first
                origin = row.origin[:ORIGIN].hex()
                while row_next(&row, &entry) == 1:
                    if number > since:
                        yield Change(number, OPS[entry.op], self.key_of_change(entry.op, entry.key.data,
                                                                               entry.key.size),
                                     entry.hash, entry.base, origin, row.time / 1e9)
                    number += 1
            if last == since:
                return
            since = last


cdef int check_journal(object wanted) except -1:
    """Refuse what the option ``journal=`` does not take."""
    if wanted is None or isinstance(wanted, bool):
        return 0
    if not isinstance(wanted, dict):
        raise ConfigError(f"journal={wanted!r} is neither True, False nor None, nor a dict of max_age and max_bytes")
    for name in wanted:
        if name not in BOUNDS:
            raise ConfigError(f"journal={wanted!r} has no {name!r}; it has max_age and max_bytes")
    size = wanted.get("max_bytes")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not SMALLEST <= size < 1 << 60):
        raise ConfigError(f"journal={wanted!r}: max_bytes is out of range; give bytes from {SMALLEST}, or None")
    age = wanted.get("max_age")
    if age is not None:
        try:
            if span_ns(age, "max_age") == 0:
                raise ValueError("max_age=0 would keep nothing; give seconds, or None")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"journal={wanted!r}: {error}") from None
    return 0


cdef int _give_journal(Environment home, bint bounded, uint64_t max_age, uint64_t max_bytes) except -1:
    """Give the store a journal, or other bounds to the one that it has if ``bounded``; 0 for no bound."""
    cdef MDB_txn* txn
    cdef MDB_val name, value
    cdef uint64_t wanted[2]
    cdef uint64_t held[2]
    cdef MDB_dbi table
    cdef int rc
    wanted[0] = max_age
    wanted[1] = max_bytes
    home.enter()                # in the child of a fork this opens the files anew
    home.leave()
    while True:
        txn = NULL
        with nogil:
            d43_gate_close(&home.gate)
            rc = mdb_txn_begin(home.env, NULL, 0, &txn)
            if rc == 0:
                rc = journal_settings(txn, home.meta, &held[0], &held[1])
                if rc == MDB_NOTFOUND or (rc == 0 and bounded and memcmp(held, wanted, SETTINGS)):
                    rc = mdb_dbi_open(txn, b"journal", MDB_CREATE, &table)
                    name.mv_data = <char*>b"journal"
                    name.mv_size = 7
                    value.mv_data = wanted
                    value.mv_size = SETTINGS
                    if rc == 0:
                        rc = mdb_put(txn, home.meta, &name, &value, 0)
                    if rc == 0:
                        rc = mark_format(txn, home.meta, HAS_JOURNAL)
                    if rc == 0:
                        rc = commit_synced(home.env, txn)
                        txn = NULL
                if txn != NULL:
                    mdb_txn_abort(txn)
            d43_gate_open(&home.gate)
        if rc == 0:
            return home.join_journal()
        home.recover(rc, ROW, "giving a journal to", home.path)

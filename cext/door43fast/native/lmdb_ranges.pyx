"""Ranges of a store on disk, in the order of the keys.

A scan is weakly consistent: it reads in stretches, each from a snapshot of its own that ends before anything is
handed out, and goes on by key. So a scan that is never finished pins no page, and its consumer may write.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from clib.lmdb cimport *
from door43fast.native.chunks cimport Head, chunks_clear, head_read
from door43fast.native.core cimport BY_USER, EventQueue, OP_CLEAR
from door43fast.native.status cimport lmdb_raise
from door43fast.native.frame cimport CHUNKED, FRAME_CORRUPT, FRESH, Frame, HAS_DEADLINE, HAS_TAGS, Slice, frame_read
from door43fast.native.keys cimport KEYS_STR
from door43fast.native.journal cimport CHANGED_CLEAR, NO_CHANGE, journal_note
from door43fast.native.lmdb_records cimport TOKEN, frame_token
from door43fast.native.lmdb_walk cimport (Range, Walk, walk_begin, walk_end, walk_frame, walk_head, walk_holds,
                                          walk_next, walk_raise, within)
from door43fast.native.longkeys cimport long_count
from door43fast.native.longrow cimport LONGEST_KEY, MAX_KEY
from door43fast.native.mapped cimport Stroll, stroll
from door43fast.native.marks cimport marks_touch_all

from door43fast.errors import CorruptError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef enum:
    SHORTEST = 64           # records of the first stretch; each is twice as long as the one before
    LONGEST = 1024
    HEAVIEST = 4 << 20      # bytes after which a stretch ends early
    MOST_WEIGHT = 16 << 20  # and after which it does so in the midst of a group of long keys


cdef class RangeEngine(BatchEngine):
    """What a store on disk does to a range of keys."""

    cdef Bounds bounds_of(self, object prefix, object start, object stop, bint reverse):
        cdef Bounds b = Bounds.__new__(Bounds)
        cdef bytes edge
        if not (prefix is None or (isinstance(prefix, (str, bytes)) and len(prefix) == 0)):
            b.low, b.high = self.key_codec.bounds(prefix)
        if start is not None:
            edge = self.key_codec.encode(start)
            b.low = edge if b.low is None else max(b.low, edge)
        if stop is not None:
            edge = self.key_codec.encode(stop)
            b.high = edge if b.high is None else min(b.high, edge)
        b.range.low = slice_of(b.low)
        b.range.high = slice_of(b.high)
        b.range.reverse = reverse
        b.most = -1
        return b

    cdef object stretch(self, Bounds bounds, bytes after, Py_ssize_t limit, bint values, list keys, list lifted,
                        list marks, list tokens, MDB_txn* txn):
        """Append about ``limit`` live records that follow ``after``; returns the key to go on after, None at the end.

        They are more where a group of long keys would have to be read again, but never more than ``bounds.most``.

        ``keys`` get str where the store's keys are str and no ``tokens`` are asked for, else the bytes of the keys.

        With ``txn`` the records are of that snapshot, else of the present. REQUIRES: entered, if ``txn`` is given.
        """
        cdef Walk w
        cdef Frame frame
        cdef Head head
        cdef Slice name
        cdef char token[TOKEN]
        cdef Stroll way
        cdef bint own = txn == NULL
        cdef bint text = tokens is None and self.mode == KEYS_STR   # any other key may take Python code to make
        cdef Py_ssize_t seen = 0
        cdef size_t weight = 0
        cdef int64_t now
        cdef int rc
        if own:
            txn = self.home.reader()
        try:
            now = self.now()
            way.page = way.straight = 0
            rc = walk_begin(&w, self.home, txn, &bounds.range, slice_of(after), False)
            while rc == 0:
                stroll(&way, &self.home.view, w.name.data)
                name = w.name
                rc = walk_frame(&w, self.home, &frame)
                if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
                    rc = self.judge(txn, &frame, now)
                if rc:
                    bounds.rc, bounds.failed = rc, name.data[:name.size]
                    return None
                if frame.state == FRESH:
                    keys.append(PyUnicode_DecodeUTF8(name.data, name.size, NULL) if text else
                                PyBytes_FromStringAndSize(name.data, name.size))
                    if values:
                        lifted.append(self.lift(&frame, txn))
                        marks.append(frame.mark)
                    if tokens is not None:
                        frame_token(&frame, token)
                        tokens.append(PyBytes_FromStringAndSize(token, TOKEN))
                weight += name.size + frame.payload.size
                if values and frame.flags & CHUNKED and frame.state == FRESH and head_read(&frame, &head) == 0:
                    weight += head.size
                seen += 1
                if (seen >= limit or weight > HEAVIEST) and (seen == bounds.most or weight > MOST_WEIGHT or
                                                             not walk_holds(&w)):
                    return PyBytes_FromStringAndSize(name.data, name.size)
                rc = walk_next(&w, self.home)
            if rc and rc != MDB_NOTFOUND:
                bounds.rc, bounds.head = rc, walk_head(&w)
            return None
        finally:
            walk_end(&w)
            if own:
                self.home.give(txn)
                self.home.leave()

    cdef int stretched(self, Bounds bounds) except -1:
        if bounds.failed is not None:
            self.fault(bounds.rc, self.name_of(bounds.failed, len(bounds.failed)))
        if bounds.rc:
            walk_raise(bounds.head, bounds.rc, "scanning", self.home.path)
        return 0

    def scan(self, prefix="", *, start=None, stop=None, reverse=False, limit=None):
        """Pairs of key and value in the order of the keys, from ``start`` on and below ``stop``.

        Weakly consistent: what is set or deleted while it runs may or may not be seen. See the module docstring.
        """
        self.begin(False)
        return self._walk(self.bounds_of(prefix, start, stop, reverse), _checked_limit(limit), True)

    def keys(self, prefix=""):
        """The keys that start with ``prefix``, in order; expired ones are left out."""
        self.begin(False)
        return self._walk(self.bounds_of(prefix, None, None, False), -1, False)

    def __iter__(self):
        return self.keys()

    def _walk(self, Bounds bounds, Py_ssize_t limit, bint values):
        cdef bytes after = None
        cdef Py_ssize_t size = SHORTEST, i
        cdef bytes name
        cdef list keys, lifted, marks
        cdef object key
        while limit:
            self.begin(False)
            keys, lifted, marks = [], [], []
            bounds.most = limit
            after = self.stretch(bounds, after, size if limit < 0 else min(size, limit), values, keys, lifted, marks,
                                 None, NULL)
            self.stretched(bounds)
            if self.mode != KEYS_STR:
                for i in range(len(keys)):
                    name = keys[i]
                    keys[i] = self.key_of(name, len(name))
            if not values:
                yield from keys
            else:
                for i in range(len(keys)):
                    key = keys[i]
                    yield key, self.settle(marks[i], lifted[i])
            limit = limit - len(keys) if limit > 0 else limit
            size = min(2 * size, LONGEST)
            if after is None:
                return

    def __len__(self):
        """How many records are held, with expired ones that are not reaped yet."""
        cdef MDB_stat stat
        cdef MDB_txn* txn
        cdef size_t longs = 0
        cdef int rc
        self.begin(False)
        txn = self.home.reader()
        rc = mdb_stat(txn, self.home.data, &stat)
        if rc == 0:
            rc = long_count(self.home, txn, &longs)
        self.home.give(txn)
        self.home.leave()
        if rc:
            lmdb_raise(rc, "reading", self.home.path)
        return stat.ms_entries + longs

    def count(self, prefix=""):
        """How many keys start with ``prefix``; expired ones are left out."""
        cdef Bounds bounds = self.bounds_of(prefix, None, None, False)
        cdef Walk w
        cdef Frame frame
        cdef MDB_txn* txn
        cdef int64_t now
        cdef Py_ssize_t n = 0
        cdef bint known = False
        cdef int rc
        self.begin(False)
        txn = self.home.reader()
        try:
            rc = walk_begin(&w, self.home, txn, &bounds.range, slice_of(None), True)
            with nogil:
                now = self.now()
                while rc == 0:
                    rc = walk_frame(&w, self.home, &frame)
                    if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
                        rc = self.judge(txn, &frame, now)
                    if rc:
                        known = True
                        break
                    n += frame.state == FRESH
                    rc = walk_next(&w, self.home)
            if rc != MDB_NOTFOUND:
                bounds.rc, bounds.head = rc, walk_head(&w)
            if known:
                bounds.failed = w.name.data[:w.name.size]
        finally:
            walk_end(&w)
            self.home.give(txn)
            self.home.leave()
        self.stretched(bounds)
        return n

    def clear(self, prefix=""):
        """Remove all keys that start with ``prefix``, in one transaction; listeners get one event."""
        cdef Bounds bounds
        cdef EventQueue queue
        cdef uint64_t seq
        cdef int rc, synced = 0
        self.begin(True)
        bounds = self.bounds_of(prefix, None, None, False)
        while True:
            queue = self.events
            seq = 0
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_clear(&bounds.range, queue, &seq)
                    if rc == 0:
                        synced = self.home.committed(False)
            finally:
                self.home.leave()
            if rc == 0:
                break
            if seq:
                queue.cancel(seq, 1)
                queue.drain()
            if rc == FRAME_CORRUPT:
                raise CorruptError(f"clearing {prefix!r} in {self.home.path} found a damaged record among long keys, "
                                   "and nothing was removed; run verify(), and delete what it names")
            self.remedy(rc, 0, "clearing", self.home.path)
        self.void_flights()
        d43_add(&self.unvoided, <uint64_t>-1)
        if seq:
            queue.fill(seq, OP_CLEAR, BY_USER, prefix, None, NULL)
        if queue is not None:
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)

    cdef int clear_short(self, MDB_txn* txn, const Range* range) noexcept nogil:
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val key, value
        cdef Frame frame
        cdef Slice name
        cdef char held[MAX_KEY]
        cdef int rc = mdb_cursor_open(txn, self.home.data, &cursor)
        while rc == 0:
            # The first of the range is looked for anew each time: erase works beside this cursor.
            key.mv_data = <void*>range.low.data
            key.mv_size = range.low.size
            rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE if key.mv_size else MDB_FIRST)
            if rc or not within(range, &key):
                break
            if key.mv_size > MAX_KEY:
                rc = MDB_CORRUPTED
                break
            memcpy(held, key.mv_data, key.mv_size)
            name.data = held
            name.size = key.mv_size
            if frame_read(name, <const char*>value.mv_data, value.mv_size, &frame):
                frame.flags = 0
            rc = self.erase(txn, name, &frame, NO_CHANGE)
        if cursor != NULL:
            mdb_cursor_close(cursor)
        return 0 if rc == MDB_NOTFOUND else rc

    cdef int clear_long(self, MDB_txn* txn, const Range* range) noexcept nogil:
        cdef Walk w
        cdef Frame frame
        cdef Slice name, nothing
        cdef char* held = NULL
        cdef int rc = 0
        nothing.data = NULL
        nothing.size = 0
        while rc == 0:
            rc = walk_begin(&w, self.home, txn, range, nothing, True)
            if rc == 0 and held == NULL:
                held = <char*>malloc(LONGEST_KEY)
                if held == NULL:
                    rc = ENOMEM
            if rc == 0:
                memcpy(held, w.name.data, w.name.size)
                name.data = held
                name.size = w.name.size
                if walk_frame(&w, self.home, &frame):
                    frame.flags = 0
            walk_end(&w)
            if rc == 0:
                rc = self.erase(txn, name, &frame, NO_CHANGE)
        free(held)
        return 0 if rc == MDB_NOTFOUND else rc

    cdef int apply_clear(self, const Range* range, EventQueue queue, uint64_t* seq) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        marks_touch_all(self.mark_words)
        if range.low.data == NULL and range.high.data == NULL:
            rc = mdb_drop(txn, self.home.data, 0)
            if rc == 0:
                rc = mdb_drop(txn, self.home.longs, 0)
            if rc == 0:
                rc = mdb_drop(txn, self.home.expiry, 0)
            if rc == 0 and self.home.chunked:
                rc = chunks_clear(self.home, txn)
            if rc == 0 and self.home.budget.on:
                rc = mdb_drop(txn, self.home.budget.table, 0)
        else:
            rc = self.clear_short(txn, range)
            if rc == 0:                     # only long keys are left
                rc = self.clear_long(txn, range)
        if rc == 0 and self.home.journal.on:
            rc = journal_note(&self.home.journal, txn, CHANGED_CLEAR, range.low, 0, 0)
        if rc == 0:
            return self.close_write(txn, queue, 1, seq)
        mdb_txn_abort(txn)
        return rc


cdef Py_ssize_t _checked_limit(object limit) except -2:
    if limit is None:
        return -1
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ValueError(f"limit={limit!r} is no number of records; give 0 or more, or None for all")
    return limit

"""Transactions over a store on disk: one view to read from, and one step that checks and writes.

A transaction reads from a snapshot, whatever is written meanwhile, and keeps a token of each record. At its end the
tokens are compared with the present under LMDB's writer lock, and if none differs, its writes follow in the same LMDB
transaction. So user code never runs under that lock.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from door43fast.native.core cimport BY_EXPIRY, BY_USER, OP_DELETE, OP_SET
from door43fast.native.status cimport lmdb_raise
from door43fast.native.frame cimport (FRAME_CORRUPT, FRESH, Frame, HAS_DEADLINE, HAS_TAGS, PINNED, REFUSED,
                                      draft_carry)
from door43fast.native.handle cimport handle_sure
from door43fast.native.journal cimport CHANGED_DELETE, CHANGED_EXPIRE
from door43fast.native.lmdb_ranges cimport Bounds, slice_of
from door43fast.native.lmdb_records cimport TOKEN, frame_token
from door43fast.native.longrow cimport long_weight
from door43fast.native.pins cimport pin_add, pin_take
from door43fast.native.told cimport told_tags
from door43fast.native.lmdb_walk cimport Walk, walk_begin, walk_end, walk_frame, walk_next

from door43fast.contracts import MISSING
from door43fast.errors import ClosedError, ConflictError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef enum:
    STRETCH = 512


cdef class Snapshot:
    """One state of the store, for as long as it is open: its pages are kept, so close it soon."""

    def __cinit__(self, TransactionEngine store not None):
        store.begin(False)
        self.store = store
        self.home = store.home

    def __dealloc__(self):
        self.let_go()

    cdef MDB_txn* enter(self) except NULL:
        self.store.begin(False)
        self.home.enter()
        if self.pin.txn == NULL or self.ended:
            self.home.leave()
            raise ClosedError("this snapshot ended with its transaction, or belongs to the process that was forked")
        self.inside += 1
        return self.pin.txn

    cdef void leave(self) noexcept:
        self.inside -= 1
        if self.ended and self.inside == 0:     # another thread has closed it meanwhile
            self.let_go()
        self.home.leave()

    cdef void let_go(self) noexcept:
        """Without the gate: the GIL is held throughout, and the files are closed and remapped with it only."""
        cdef MDB_txn* txn = pin_take(&self.pin)
        if txn != NULL and self.home.own():
            self.home.give(txn)

    def read(self, key):
        """(token, value) of ``key``; the token is empty, and the value MISSING, where there is none."""
        cdef Slice name
        cdef Frame frame
        cdef object owner = self.store.slice_key(key, &name), lifted
        cdef char token[TOKEN]
        cdef MDB_txn* txn
        cdef int rc
        txn = self.enter()
        try:
            rc = handle_sure(self.home, self.store.find(txn, name, &frame, self.store.now()))
            if rc == 0 and frame.state == FRESH:
                frame_token(&frame, token)
                lifted = self.store.lift(&frame, txn)
        finally:
            self.leave()
        if rc == MDB_NOTFOUND or (rc == 0 and frame.state != FRESH):
            return b"", MISSING
        if rc:
            self.store.fault(rc, key)
        return PyBytes_FromStringAndSize(token, TOKEN), self.store.settle(frame.mark, lifted)

    def scan(self, prefix="", start=None, stop=None, reverse=False):
        """(key, token, value) of a range, in order."""
        cdef Bounds bounds = self.store.bounds_of(prefix, start, stop, reverse)
        cdef bytes after = None, name
        cdef list names, lifted, marks, tokens
        cdef MDB_txn* txn
        cdef Py_ssize_t i
        while True:
            names, lifted, marks, tokens = [], [], [], []
            txn = self.enter()
            try:
                after = self.store.stretch(bounds, after, STRETCH, True, names, lifted, marks, tokens, txn)
            finally:
                self.leave()
            self.store.stretched(bounds)
            for i in range(len(names)):
                name = names[i]
                yield self.store.key_of(name, len(name)), tokens[i], self.store.settle(marks[i], lifted[i])
            if after is None:
                return

    def close(self):
        """End the view. A second call does nothing."""
        self.ended = True
        if self.inside == 0:
            self.let_go()


cdef class Commit:

    def __cinit__(self):
        self.owners = []

    def __dealloc__(self):
        free(self.tokens)
        free(self.erased)
        free(self.alive)
        free(self.seen)


cdef class TransactionEngine(TrainingEngine):
    """What a store on disk does for transactions; door43fast.transactions is the face of it."""

    def _snapshot(self):
        cdef Snapshot s = Snapshot.__new__(Snapshot, self)
        s.pin.txn = self.home.reader()
        pin_add(&self.home.pins, &s.pin)
        self.home.leave()
        return s

    cdef int check_range(self, MDB_txn* txn, const Seen* seen) noexcept nogil:
        """0 if the range holds what it held, REFUSED if not."""
        cdef Walk w
        cdef Frame frame
        cdef Slice nothing
        cdef const char* at = seen.records.data
        cdef const char* end = seen.records.data + seen.records.size
        cdef char token[TOKEN]
        cdef uint32_t size
        cdef int64_t now = self.now()
        cdef int rc
        nothing.data = NULL
        nothing.size = 0
        rc = walk_begin(&w, self.home, txn, &seen.range, nothing, False)
        while rc == 0:
            rc = walk_frame(&w, self.home, &frame)
            if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
                rc = self.judge(txn, &frame, now)
            if rc == 0 and frame.state == FRESH:
                if at == end:
                    rc = REFUSED
                    break
                memcpy(&size, at, 4)
                frame_token(&frame, token)
                if size != w.name.size or memcmp(at + 4, w.name.data, size) or memcmp(at + 4 + size, token, TOKEN):
                    rc = REFUSED
                    break
                at += 4 + size + TOKEN
            if rc == 0:
                rc = walk_next(&w, self.home)
        walk_end(&w)
        if rc == MDB_NOTFOUND:
            rc = 0
        return REFUSED if rc == 0 and at != end else rc

    cdef int check(self, MDB_txn* txn, Commit commit) noexcept nogil:
        cdef Frame frame
        cdef char token[TOKEN]
        cdef Py_ssize_t i
        cdef int64_t now = self.now()
        cdef int rc
        for i in range(commit.reads.count):
            commit.conflict = i
            rc = self.find(txn, commit.reads.places[i].key, &frame, now)
            if rc == MDB_NOTFOUND or (rc == 0 and frame.state != FRESH):
                if commit.tokens[i] != NULL:
                    return REFUSED
            elif rc:
                return rc
            else:
                frame_token(&frame, token)
                if commit.tokens[i] == NULL or memcmp(token, commit.tokens[i], TOKEN):
                    return REFUSED
        for i in range(commit.ranges):
            commit.conflict = commit.reads.count + i
            rc = self.check_range(txn, &commit.seen[i])
            if rc:
                return rc
        return 0

    cdef int apply_commit(self, Commit commit, EventQueue queue, uint64_t* seq, uint64_t* events) noexcept nogil:
        """Check and write in one transaction. REQUIRES: entered. REFUSED, with nothing written, on a conflict."""
        cdef MDB_txn* txn = NULL
        cdef Frame old
        cdef Slice key
        cdef Py_ssize_t i, at, touched = 0
        cdef int64_t now
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        events[0] = 0
        rc = self.check(txn, commit)
        now = self.now()
        for i in range(commit.writes.count):
            if rc:
                break
            at = commit.writes.places[i].index
            key = commit.writes.places[i].key
            if commit.erased[at]:
                commit.alive[i] = 0
                self.void_elsewhere(key)
                rc = self.find(txn, key, &old, now)
                if rc == MDB_NOTFOUND:
                    rc = 0
                    continue
                if rc == FRAME_CORRUPT:
                    old.flags = 0
                    old.state = FRESH
                    rc = 0
                if rc == 0 and commit.writes.told != NULL:
                    rc = told_tags(&old, NULL, &commit.writes.told[i])
                if rc == 0:
                    commit.alive[i] = old.state == FRESH
                    events[0] += commit.alive[i]
                    rc = self.erase(txn, key, &old, CHANGED_DELETE if commit.alive[i] else CHANGED_EXPIRE)
            else:
                if commit.writes.told != NULL:
                    rc = self.note_tags(txn, key, &commit.writes.drafts[at], now, &commit.writes.told[i])
                if rc == 0:
                    rc = self.put(txn, NULL, 0, key, &commit.writes.drafts[at])
                events[0] += 1
            touched += 1
        if rc or touched == 0:
            mdb_txn_abort(txn)
            commit.conflict = commit.conflict if rc else -1     # -1: nothing had to be written
            return rc
        return self.close_write(txn, queue, events[0], seq)

    cdef Commit commit_of(self, dict reads, dict writes, object ranges):
        cdef Commit c = Commit.__new__(Commit)
        cdef Bounds bounds
        cdef Slice name
        cdef bytes tags, whole, token
        cdef list parts
        cdef Py_ssize_t i
        cdef int64_t deadline
        c.reads = self.batch_of(reads.keys())
        c.tokens = <const char**>calloc(c.reads.count or 1, sizeof(char*))
        c.writes = self.batch_of(writes.keys())
        c.writes.draft()
        c.erased = <char*>calloc(c.writes.count or 1, 1)
        c.alive = <char*>calloc(c.writes.count or 1, 1)
        ranges = list(ranges)
        c.ranges = len(ranges)
        c.seen = <Seen*>calloc(c.ranges or 1, sizeof(Seen))
        if c.tokens == NULL or c.erased == NULL or c.alive == NULL or c.seen == NULL:
            raise MemoryError("no memory to commit a transaction")
        for i, token in enumerate(reads.values()):
            c.owners.append(token)
            c.tokens[i] = PyBytes_AS_STRING(token) if PyBytes_GET_SIZE(token) else NULL
        for i, write in enumerate(writes.values()):
            if write is None:
                c.erased[i] = 1
                continue
            value, ttl, names, pin = write
            deadline = self.deadline_of(ttl)
            if deadline < 0:
                c.erased[i] = 2
                continue
            c.writes.owners.append(self.draft_value(value, &c.writes.drafts[i]))
            c.writes.drafts[i].deadline = deadline
            c.writes.drafts[i].flags |= PINNED if pin else 0
            tags = self.tags_whole(names)
            if tags is not None:
                c.owners.append(tags)
                draft_carry(&c.writes.drafts[i], PyBytes_AS_STRING(tags), PyBytes_GET_SIZE(tags), False)
        c.writes.pack(self.compression)
        for i, (prefix, start, stop, records) in enumerate(ranges):
            bounds = self.bounds_of(prefix, start, stop, False)
            parts = []
            for key, token in records:
                owner = self.slice_key(key, &name)
                parts.append((<uint32_t>name.size).to_bytes(4, "little"))
                parts.append(name.data[:name.size])
                parts.append(token)
            whole = b"".join(parts)
            c.owners.append(bounds)
            c.owners.append(whole)
            c.seen[i].range = bounds.range
            c.seen[i].records = slice_of(whole)
        return c

    cdef int conflict_in(self, Commit commit, object ranges) except -1:
        if commit.conflict < commit.reads.count:
            what = f"key {self.key_at(commit.reads, commit.conflict)!r}"
        else:
            prefix, start, stop, _ = list(ranges)[commit.conflict - commit.reads.count]
            what = f"the range {prefix!r} ({start!r} to {stop!r})"
        raise ConflictError(f"{what} was changed by another while the transaction ran, and nothing was written: "
                            "run it again")

    def _commit(self, dict reads, dict writes, ranges=()):
        cdef Commit commit
        cdef MDB_txn* txn
        cdef int rc
        ranges = list(ranges)
        self.begin(bool(writes))
        commit = self.commit_of(reads, writes, ranges)
        if writes:
            self.write_commit(commit, writes, ranges)
            return
        txn = self.home.reader()        # nothing to write: one look at the present, without the writer lock
        try:
            with nogil:
                rc = self.check(txn, commit)
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc == REFUSED:
            self.conflict_in(commit, ranges)
        elif rc:
            self.fault(rc, "read by a transaction")

    cdef int write_commit(self, Commit commit, dict writes, object ranges) except -1:
        cdef EventQueue queue
        cdef uint64_t seq, events = 0
        cdef Py_ssize_t i, at, need = 0, largest = 0
        cdef int rc, synced = 0
        cdef list values = list(writes.values())
        commit.writes.arrange()
        for i in range(commit.writes.count):
            need += (commit.writes.drafts[i].payload.size + commit.writes.drafts[i].names.size + 1024
                     + long_weight(commit.writes.places[i].key.size))
            largest = max(largest, <Py_ssize_t>commit.writes.drafts[i].payload.size)
        if self.home.budget.on:
            self.room_for(commit.writes.count, need, largest, "what a transaction writes")
        while True:
            queue = self.events
            seq = 0
            commit.conflict = 0
            commit.writes.listen(self.labelled())
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_commit(commit, queue, &seq, &events)
                    if rc == 0 and commit.conflict >= 0:
                        synced = self.home.committed(False)
            finally:
                self.home.leave()
            if rc == 0:
                break
            if seq:
                queue.cancel(seq, events)
                queue.drain()
            if rc == REFUSED:
                self.conflict_in(commit, ranges)
            if rc > -100 and rc < 0:
                self.fault(rc, "in a transaction")
            self.remedy(rc, need, "committing a transaction to", self.home.path)
        for i in range(commit.writes.count if self.flights else 0):
            self.void_flight(PyBytes_FromStringAndSize(commit.writes.places[i].key.data,
                                                       commit.writes.places[i].key.size))
        if commit.conflict >= 0:
            d43_add(&self.unvoided, <uint64_t>-1)
        for i in range(commit.writes.count):
            at = commit.writes.places[i].index
            if not commit.erased[at]:
                self.sets += 1
            elif commit.alive[i]:
                if commit.erased[at] == 1:
                    self.deletes += 1
                else:
                    self.expirations += 1
        if seq:
            for i in sorted(range(commit.writes.count), key=lambda i: commit.writes.places[i].index):
                at = commit.writes.places[i].index
                if not commit.erased[at]:
                    queue.fill(seq, OP_SET, BY_USER, self.key_at(commit.writes, i), values[at][0],
                               commit.writes.labels(i))
                    seq += 1
                elif commit.alive[i]:
                    queue.fill(seq, OP_DELETE, BY_USER if commit.erased[at] == 1 else BY_EXPIRY,
                               self.key_at(commit.writes, i), None, commit.writes.labels(i))
                    seq += 1
        if queue is not None:
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return 0

"""Room in a store with a budget: made before a write that needs it, by eviction in the order of the policy.

The file never becomes larger than the budget, because LMDB's map is as long and LMDB takes no page beyond its map.
What is left to do here is to have pages free when a write needs them. The tables may take the budget less a sixteenth,
or less a quarter under ``batch``, and by 16 MiB at the most: that part is room for the copies that every transaction
makes of the pages that it changes.

A round of eviction takes the oldest rows of the table ``order`` out of a snapshot, decides with the GIL held which of
them get another round (they were read since: a mark in this process, or the memory tier above holds them), and then, in
one transaction, evicts the others until there is room, and moves those that stay to the young end. So a read writes
nothing, and an eviction costs at most a round of moves. Pinned records have no row.

Where pages are free but not to be had, because a reader keeps an older state, nothing is evicted: the write waits.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.bounding cimport free_pages, join_budget, relieve, used_pages
from door43fast.native.budget cimport (BUDGET_FOUND, BUDGET_SETTINGS, KEEP, ROW_BIRTH, budget_settings, d43_mark,
                                       d43_marks_turn, d43_unmark, order_add, order_free, order_oldest)
from door43fast.native.clock cimport d43_monotonic_ns
from door43fast.native.core cimport BY_EVICTION, OP_DELETE
from door43fast.native.environment cimport BATCH
from door43fast.native.frame cimport EXPIRED, INVALID, REFUSED, Frame
from door43fast.native.journal cimport CHANGED_EVICT, CHANGED_EXPIRE
from door43fast.native.keys cimport KEYS_ANY
from door43fast.native.longrow cimport MAX_KEY
from door43fast.native.status cimport lmdb_raise
from door43fast.native.told cimport told_labels, told_tags

from door43fast.errors import BudgetError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)
    uint64_t d43_load(uint64_t*)

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int)

cdef enum:
    LEAST_ROOM = 48         # pages that the tables leave free, at the least and at the most
    MOST_ROOM = 4096
    MOST_ROUND = 256        # rows that are looked at in a round
    SPARED = 1024           # rows that get another round one after another; then the oldest goes whatever it is
    PATIENCE = 2            # seconds that a write waits for pages that readers keep
    FEW_PAGES = 6           # what is free at any time
    TIMES = 3               # that a write is tried again before its place is made by eviction
    SHARE = 16              # a value takes at most the budget by this
    BATCH_SHARE = 2         # and a batch by this


cdef class RoomEngine(ReadEngine):
    """What a store on disk does to keep its budget."""

    def _stand_below(self, cascade):
        """``cascade``, a weak reference, holds in memory what this store has: it is asked and told of evictions."""
        self.above = [one for one in self.above or () if one() is not None] + [cascade]

    cdef int look(self, Pages* pages, bint closely) except -1:
        """How full the store is; ``closely`` with what of it may be used now, which takes a walk over free pages."""
        cdef MDB_txn* txn = self.home.reader()
        cdef MDB_stat stat
        cdef int rc = 0
        memset(pages, 0, sizeof(Pages))
        pages.limit = self.home.budget.limit // self.home.page_size
        # Under ``batch`` what transactions free can be had again after the next sync only.
        pages.soft = pages.limit - min(max(pages.limit // (4 if self.home.durability == BATCH else 16),
                                           <uint64_t>LEAST_ROOM), <uint64_t>MOST_ROOM)
        pages.used = used_pages(self.home, txn)
        if mdb_stat(txn, self.home.data, &stat) == 0:
            pages.leaves = stat.ms_leaf_pages
        if closely:
            with nogil:
                rc = free_pages(self.home, txn, pages.limit, &pages.free, &pages.holder)
        self.home.give(txn)
        self.home.leave()
        if rc:
            lmdb_raise(rc, "reading", self.home.path)
        return 0

    cdef int room_for(self, Py_ssize_t records, size_t need, size_t largest, object subject) except -1:
        cdef Pages pages
        cdef uint64_t wanted, target, before
        cdef Py_ssize_t seen, spared = 0
        if largest > self.home.budget.limit // SHARE:
            raise BudgetError(f"the value of {subject!r} has {largest} bytes, and may take a sixteenth of the budget "
                              f"of {self.home.path} (max_bytes={self.home.budget.limit}); what was there before stays")
        if need > self.home.budget.limit // BATCH_SHARE:
            raise BudgetError(f"a batch of {need} bytes for {self.home.path} takes more than half of its budget "
                              f"(max_bytes={self.home.budget.limit}), and nothing of it was written; split it")
        self.look(&pages, False)
        # A page for what is new, and a copy of each page that a record falls into.
        wanted = need // self.home.page_size + 1 + min(<uint64_t>records, pages.leaves)
        if pages.used + wanted <= pages.soft:
            return self.pages_for(wanted, "writing", subject) if wanted > FEW_PAGES else 0
        # Some pages more than are needed: so not every write makes a round.
        target = pages.soft - min(wanted + pages.limit // 256, pages.soft)
        if not self.reaping and self.expiring_now():
            self.reaping = True         # to reap is to write, which may need room
            try:
                self.expire()           # of the heir
            finally:
                self.reaping = False
            self.look(&pages, False)
        while pages.used > target:
            before = self.evictions
            seen = 0 if self.home.budget.policy == KEEP else self.evict(target, spared >= SPARED)
            spared = spared + seen if self.evictions == before else 0
            if seen == 0:
                self.look(&pages, False)
                if pages.used + wanted <= pages.soft:
                    break
                raise BudgetError(f"{subject!r} does not fit into {self.home.path}: {pages.used} of its {pages.limit} "
                                  "pages are used, and " +
                                  ('policy="none" evicts nothing' if self.home.budget.policy == KEEP else
                                   "what is left is pinned") +
                                  "; delete something, or give a larger max_bytes. What was there before stays")
            self.look(&pages, False)
        return self.pages_for(wanted, "writing", subject) if wanted > FEW_PAGES else 0

    cdef int pages_for(self, uint64_t wanted, str what, object subject) except -1:
        cdef Pages pages
        cdef int times = 0
        self.look(&pages, True)
        while pages.free < wanted + LEAST_ROOM // 2:
            if times >= TIMES and (pages.holder == 0 or pages.used + wanted > pages.soft):
                return 0                        # it will be seen whether that is enough
            self.freshen(times)
            times += 1
            self.look(&pages, True)
            if times > TIMES and pages.free < wanted + LEAST_ROOM // 2:
                self.wait_for_pages(&pages, what, subject)
        return 0

    cdef int freshen(self, int times) except -1:
        """Do what brings freed pages back; note since when nothing could be written, where that was not noted yet."""
        cdef int rc
        if times == 0 and d43_load(&self.news.known) != self.full_known:     # something was written since
            self.full_since = d43_monotonic_ns()
            self.full_times = 0
        relieve(self.home)
        self.home.enter()
        try:
            self.announce()
            with nogil:
                rc = self.nudge()
                if rc == 0:
                    self.home.committed(False)
        finally:
            self.home.leave()
        if rc == 0:
            d43_add(&self.unvoided, <uint64_t>-1)
        self.full_known = d43_load(&self.news.known)
        return 0

    cdef int nudge(self) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef MDB_val name, value
        cdef uint64_t seq = 0
        cdef uint64_t settings[2]
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        rc = budget_settings(txn, self.home.meta, &settings[0], &settings[1])
        name.mv_data = <char*>b"budget"
        name.mv_size = 6
        value.mv_data = settings
        value.mv_size = BUDGET_SETTINGS
        if rc == 0:
            rc = mdb_put(txn, self.home.meta, &name, &value, 0)
        if rc:
            mdb_txn_abort(txn)
            return rc
        return self.close_write(txn, None, 0, &seq)

    cdef bint expiring_now(self) except -1:
        cdef MDB_txn* txn = self.home.reader()
        cdef bint any = self.expiring(txn)
        self.home.give(txn)
        self.home.leave()
        return any

    cdef int remedy(self, int rc, size_t need, str what, object subject) except -1:
        cdef Pages pages
        cdef uint64_t wanted = need // self.home.page_size + 1, target
        if rc == BUDGET_FOUND:
            return join_budget(self.home)
        if rc != MDB_MAP_FULL or not self.home.budget.on:
            return self.home.recover(rc, need, what, subject)
        self.freshen(0)
        self.full_times += 1
        self.look(&pages, True)
        if pages.used + wanted > pages.soft:
            return self.room_for(1, need, 0, subject)
        if pages.free < wanted + LEAST_ROOM // 2:
            return self.wait_for_pages(&pages, what, subject)
        if self.full_times <= TIMES:                    # what was just relieved is there
            return 0
        # There are pages enough, but not one after another.
        target = pages.used - min(max(2 * wanted, pages.limit // 32), pages.used)
        if target < pages.limit // 16 or self.home.budget.policy == KEEP or self.evict(target, False) == 0:
            raise BudgetError(f"{what} {subject!r} failed: {self.home.path} has {pages.free} free pages, but not "
                              "as many as this changes, or not enough in a row; write less at once, or give a larger "
                              "max_bytes. What was there before stays")
        return 0

    cdef int wait_for_pages(self, const Pages* pages, str what, object subject) except -1:
        """Wait a moment for readers to end; BudgetError if that has gone on for too long."""
        if d43_monotonic_ns() - self.full_since > PATIENCE * <int64_t>1_000_000_000:
            self.full_known = 0
            raise BudgetError(f"{what} {subject!r} found no free page in {self.home.path} for {PATIENCE:d} s: process "
                              f"{pages.holder} keeps an old state open, in a transaction or a scan; end that, and "
                              "repeat")
        with nogil:
            usleep(1000)
        return 0

    cdef Py_ssize_t evict(self, uint64_t target, bint any) except -1:
        """One round: how many rows were looked at; 0 if there is none."""
        cdef EventQueue queue
        cdef Candidate* rows = <Candidate*>malloc(MOST_ROUND * (sizeof(Candidate) + MAX_KEY))
        cdef Py_ssize_t i, count = 0, most, moved = 0, gone = 0
        cdef uint64_t seq
        cdef list locals = None, lost
        cdef int rc, synced = 0
        if rows == NULL:
            raise MemoryError("no memory to evict records")
        try:
            # Each record that goes may cost the copies of a few pages, a row that moves next to nothing.
            most = min(max(self.home.budget.limit // self.home.page_size // 128, <uint64_t>8), <uint64_t>MOST_ROUND)
            self.pages_for(3 * most, "evicting from", self.home.path)
            count = self.candidates(rows, <char*>(rows + MOST_ROUND), MOST_ROUND)
            if self.above is not None:
                locals = [self.local_of(&rows[i]) for i in range(count)]
            if not any:
                self.judge_candidates(rows, count, locals)
            while count:
                queue = self.events
                seq = 0
                self.home.enter()
                try:
                    self.announce()
                    with nogil:
                        rc = self.apply_evict(rows, count, most, target, queue, &seq, &moved, &gone)
                        if rc == 0:
                            synced = self.home.committed(False)
                finally:
                    self.home.leave()
                if rc == 0 or rc == REFUSED:
                    break
                if seq:
                    queue.cancel(seq, gone)
                self.evict_remedy(rc)
            if count and rc == 0:
                d43_add(&self.unvoided, <uint64_t>-1)
            self.evictions += gone
            if locals is not None and gone:
                lost = [locals[i] for i in range(count) if rows[i].gone]
                for one in self.above:
                    cascade = one()
                    if cascade is not None:
                        cascade._evicted(lost)
            if seq if count else False:
                for i in range(count):
                    if rows[i].gone:
                        queue.fill(seq, OP_DELETE, BY_EVICTION, self.key_of(rows[i].key.data, rows[i].key.size), None,
                                   told_labels(&rows[i].tags))
                        seq += 1
        finally:
            order_free(rows, count)
            free(rows)
        if count and queue is not None:
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return count

    cdef int evict_remedy(self, int rc) except -1:
        """What can be done about a failed round: a round needs pages too."""
        cdef Pages pages
        if rc != MDB_MAP_FULL:
            return self.home.recover(rc, 0, "evicting from", self.home.path)
        self.freshen(0)
        self.look(&pages, True)
        return self.wait_for_pages(&pages, "evicting from", self.home.path)

    cdef object local_of(self, const Candidate* row):
        """The key as a cascade has it."""
        if self.mode == KEYS_ANY:
            return PyBytes_FromStringAndSize(row.key.data, row.key.size)
        return self.key_of(row.key.data, row.key.size)

    cdef Py_ssize_t candidates(self, Candidate* rows, char* keys, Py_ssize_t most) except -1:
        """The oldest rows, copied."""
        cdef MDB_txn* txn = self.home.reader()
        cdef Py_ssize_t count = 0
        cdef int rc
        with nogil:
            rc = order_oldest(txn, self.home.budget.table, rows, keys, most, &count)
            self.home.give(txn)
            self.home.leave()
        if rc:
            order_free(rows, count)
            lmdb_raise(rc, "reading the order of", self.home.path)
        return count

    cdef int judge_candidates(self, Candidate* rows, Py_ssize_t count, list locals) except -1:
        """Who gets another round."""
        cdef Py_ssize_t i
        if self.home.budget.marks.bits != NULL:
            d43_marks_turn(&self.home.budget.marks)
            for i in range(count):
                rows[i].again = d43_unmark(&self.home.budget.marks, XXH3_64bits(rows[i].key.data, rows[i].key.size))
            for one in self.above if locals is not None else ():
                cascade = one()
                if cascade is not None:
                    for i, held in enumerate(cascade._holds(locals)):
                        rows[i].again = rows[i].again or held
        return 0

    cdef int apply_evict(self, Candidate* rows, Py_ssize_t count, Py_ssize_t most, uint64_t target, EventQueue queue,
                         uint64_t* seq, Py_ssize_t* moved, Py_ssize_t* gone) noexcept nogil:
        """Rows go or move, the oldest first, until no more than ``target`` pages are used."""
        cdef MDB_txn* txn = NULL
        cdef Py_ssize_t i, reached = 0
        cdef int64_t now
        cdef int rc = self.open_write(&txn)
        moved[0] = gone[0] = 0
        for i in range(count):
            rows[i].gone = False
        if rc:
            return rc
        now = self.now()
        for i in range(count):
            if gone[0] == most or used_pages(self.home, txn) <= target:
                break
            rc = self.out(txn, &rows[i], now)
            if rc:
                mdb_txn_abort(txn)
                return rc
            reached += 1
            moved[0] += rows[i].position != 0
            gone[0] += rows[i].gone
        for i in range(reached, count):         # not reached: what it was known for is not forgotten
            if rows[i].again and self.home.budget.marks.bits != NULL:
                d43_mark(&self.home.budget.marks, XXH3_64bits(rows[i].key.data, rows[i].key.size))
        if moved[0] == 0:                       # others have made room; an empty transaction has no number
            mdb_txn_abort(txn)
            return REFUSED
        return self.close_write(txn, queue, gone[0], seq)

    cdef int out(self, MDB_txn* txn, Candidate* row, int64_t now) noexcept nogil:
        """Take out a row, and its record unless it gets another round."""
        cdef MDB_val name, value
        cdef Frame frame
        cdef uint64_t birth = 0, position
        cdef char at[8]
        cdef int i, rc
        for i in range(8):
            at[i] = <char>(row.position >> (56 - 8 * i) & 0xFF)
        name.mv_data = at
        name.mv_size = 8
        rc = mdb_get(txn, self.home.budget.table, &name, &value)
        if rc == 0:
            memcpy(&birth, value.mv_data, ROW_BIRTH)
        if rc == MDB_NOTFOUND or (rc == 0 and birth != row.birth):
            row.position = 0                    # others were here since the rows were read
            return 0
        if rc == 0:
            rc = mdb_del(txn, self.home.budget.table, &name, NULL)
        if rc:
            return rc
        rc = self.find(txn, row.key, &frame, now)
        if rc or frame.birth != row.birth:      # left over, or damaged: a damaged record stays for verify() to tell
            return rc if rc > 0 or rc < -1000 and rc != MDB_NOTFOUND else 0
        if frame.state == EXPIRED or frame.state == INVALID:
            return self.erase(txn, row.key, &frame, CHANGED_EXPIRE)
        if row.again:
            return order_add(txn, self.home.budget.table, row.key, &row.birth, &position)
        if self.labelled():
            rc = told_tags(&frame, NULL, &row.tags)
            if rc:
                return rc
        self.evicted_bytes += frame.whole.size
        row.gone = True
        return self.erase(txn, row.key, &frame, CHANGED_EVICT)

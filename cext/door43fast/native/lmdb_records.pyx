"""Single records of a store on disk: how they are found, written, erased and reaped inside a transaction.

All that writes needs no GIL: nothing that can run Python code happens between the begin and the end of a transaction.
"""

from libc.errno cimport ENOMEM
from libc.string cimport memcpy

from clib.lmdb cimport *
from door43fast.native.bounding cimport budget_look
from door43fast.native.budget cimport order_add, order_drop
from door43fast.native.chunks cimport HEAD, chunks_adopt, chunks_free, chunks_look, chunks_put
from door43fast.native.environment cimport d43_line_init
from door43fast.native.expiry cimport EXPIRY_KEY, expiry_key, expiry_time
from door43fast.native.frame cimport *
from door43fast.native.handle cimport handle_leave, handle_try
from door43fast.native.journal cimport *
from door43fast.native.longkeys cimport long_room, record_drop, record_get
from door43fast.native.longrow cimport LONGEST_KEY
from door43fast.native.shown cimport shown_unsure
from door43fast.native.told cimport told_tags

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(const uint64_t*)
    void d43_store(uint64_t*, uint64_t)
    bint d43_put_if(uint64_t*, uint64_t, uint64_t)
    void d43_wait(int)
    uint64_t d43_add(uint64_t*, uint64_t)
    bint d43_raise_to(uint64_t*, uint64_t)

cdef enum:
    PATIENCE = 2000         # looks at whether a commit of ours has ended, most of which let others have the processor

cdef uint64_t UNSURE = ~<uint64_t>0


cdef class RecordEngine(ValueEngine):
    """What a store on disk does to one record."""

    # Reading

    cdef int generation_of(self, MDB_txn* txn, const char* tag, uint64_t* generation) noexcept nogil:
        """The generation of the tag with this hash: how often it was invalidated."""
        cdef MDB_val name, value
        cdef int rc
        generation[0] = 0
        name.mv_data = <void*>tag
        name.mv_size = TAG_HASH
        rc = mdb_get(txn, self.home.tags, &name, &value)
        if rc:
            return 0 if rc == MDB_NOTFOUND else rc
        return generation_read(tag, <const char*>value.mv_data, value.mv_size, generation) if self.home.holds(&value) \
            else FRAME_CORRUPT

    cdef int judge(self, MDB_txn* txn, Frame* frame, int64_t now) noexcept nogil:
        """Fill the state of ``frame``: its deadline against ``now``, its tags against their generations."""
        cdef uint64_t carried, current
        cdef int i, rc
        frame.state = FRESH
        if frame.flags & HAS_DEADLINE and now >= frame.deadline:
            frame.state = STALE if now < frame.deadline + frame.stale else EXPIRED
        for i in range(frame.tag_count):
            memcpy(&carried, frame.tags + i * TAG_SIZE + TAG_HASH, 8)
            rc = self.generation_of(txn, frame.tags + i * TAG_SIZE, &current)
            if rc:
                return rc
            if current != carried:
                frame.state = INVALID
                return 0
        return 0

    cdef int find(self, MDB_txn* txn, Slice key, Frame* frame, int64_t now) noexcept nogil:
        cdef MDB_val value
        cdef int rc = record_get(self.home, txn, key, &value)
        if rc:
            return rc
        if not self.home.holds(&value):
            return FRAME_CORRUPT
        rc = frame_read(key, <const char*>value.mv_data, value.mv_size, frame)
        if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
            rc = self.judge(txn, frame, now)
        return rc

    # Writing: what happens inside a transaction

    cdef bint expiring(self, MDB_txn* txn) noexcept nogil:
        """Whether any record has a deadline: while none has, nobody needs to look for rows to remove."""
        cdef MDB_stat stat
        return mdb_stat(txn, self.home.expiry, &stat) != 0 or stat.ms_entries != 0

    cdef int put(self, MDB_txn* txn, MDB_cursor* cursor, unsigned int order, Slice key,
                 const Draft* draft) noexcept nogil:
        cdef MDB_val name, value, row
        cdef Frame old
        cdef char due[EXPIRY_KEY]
        cdef char* at
        cdef uint64_t current, hash, base = 0
        cdef bint expiring = self.expiring(txn), noted = self.home.journal.on, bounded = self.home.budget.on
        cdef uint64_t birth = 0
        cdef Draft small
        cdef char head[HEAD]
        cdef int rc, i
        if self.home.chunked and order == 0:
            rc = chunks_free(self.home, txn, key, draft.payload.data if draft.flags & CHUNKED else NULL)
            if rc:
                return rc
        if draft.flags & CHUNKED:
            rc = chunks_adopt(self.home, txn, key, draft.payload.data)
            if rc:
                return REFUSED if rc == MDB_NOTFOUND else rc
        elif draft.payload.size > LARGE:
            small = draft[0]
            rc = chunks_put(self.home, self.compression, txn, key, head, &small)
            if rc:
                return rc
            draft = &small
        if expiring or (order == 0 and (noted or bounded)):
            rc = record_get(self.home, txn, key, &value)
            if rc == 0 and noted:
                base = self.sum_of(&value)
            if rc == 0 and (expiring or bounded) and self.home.holds(&value) and \
                    frame_read(key, <const char*>value.mv_data, value.mv_size, &old) == 0:
                if old.flags & BORN and bounded:
                    rc = order_drop(txn, self.home.budget.table, key, old.birth)
                if rc == 0 and old.flags & HAS_DEADLINE and old.deadline + old.stale != draft.deadline + draft.stale:
                    expiry_key(key, old.deadline + old.stale, due)
                    row.mv_data = due
                    row.mv_size = EXPIRY_KEY
                    rc = mdb_del(txn, self.home.expiry, &row, NULL)
            if rc and rc != MDB_NOTFOUND and rc != FRAME_CORRUPT:       # what is damaged is written over
                return rc
        if bounded and not draft.flags & PINNED:
            rc = order_add(txn, self.home.budget.table, key, NULL, &birth)
            if rc:
                return rc
        if draft.deadline:
            expiry_key(key, draft.deadline + draft.stale, due)
            row.mv_data = due
            row.mv_size = EXPIRY_KEY
            name.mv_data = <void*>key.data
            name.mv_size = key.size
            rc = mdb_put(txn, self.home.expiry, &row, &name, 0)
            if rc:
                return rc
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        value.mv_data = NULL
        value.mv_size = frame_size(draft, birth)
        # What is reserved is good until the next change of this transaction; reading the tags changes nothing.
        if key.size > MAX_KEY:
            rc = long_room(self.home, txn, key, value.mv_size, &value)
        elif cursor != NULL:
            rc = mdb_cursor_put(cursor, &name, &value, MDB_RESERVE | order)
        else:
            rc = mdb_put(txn, self.home.data, &name, &value, MDB_RESERVE)
        if rc:
            return rc
        at = frame_head(draft, birth, <char*>value.mv_data)
        if draft.settled:
            if draft.tag_count:     # memcpy takes no NULL, be it for no bytes
                memcpy(at, draft.tags, <size_t>draft.tag_count * TAG_SIZE)
            at += <size_t>draft.tag_count * TAG_SIZE
        else:
            for i in range(draft.tag_count):
                rc = self.generation_of(txn, draft.tags + i * TAG_HASH, &current)
                if rc:
                    return rc
                memcpy(at, draft.tags + i * TAG_HASH, TAG_HASH)
                memcpy(at + TAG_HASH, &current, 8)
                at += TAG_SIZE
        frame_seal(key, draft, <char*>value.mv_data, value.mv_size, at)
        if not noted:
            return 0
        memcpy(&hash, value.mv_data, 8)
        return journal_note(&self.home.journal, txn, CHANGED_SET, key, hash, base)

    cdef uint64_t sum_of(self, const MDB_val* value) noexcept nogil:
        """The checksum that a record carries: what a journal calls its hash."""
        cdef uint64_t sum = 0
        if value.mv_size >= 8 and self.home.holds(value):
            memcpy(&sum, value.mv_data, 8)
        return sum

    cdef int erase(self, MDB_txn* txn, Slice key, const Frame* old, Change change) noexcept nogil:
        """Remove a record, and its row in the table of deadlines if ``old`` says that it has one."""
        cdef MDB_val row
        cdef char due[EXPIRY_KEY]
        cdef uint64_t base
        cdef int rc
        if self.home.budget.on and old != NULL and old.flags & BORN:
            rc = order_drop(txn, self.home.budget.table, key, old.birth)
            if rc:
                return rc
        if old != NULL and old.flags & HAS_DEADLINE:
            expiry_key(key, old.deadline + old.stale, due)
            row.mv_data = due
            row.mv_size = EXPIRY_KEY
            rc = mdb_del(txn, self.home.expiry, &row, NULL)
            if rc and rc != MDB_NOTFOUND:
                return rc
        if self.home.chunked:
            rc = chunks_free(self.home, txn, key, NULL)
            if rc:
                return rc
        if change != NO_CHANGE and self.home.journal.on:
            rc = record_get(self.home, txn, key, &row)
            if rc == FRAME_CORRUPT:
                row.mv_size = 0
            elif rc:
                return rc
            base = self.sum_of(&row)
            rc = journal_note(&self.home.journal, txn, change, key, 0, base)
            if rc:
                return rc
        return record_drop(self.home, txn, key)

    cdef int note_tags(self, MDB_txn* txn, Slice key, const Draft* draft, int64_t now, Slice* out) noexcept nogil:
        cdef Frame old
        return told_tags(&old if self.find(txn, key, &old, now) == 0 else NULL, draft, out)

    cdef int reap(self, MDB_txn* txn, int64_t now, Reaped* reaped) noexcept nogil:
        """Remove records that are due, the oldest first, up to the limit; adds their keys to ``reaped``."""
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val row, name
        cdef Slice key
        cdef Frame frame
        cdef int64_t when
        cdef int rc, found
        if reaped.limit == 0 or not self.expiring(txn):
            return 0
        rc = mdb_cursor_open(txn, self.home.expiry, &cursor)
        while rc == 0 and reaped.count < reaped.limit:
            rc = mdb_cursor_get(cursor, &row, &name, MDB_FIRST)
            if rc:
                break
            when = expiry_time(<const char*>row.mv_data)
            if when > now or name.mv_size > LONGEST_KEY or not self.home.holds(&name):
                break
            key.data = <const char*>name.mv_data
            key.size = name.mv_size
            if key_keep(key, reaped.keys + reaped.count * MAX_KEY, &key) == NULL:
                rc = ENOMEM
                break
            rc = mdb_cursor_del(cursor, 0)
            found = self.find(txn, key, &frame, now) if rc == 0 else rc
            if found == 0 and frame.flags & HAS_DEADLINE and frame.deadline + frame.stale == when:
                reaped.tags[reaped.count].data = NULL
                if self.labelled():             # before the erasure: the frame lies on a page that it may change
                    rc = told_tags(&frame, NULL, &reaped.tags[reaped.count])
                if rc == 0 and self.home.budget.on and frame.flags & BORN:
                    rc = order_drop(txn, self.home.budget.table, key, frame.birth)
                if rc == 0:
                    rc = self.erase(txn, key, NULL, CHANGED_EXPIRE)
                reaped.names[reaped.count] = key
                reaped.count += 1
            else:
                key_free(key)
        if cursor != NULL:
            mdb_cursor_close(cursor)
        return 0 if rc == MDB_NOTFOUND else rc

    cdef uint64_t foreign_epoch(self) noexcept nogil:
        cdef uint64_t newest = d43_load(self.home.shown.txn)
        if shown_unsure(newest):
            newest = self.seen_by_reader()
        if newest > d43_load(&self.news.known):
            self.account(newest)
        return d43_load(&self.news.epoch)

    cdef uint64_t seen_by_reader(self) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef uint64_t seen = self.home.last_txn()
        if seen and seen <= d43_load(&self.news.known):      # no reader sees more than the head pages tell
            return seen
        seen = UNSURE
        if handle_try(self.home):
            if self.home.take(&txn) == 0:
                seen = mdb_txn_id(txn)
                self.home.give(txn)
            handle_leave(self.home)
        return seen

    cdef void account(self, uint64_t newest) noexcept nogil:
        """The epoch is raised before that counts as known, so that nobody who finds nothing new finds it as it was.

        It is raised after ``newest`` was looked at, so that whoever finds it raised, in another thread, sees at least
        as much. One of ours is no news; but it counts as ours only when it is known that the commit has not failed,
        since LMDB gives its lock back before it says so, and another process may have taken the number. That is known
        in a moment; if the thread that knows is kept from saying it, the number is taken for another's.
        """
        cdef int turn = 0
        while turn < PATIENCE and d43_load(&self.news.pending) == newest and newest > d43_load(&self.news.known):
            d43_wait(turn)
            turn += 1
        if newest > d43_load(&self.news.known):
            d43_add(&self.news.epoch, 1)
            if not shown_unsure(newest):
                d43_raise_to(&self.news.known, newest)

    cdef int announce(self) except -1:
        """Before each write. What the parent's threads had under way at a fork is under way nowhere in the child."""
        if self.generation != self.home.generation:
            self.generation = self.home.generation
            d43_store(&self.unvoided, 0)
            d43_line_init(&self.line)
        return self.home.announce()

    cdef int open_write(self, MDB_txn** txn) noexcept nogil:
        """Begin, under the writer lock; what others have committed before is accounted for here."""
        cdef uint64_t before
        cdef int rc = mdb_txn_begin(self.home.env, NULL, 0, txn)
        if rc:
            return rc
        before = mdb_txn_id(txn[0]) - 1
        if d43_load(&self.news.known) < before:
            self.account(before)
        if d43_load(&self.home.journal.checked) != before and not self.home.budget.on:     # others have written
            rc = budget_look(txn[0], self.home.meta)
        if rc == 0 and not self.home.chunked and d43_load(&self.home.chunks_at) != before:     # so may large values be
            rc = chunks_look(self.home, txn[0])
        if rc == 0:
            rc = journal_begin(&self.home.journal, txn[0], self.home.meta, self.origin,
                               self.now() if self.home.journal.on else 0)
        if rc:
            mdb_txn_abort(txn[0])
            txn[0] = NULL
        return rc

    cdef int close_write(self, MDB_txn* txn, EventQueue queue, uint64_t events, uint64_t* seq) noexcept nogil:
        """Commit. Numbers for events are taken under the writer lock, so that their order is that of the changes.

        Nothing counts as known of a commit that may still fail: another process may then commit under its number.
        """
        cdef uint64_t id = mdb_txn_id(txn), first = 0, count = 0
        cdef int rc
        if self.home.journal.on:
            rc = journal_end(&self.home.journal, txn)
            if rc:
                mdb_txn_abort(txn)
                return rc
            first = self.home.journal.first
            count = self.home.journal.row_first - first
        if events and queue is not None and queue.active:
            seq[0] = queue.reserve(events)
        d43_add(&self.unvoided, 1)
        d43_store(&self.news.pending, id)
        rc = mdb_txn_commit(txn)
        if rc:
            d43_put_if(&self.news.pending, id, 0)
            d43_add(&self.unvoided, <uint64_t>-1)
        else:
            d43_raise_to(&self.news.known, id)
            d43_raise_to(&self.home.journal.checked, id)
            d43_raise_to(&self.home.chunks_at, id)
            self.home.wrote(id)
            if count:
                self.wrote_changes(first, count)
        return rc

    cdef void wrote_changes(self, uint64_t first, uint64_t count) noexcept nogil:
        """Note changes of ours, which are committed. Of two threads that do so at once, one may be forgotten."""
        cdef uint64_t run = d43_load(&self.own_run), since = run >> 24, length = run & 0xFFFFFF
        if run and since + length == first:
            first = since
            count += length
        if count <= 0xFFFFFF and first >> 40 == 0:
            d43_store(&self.own_run, first << 24 | count)

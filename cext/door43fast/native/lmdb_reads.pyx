"""How records of a store on disk are read: one by one and in blocks, through the key index or down the tree.

A block of keys goes through the index in stages, so that the misses of the processor's caches overlap: hashes and
buckets first, then nodes, then values. What the index does not have is looked for in the tree, level by level for all
of the block, and noted in the index; that a key is not there is noted too.

A single read that the index can answer takes no transaction. LMDB writes to no page that a snapshot S has before the
writer of S + 3 begins, for pages that S + 1 freed; so if the newest snapshot is S or S + 1 after the value was copied,
then nothing that was read changed meanwhile. Nor does it enter the gate: see handle.pyx.
"""

from cpython.object cimport PyObject

from clib.lmdb cimport *
from clib.xxhash cimport XXH128_hash_t, XXH3_128bits_withSeed, XXH3_64bits
from door43fast.native.descent cimport DOWN, HERE, LOST, NOT_HERE, Step, descend, descent_root
from door43fast.native.frame cimport *
from door43fast.native.budget cimport d43_mark
from door43fast.native.handle cimport handle_newest
from door43fast.native.keyindex cimport (GapTable, KeyIndex, KeyTable, LINE, d43_load, d43_prefetch, index_bring,
                                         index_bucket, index_fill, index_gap, index_gaps, index_gone, index_guess,
                                         index_miss, index_near, index_next, index_ready, index_still)
from door43fast.native.keys cimport KEYS_STR
from door43fast.native.lmdb_ahead cimport course_step
from door43fast.native.longkeys cimport record_get
from door43fast.native.longrow cimport LONGEST_KEY, MAX_KEY
from door43fast.native.mapped cimport NODE_HEAD, View, node_of, node_value

cdef extern from "d43_str.h" nogil:
    bint d43_str_plain(PyObject*, const char**, size_t*)

cdef enum:
    AHEAD = 3               # lines of a node that are asked for ahead; the processor goes on by itself


cdef class ReadEngine(RecordEngine):
    """What a store on disk does to find records."""

    cdef object glance(self, Slice key, Frame* frame):
        cdef KeyIndex* x = &self.home.index
        cdef object lifted
        cdef uint64_t id = d43_load(&x.txn)
        cdef Spot seen
        # The table and the map stay where they are while the GIL is held; a new snapshot only makes this in vain.
        if id == 0 or x.table == NULL or self.home.generation != self.home.forks[0] or \
                id != handle_newest(self.home):
            return None
        seen = self.spot(x, id, key, frame)
        if seen == UNKNOWN:
            return None
        if seen == ABSENT:
            lifted = self.absent
        else:
            try:
                lifted = self.lift(frame, NULL)
            except UnicodeDecodeError:      # the page was written to meanwhile; what is so on the disk is found again
                return None
        return lifted if index_still(x, id) and handle_newest(self.home) <= id + 1 else None

    cdef bint sound(self, Slice key, uint64_t hash, uint64_t at, Frame* frame) noexcept nogil:
        """Whether the record of ``key`` is at ``at``; then ``frame`` is its frame."""
        cdef Slice value
        return node_value(&self.home.view, at, key, &value) and \
            frame_read_under(hash, value.data, value.size, frame) == 0

    cdef Spot spot(self, KeyIndex* x, uint64_t id, Slice key, Frame* frame) noexcept nogil:
        """What the index says of ``key``, if that can be said without a transaction."""
        cdef uint64_t hash = XXH3_64bits(key.data, key.size), at = 0
        cdef const KeyTable* t = x.table
        cdef const uint64_t* bucket = index_bucket(t, hash)
        cdef XXH128_hash_t twin
        cdef int way = 0, i
        x.reads += 1
        if t.near != NULL:
            at = index_near(x, t, hash)
            for i in range(AHEAD):
                d43_prefetch(self.home.view.base + at + i * LINE)
        if not (at and self.sound(key, hash, at, frame)):
            # The node is on its way while the stamp of its page is looked at: each of the two may be a miss.
            at = index_guess(bucket, hash)
            for i in range(AHEAD):
                d43_prefetch(self.home.view.base + at + i * LINE)
            at = index_next(x, bucket, hash, &way)
            while at and not self.sound(key, hash, at, frame):
                at = index_next(x, bucket, hash, &way)
            if at == 0:
                if x.gaps == NULL:
                    return UNKNOWN
                twin = XXH3_128bits_withSeed(key.data, key.size, x.secret)
                if not index_gone(x, twin.low64, twin.high64):
                    return UNKNOWN
                frame.state = GONE
                frame.mark = frame.flags = 0
                frame.deadline = frame.stale = 0
                return ABSENT
            if t.near != NULL:
                index_bring(x, id, hash, at)
        if frame.flags & (HAS_TAGS | ZSTD | CHUNKED) or (frame.flags & HAS_DEADLINE and self.now() >= frame.deadline):
            return UNKNOWN
        return SPOTTED

    cdef object fetch(self, object key, Found* found, bint stale):
        cdef Place place
        cdef Frame frame
        cdef MDB_txn* txn
        cdef Py_ssize_t failed
        cdef object owner, lifted
        cdef int rc
        if self.closed:
            self.begin(False)
        if self.mode != KEYS_STR or not d43_str_plain(<PyObject*>key, &place.key.data, &place.key.size) or \
                place.key.size - 1 >= LONGEST_KEY:
            owner = self.slice_key(key, &place.key)
        lifted = self.glance(place.key, &frame)
        if lifted is None:
            txn = self.home.reader()
            try:
                rc = self.find_all(txn, &place, &frame, 1, self.now(), &failed, NULL)
                if rc == 0 and (frame.state == FRESH or (stale and frame.state == STALE)):
                    lifted = self.lift(&frame, txn)
                else:
                    lifted = self.absent
            finally:
                self.home.give(txn)
                self.home.leave()
            if rc:
                self.fault(rc, key)
            if frame.state == GONE:
                frame.flags = 0
                frame.deadline = frame.stale = 0
        if found != NULL:
            found.deadline = frame.deadline
            found.stale = frame.stale
            found.state = frame.state
            found.mark = frame.mark
            found.flags = frame.flags
            found.tagged = (frame.flags & HAS_TAGS) != 0
        if lifted is self.absent:
            return lifted
        if self.home.budget.marks.bits != NULL:
            d43_mark(&self.home.budget.marks, XXH3_64bits(place.key.data, place.key.size))
        return self.settle(frame.mark, lifted)

    cdef uint64_t node_at(self, MDB_txn* txn, Slice key, const MDB_val* value) noexcept nogil:
        """Where in the map the node of ``key`` begins, whose value was found; 0 if it cannot be told."""
        cdef View* v = &self.home.view
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val name, same
        cdef Slice seen
        cdef uint64_t at = node_of(v, key, <const char*>value.mv_data, value.mv_size)
        if at or mdb_cursor_open(txn, self.home.data, &cursor):
            return at
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        if mdb_cursor_get(cursor, &name, &same, MDB_SET_KEY) == 0:      # a large value: the cursor tells of its node
            at = <uint64_t>(<const char*>name.mv_data - v.base) - NODE_HEAD
            if not node_value(v, at, key, &seen) or seen.data != same.mv_data:
                at = 0
        mdb_cursor_close(cursor)
        return at

    cdef uint64_t left_of(self, MDB_txn* txn, Slice key, bint* told) noexcept nogil:
        """The leaf on the left of that in which ``key``, which is not there, would stand first; 0 if there is none."""
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val name, value
        cdef uint64_t page = 0
        cdef int rc
        told[0] = False
        if mdb_cursor_open(txn, self.home.data, &cursor):
            return 0
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE)
        if rc == 0:
            rc = mdb_cursor_get(cursor, &name, &value, MDB_PREV)
            told[0] = rc == 0 or rc == MDB_NOTFOUND
            if rc == 0:
                page = <uint64_t>(<const char*>name.mv_data - self.home.view.base) >> self.home.view.shift
        mdb_cursor_close(cursor)
        return page

    cdef int find_all(self, MDB_txn* txn, const Place* places, Frame* frames, Py_ssize_t n, int64_t now,
                      Py_ssize_t* failed, Course* course) noexcept nogil:
        cdef uint64_t id = mdb_txn_id(txn)
        cdef Py_ssize_t start = 0
        cdef int rc = 0, size
        cdef bint indexed = index_ready(&self.home.index, txn, id, self.home.data, n)
        while start < n:
            size = <int>min(<Py_ssize_t>BLOCK, n - start)
            if course != NULL:
                size = course_step(course, self.home, txn, places + start, size, indexed)
            rc = self.find_block(txn, id, places + start, frames + start, size, now, indexed, failed)
            if rc:
                failed[0] += start
                break
            start += size
        return rc

    cdef int find_block(self, MDB_txn* txn, uint64_t id, const Place* places, Frame* frames, int n, int64_t now,
                        bint indexed, Py_ssize_t* failed) noexcept nogil:
        cdef KeyIndex* x = &self.home.index
        cdef const KeyTable* t = x.table
        cdef const GapTable* gaps
        cdef const uint64_t* buckets[BLOCK]
        cdef uint64_t hashes[BLOCK]
        cdef uint64_t at[BLOCK]
        cdef XXH128_hash_t twins[BLOCK]
        cdef int ways[BLOCK]
        cdef int todo[BLOCK]
        cdef int i, j, rc, missed = 0, left = 0
        for i in range(n):
            hashes[i] = XXH3_64bits(places[i].key.data, places[i].key.size)
            if indexed:
                buckets[i] = index_bucket(t, hashes[i])
                d43_prefetch(buckets[i])
        if indexed:
            for i in range(n):
                ways[i] = 0
                at[i] = index_next(x, buckets[i], hashes[i], &ways[i])
                if at[i]:
                    for j in range(AHEAD):
                        d43_prefetch(self.home.view.base + at[i] + j * LINE)
            for i in range(n):
                while at[i] and not self.sound(places[i].key, hashes[i], at[i], &frames[i]):
                    at[i] = index_next(x, buckets[i], hashes[i], &ways[i])
                if at[i] == 0:
                    todo[missed] = i
                    missed += 1
            gaps = index_gaps(x) if missed else NULL
            if gaps != NULL:
                for j in range(missed):
                    i = todo[j]
                    twins[i] = XXH3_128bits_withSeed(places[i].key.data, places[i].key.size, x.secret)
                    d43_prefetch(index_gap(gaps, twins[i].low64))
                for j in range(missed):
                    i = todo[j]
                    if index_gone(x, twins[i].low64, twins[i].high64):
                        frames[i].state = GONE
                    else:
                        todo[left] = i
                        left += 1
                missed = left
            indexed = index_still(x, id)
        if not indexed:
            missed = n
            for i in range(n):
                todo[i] = i
        if missed:
            rc = self.search(txn, id, places, frames, hashes, todo, missed, indexed, failed)
            if rc:
                return rc
        for i in range(n):
            if frames[i].state == GONE and self.home.doubtful:
                failed[0] = i
                return DOUBTFUL
            if frames[i].state != GONE and frames[i].flags & (HAS_DEADLINE | HAS_TAGS):
                rc = self.judge(txn, &frames[i], now)
                if rc:
                    failed[0] = i
                    return rc
        return 0

    cdef int search(self, MDB_txn* txn, uint64_t id, const Place* places, Frame* frames, const uint64_t* hashes,
                    const int* todo, int n, bint indexed, Py_ssize_t* failed) noexcept nogil:
        cdef View* v = &self.home.view
        cdef KeyIndex* x = &self.home.index
        cdef Step steps[BLOCK]
        cdef uint64_t pages[BLOCK]
        cdef uint64_t next[BLOCK]
        cdef uint64_t found[BLOCK]
        cdef uint64_t names[BLOCK]
        cdef uint64_t lows[BLOCK]
        cdef uint64_t highs[BLOCK]
        cdef uint64_t lefts[BLOCK]
        cdef XXH128_hash_t twin
        cdef MDB_val value
        cdef uint64_t root = 0
        cdef bint told
        cdef int i, j, k, rc, level, filled = 0, absent = 0
        cdef int depth = descent_root(txn, &root) if v.reach else 0
        for j in range(n):
            pages[j] = root
            steps[j] = DOWN if depth and places[todo[j]].key.size <= MAX_KEY else LOST
        for level in range(depth):
            for j in range(n):
                if steps[j] == DOWN:
                    steps[j] = descend(v, pages[j], places[todo[j]].key, &next[j])
                    if steps[j] == LOST and pages[j] >= v.end >> v.shift:       # the file is longer than it was
                        self.home.widen()
                        steps[j] = descend(v, pages[j], places[todo[j]].key, &next[j])
                    if steps[j] == DOWN:
                        pages[j] = next[j]
                        d43_prefetch(v.base + (pages[j] << v.shift))
                    elif steps[j] == HERE:
                        for k in range(AHEAD):
                            d43_prefetch(v.base + next[j] + k * LINE)
        for j in range(n):
            i = todo[j]
            if steps[j] == NOT_HERE:
                frames[i].state = GONE
                told = True
                lefts[absent] = self.left_of(txn, places[i].key, &told) if indexed and next[j] == 0 else 0
                if indexed and told:
                    twin = XXH3_128bits_withSeed(places[i].key.data, places[i].key.size, x.secret)
                    lows[absent], highs[absent] = twin.low64, twin.high64
                    pages[absent] = pages[j]
                    absent += 1
                continue
            if not (steps[j] == HERE and self.sound(places[i].key, hashes[i], next[j], &frames[i])):
                # By LMDB's own search, for what is not laid out as expected, or not in the file as far as known.
                rc = record_get(self.home, txn, places[i].key, &value)
                if rc == MDB_NOTFOUND:
                    frames[i].state = GONE
                    continue
                if rc == 0 and not self.home.holds(&value):
                    rc = FRAME_CORRUPT
                if rc == 0:
                    rc = frame_read(places[i].key, <const char*>value.mv_data, value.mv_size, &frames[i])
                if rc:
                    failed[0] = i
                    return rc
                next[j] = self.node_at(txn, places[i].key, &value) if indexed and places[i].key.size <= MAX_KEY else 0
            names[filled] = hashes[i]
            found[filled] = next[j]
            filled += 1
        if indexed and filled:
            index_fill(x, id, names, found, filled)
        if indexed and absent:
            index_miss(x, id, lows, highs, pages, lefts, absent)
        return 0

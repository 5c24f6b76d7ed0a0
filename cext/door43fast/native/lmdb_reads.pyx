"""How records of a store on disk are read: one by one and in blocks, through the key index or down the tree.

A block of keys goes through the index in stages, so that the misses of the processor's caches overlap: hashes and
buckets first, then nodes, then values. What the index does not have is looked for in the tree and noted in the index.

A single read that the index can answer takes no transaction. LMDB writes to no page that a snapshot S has before the
writer of S + 3 begins, for pages that S + 1 freed; so if the newest snapshot is S or S + 1 after the value was copied,
then nothing that was read changed meanwhile. Nor does it enter the gate, unless it makes text: see handle.pyx.
"""

from cpython.object cimport PyObject

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.frame cimport *
from door43fast.native.handle cimport handle_leave, handle_newest, handle_try
from door43fast.native.keyindex cimport (KeyIndex, LINE, d43_load, d43_prefetch, index_bucket, index_fill, index_guess,
                                         index_next, index_ready, index_still)
from door43fast.native.keys cimport KEYS_STR
from door43fast.native.lmdb_values cimport MAX_KEY
from door43fast.native.mapped cimport NODE_HEAD, View, node_of, node_value

cdef extern from "d43_str.h" nogil:
    bint d43_str_plain(PyObject*, const char**, size_t*)

cdef enum:
    MARK_STR = 1
    AHEAD = 3               # lines of a node that are asked for ahead; the processor goes on by itself


cdef class ReadEngine(RecordEngine):
    """What a store on disk does to find records."""

    cdef object glance(self, Slice key, Frame* frame):
        cdef KeyIndex* x = &self.home.index
        cdef object lifted
        cdef uint64_t id = d43_load(&x.txn)
        # The table and the map stay where they are while the GIL is held; a new snapshot only makes this in vain.
        if id == 0 or x.table == NULL or self.home.generation != self.home.forks[0] or \
                id != handle_newest(self.home) or not self.spot(x, key, frame):
            return None
        if frame.mark != MARK_STR:
            lifted = self.lift(frame)
        elif not handle_try(self.home):     # text that is none has the GIL let go for, in the midst of it
            return None
        else:
            try:
                lifted = self.lift(frame, NULL)
            except UnicodeDecodeError:      # the page was written to meanwhile; what is so on the disk is found again
                lifted = None
            handle_leave(self.home)
        return lifted if index_still(x, id) and handle_newest(self.home) <= id + 1 else None

    cdef bint spot(self, KeyIndex* x, Slice key, Frame* frame) noexcept nogil:
        """Whether the index has a record of ``key`` that needs nothing but its bytes to be handed out."""
        cdef uint64_t hash = XXH3_64bits(key.data, key.size), at
        cdef const uint64_t* bucket = index_bucket(x.table, hash)
        cdef Slice value
        cdef int way = 0, i
        # The node is on its way while the stamp of its page is looked at: each of the two may be a miss of the caches.
        at = index_guess(bucket, hash)
        for i in range(AHEAD):
            d43_prefetch(self.home.view.base + at + i * LINE)
        x.reads += 1
        at = index_next(x, bucket, hash, &way)
        while at and not node_value(&self.home.view, at, key, &value):
            at = index_next(x, bucket, hash, &way)
        return at and frame_read_under(hash, value.data, value.size, frame) == 0 and \
            not frame.flags & (HAS_TAGS | ZSTD | CHUNKED) and \
            not (frame.flags & HAS_DEADLINE and self.now() >= frame.deadline)

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
                place.key.size - 1 >= MAX_KEY:
            owner = self.slice_key(key, &place.key)
        lifted = self.glance(place.key, &frame)
        if lifted is None:
            txn = self.home.reader()
            try:
                rc = self.find_all(txn, &place, &frame, 1, self.now(), &failed)
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

    cdef int find_all(self, MDB_txn* txn, const Place* places, Frame* frames, Py_ssize_t n, int64_t now,
                      Py_ssize_t* failed) noexcept nogil:
        cdef uint64_t id = mdb_txn_id(txn)
        cdef Py_ssize_t start = 0
        cdef int rc = 0
        cdef bint indexed = index_ready(&self.home.index, txn, id, self.home.data, n)
        while start < n:
            rc = self.find_block(txn, id, places + start, frames + start, <int>min(<Py_ssize_t>BLOCK, n - start), now,
                                 indexed, failed)
            if rc:
                failed[0] += start
                break
            start += BLOCK
        return rc

    cdef int find_block(self, MDB_txn* txn, uint64_t id, const Place* places, Frame* frames, int n, int64_t now,
                        bint indexed, Py_ssize_t* failed) noexcept nogil:
        cdef KeyIndex* x = &self.home.index
        cdef const uint64_t* buckets[BLOCK]
        cdef uint64_t hashes[BLOCK]
        cdef uint64_t at[BLOCK]
        cdef int ways[BLOCK]
        cdef MDB_val name, value
        cdef Slice content
        cdef int i, j, rc, missed = 0
        if indexed:
            for i in range(n):
                hashes[i] = XXH3_64bits(places[i].key.data, places[i].key.size)
                buckets[i] = index_bucket(x.table, hashes[i])
                d43_prefetch(buckets[i])
            for i in range(n):
                ways[i] = 0
                at[i] = index_next(x, buckets[i], hashes[i], &ways[i])
                if at[i]:
                    for j in range(AHEAD):
                        d43_prefetch(self.home.view.base + at[i] + j * LINE)
            for i in range(n):
                while at[i]:
                    if node_value(&self.home.view, at[i], places[i].key, &content) and \
                            frame_read_under(hashes[i], content.data, content.size, &frames[i]) == 0:
                        break
                    at[i] = index_next(x, buckets[i], hashes[i], &ways[i])
            indexed = index_still(x, id)
        for i in range(n):
            if indexed and at[i]:
                at[i] = 0               # nothing to note
            else:
                name.mv_data = <void*>places[i].key.data
                name.mv_size = places[i].key.size
                rc = mdb_get(txn, self.home.data, &name, &value)
                if indexed:
                    at[i] = 0
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
                if indexed:
                    at[i] = self.node_at(txn, places[i].key, &value)
                    missed += 1
            if frames[i].flags & (HAS_DEADLINE | HAS_TAGS):
                rc = self.judge(txn, &frames[i], now)
                if rc:
                    failed[0] = i
                    return rc
        if missed:
            index_fill(x, id, hashes, at, n)
        return 0

"""Many records of a store on disk at once: one transaction a call, and the GIL let go for the walk."""

from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.budget cimport d43_mark
from door43fast.native.compression cimport Unpacked
from door43fast.native.core cimport BY_EXPIRY, BY_USER, OP_DELETE, OP_SET, Reason
from door43fast.native.status cimport lmdb_raise
from door43fast.native.frame cimport (Draft, FRAME_CORRUPT, FRAME_NEWER, FRESH, GONE, HAS_TAGS, Frame, REFUSED, Slice,
                                           ZSTD)
from door43fast.native.keys cimport KEYS_INT, KEYS_STR, put_int64
from door43fast.native.journal cimport CHANGED_DELETE, CHANGED_EXPIRE
from door43fast.native.lmdb_ahead cimport course_begin
from door43fast.native.lmdb_order cimport follows
from door43fast.native.lmdb_reads cimport BLOCK, Course
from door43fast.native.longrow cimport MAX_KEY, long_weight
from door43fast.native.told cimport told_tags

cdef extern from "Python.h":
    PyObject* PyList_GET_ITEM(object, Py_ssize_t) noexcept

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef extern from "d43_str.h" nogil:
    Py_hash_t d43_key_hash(PyObject* key, const char* p, Py_ssize_t n) noexcept

cdef extern from "d43_pages.h" nogil:
    void d43_prefetch(const void*)

cdef enum:
    STRETCH = 1024          # records that are found before their values are made into objects
    VALUES_AHEAD = 8


cdef class BatchEngine(ChangeEngine):
    """What a store on disk does to many records."""

    cdef Batch batch_of(self, object keys):
        """The keys of a call: any iterable, or with ``keys="int"`` an int64 array without an object per key."""
        cdef Batch batch = Batch.__new__(Batch)
        cdef const int64_t[:] numbers
        cdef Py_ssize_t i
        if self.mode == KEYS_INT and type(keys).__module__ == "numpy":
            numbers = keys.astype("int64", casting="safe", copy=False)
            batch.reserve(numbers.shape[0])
            batch.numbers = <char*>malloc(batch.count * 8 or 1)
            if batch.numbers == NULL:
                raise MemoryError(f"no memory for a batch of {batch.count} keys")
            with nogil:
                for i in range(batch.count):
                    put_int64(numbers[i], <unsigned char*>batch.numbers + 8 * i)
                    batch.places[i].key.data = batch.numbers + 8 * i
                    batch.places[i].key.size = 8
                    batch.places[i].index = i
            return batch
        if isinstance(keys, (str, bytes)):
            raise TypeError(f"a batch takes an iterable of keys, not the one key {keys!r}: give [{keys!r}]")
        batch.names = list(keys)
        batch.reserve(len(batch.names))
        if self.mode == KEYS_STR and batch.plain():
            return batch
        for i in range(batch.count):
            batch.owners.append(self.slice_key(batch.names[i], &batch.places[i].key))
            batch.places[i].index = i
        return batch

    cdef object key_at(self, Batch batch, Py_ssize_t i):
        """The key at place ``i`` as the caller gave it."""
        if batch.names is not None:
            return batch.names[batch.places[i].index]
        return self.key_of(batch.places[i].key.data, batch.places[i].key.size)

    cdef list fetch_many(self, Batch batch, object default, Found* found):
        cdef Py_ssize_t start, stop, i, n = batch.count
        cdef list out = [default] * n, later = []       # later: places and marks of those that are no values yet
        cdef object lifted
        cdef Unpacked unpacked = Unpacked.__new__(Unpacked)
        cdef Frame* frames = <Frame*>malloc(STRETCH * sizeof(Frame))
        cdef Frame* f
        cdef Course course
        cdef MDB_txn* txn
        cdef int64_t now
        cdef int rc = 0
        if frames == NULL:
            raise MemoryError("no memory for a batch")
        try:
            self.begin(False)
            txn = self.home.reader()
            try:
                now = self.now()
                course_begin(&course, batch.places, batch.places + n)
                for start in range(0, n, STRETCH):
                    stop = min(start + STRETCH, n)
                    with nogil:
                        rc = self.find_all(txn, batch.places + start, frames, stop - start, now, &i, &course)
                        if rc == 0:
                            for i in range(stop - start):
                                if frames[i].state == FRESH and frames[i].flags & ZSTD:
                                    rc = unpacked.take(self.compression, &frames[i])
                                    if rc:
                                        break
                    if rc:
                        i += start
                        break
                    for i in range(start, stop):
                        f = &frames[i - start]
                        if found != NULL:
                            found[i].state = f.state
                        if f.state == GONE:
                            continue
                        if found != NULL:
                            found[i].deadline = f.deadline
                            found[i].stale = f.stale
                            found[i].mark = f.mark
                            found[i].flags = f.flags
                            found[i].tagged = (f.flags & HAS_TAGS) != 0
                        if f.state == FRESH:
                            if self.home.budget.marks.bits != NULL:
                                d43_mark(&self.home.budget.marks,
                                         XXH3_64bits(batch.places[i].key.data, batch.places[i].key.size))
                            lifted = self.lift(f, txn)
                            if not self.settled(f.mark, lifted):
                                later.append(i)
                                later.append(f.mark)
                            out[i] = lifted
                    unpacked.clear()
            finally:
                self.home.follow(txn)
                self.home.give(txn)
                self.home.leave()
        finally:
            free(frames)
        if rc:
            self.fault(rc, self.key_at(batch, i))
        for start in range(0, len(later), 2):
            i = later[start]
            out[i] = self.settle(later[start + 1], out[i])
        return out

    cdef void note_all(self, Batch batch) noexcept:
        cdef Py_ssize_t i
        cdef PyObject* name = NULL
        if self.recording is not None:
            for i in range(batch.count):
                if self.mode == KEYS_STR and batch.names is not None:
                    name = PyList_GET_ITEM(batch.names, i)
                self.recording.put(d43_key_hash(name, batch.places[i].key.data, batch.places[i].key.size))

    def get_many(self, keys, default=None):
        """The values of ``keys`` in their order, at one instant; ``default`` for each that is missing."""
        cdef Batch batch = self.batch_of(keys)
        cdef list out = self.fetch_many(batch, self.absent, NULL)
        cdef Py_ssize_t i, missed = 0
        for i in range(batch.count):
            if out[i] is self.absent:
                out[i] = default
                missed += 1
        self.note_all(batch)
        self.misses += missed
        self.hits += batch.count - missed
        return out

    def contains_many(self, keys):
        """For each of ``keys`` whether it has a value."""
        cdef Batch batch = self.batch_of(keys)
        cdef list out = []
        cdef Frame frames[BLOCK]
        cdef Course course
        cdef MDB_txn* txn
        cdef char* alive = <char*>calloc(batch.count or 1, 1)
        cdef int64_t now
        cdef int rc = 0
        cdef Py_ssize_t i = 0, start, n
        if alive == NULL:
            raise MemoryError("no memory for a batch")
        try:
            self.begin(False)
            txn = self.home.reader()
            with nogil:
                now = self.now()
                course_begin(&course, batch.places, batch.places + batch.count)
                start = 0
                while start < batch.count:
                    n = min(<Py_ssize_t>BLOCK, batch.count - start)
                    rc = self.find_all(txn, batch.places + start, frames, n, now, &i, &course)
                    if rc:
                        i += start
                        break
                    for i in range(n):
                        alive[start + i] = frames[i].state == FRESH
                    start += n
                self.home.give(txn)
                self.home.leave()
            if rc:
                self.fault(rc, self.key_at(batch, i))
            for i in range(batch.count):
                out.append(alive[i] != 0)
        finally:
            free(alive)
        return out

    # Writing

    cdef int apply_many(self, Batch batch, bint erase, EventQueue queue, char* alive, uint64_t* seq,
                        Py_ssize_t* existed) noexcept nogil:
        """All of a batch in one transaction. REQUIRES: entered. ``alive`` tells, by place, what was erased."""
        cdef MDB_txn* txn = NULL
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val name, value
        cdef const Draft* draft
        cdef Slice key
        cdef Frame old
        cdef char last[MAX_KEY]
        cdef Py_ssize_t i, touched = 0, n = batch.count
        cdef int64_t now
        cdef unsigned int order = 0
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        now = self.now()
        existed[0] = 0
        if not erase:
            rc = mdb_cursor_open(txn, self.home.data, &cursor)
            if rc == 0:
                rc = mdb_cursor_get(cursor, &name, &value, MDB_LAST)
            if rc == 0:
                memcpy(last, name.mv_data, min(name.mv_size, <size_t>MAX_KEY))
            elif rc == MDB_NOTFOUND:
                name.mv_size = 0
                rc = 0
        for i in range(0 if rc else n):
            key = batch.places[i].key
            if not erase:
                if i + 2 * VALUES_AHEAD < n:
                    d43_prefetch(&batch.drafts[batch.places[i + 2 * VALUES_AHEAD].index])
                    d43_prefetch(batch.places[i + 2 * VALUES_AHEAD].key.data)
                if i + VALUES_AHEAD < n:
                    draft = &batch.drafts[batch.places[i + VALUES_AHEAD].index]
                    d43_prefetch(draft.payload.data)
                    d43_prefetch(draft.payload.data + 64)
                    d43_prefetch(draft.payload.data + 128)
                if order == 0 and key.size <= MAX_KEY and follows(last, name.mv_size, key):
                    order = MDB_APPEND          # and so are all short ones that follow
                draft = &batch.drafts[batch.places[i].index]
                rc = 0 if batch.told == NULL else self.note_tags(txn, key, draft, now, &batch.told[i])
                if rc == 0:
                    rc = self.put(txn, cursor, order if key.size <= MAX_KEY else 0, key, draft)
            else:
                alive[i] = 0
                self.void_elsewhere(key)
                rc = self.find(txn, key, &old, now)
                if rc == MDB_NOTFOUND:
                    rc = 0
                    continue
                if rc == FRAME_CORRUPT:
                    old.flags = 0               # a damaged record can be deleted
                    old.state = FRESH
                    rc = 0
                if rc == 0 and batch.told != NULL:
                    rc = told_tags(&old, NULL, &batch.told[i])
                if rc == 0:
                    alive[i] = old.state == FRESH
                    existed[0] += alive[i]
                    rc = self.erase(txn, key, &old, CHANGED_DELETE if alive[i] else CHANGED_EXPIRE)
            if rc:
                break
            touched += 1
        if cursor != NULL:
            mdb_cursor_close(cursor)
        if rc:
            mdb_txn_abort(txn)
            return rc
        if touched == 0:
            mdb_txn_abort(txn)
            return REFUSED
        return self.close_write(txn, queue, existed[0] if erase else batch.count, seq)

    cdef Py_ssize_t write_many(self, Batch batch, bint erase, int reason, object values) except -1:
        """Write or erase a batch, with every remedy there is, and tell of it; how many were erased alive."""
        cdef EventQueue queue
        cdef uint64_t seq = 0
        cdef Py_ssize_t i, at, existed = 0
        cdef size_t size, need = 0, largest = 0
        cdef int rc, synced = 0
        cdef char* alive
        self.begin(True)
        batch.arrange()
        if batch.count == 0:
            return 0
        alive = <char*>calloc(batch.count, 1)
        if alive == NULL:
            raise MemoryError("no memory for a batch")
        try:
            if not erase:
                for i in range(batch.count):
                    size = batch.drafts[batch.places[i].index].payload.size
                    need += size + batch.places[i].key.size + long_weight(batch.places[i].key.size) + 64
                    largest = max(largest, size)
                if self.home.budget.on:
                    self.room_for(batch.count, need, largest, "a batch")
            while True:
                queue = self.events
                seq = 0
                batch.listen(self.labelled())
                self.home.enter()
                try:
                    self.announce()
                    with nogil:
                        rc = self.apply_many(batch, erase, queue, alive, &seq, &existed)
                        if rc == 0:
                            synced = self.home.committed(False)
                finally:
                    self.home.leave()
                if rc == 0 or rc == REFUSED:
                    break
                if seq:
                    queue.cancel(seq, existed if erase else batch.count)
                    queue.drain()
                if rc == FRAME_NEWER:
                    self.fault(rc, batch.names)
                self.remedy(rc, need, "writing a batch to", self.home.path)
            if self.flights:
                for i in range(batch.count):
                    self.void_flight(PyBytes_FromStringAndSize(batch.places[i].key.data, batch.places[i].key.size))
            if rc == 0:
                d43_add(&self.unvoided, <uint64_t>-1)
            if seq:
                for at, i in enumerate(sorted([i for i in range(batch.count) if alive[i] or not erase],
                                              key=lambda i: batch.places[i].index)):
                    queue.fill(seq + at, OP_DELETE if erase else OP_SET, <Reason>reason, self.key_at(batch, i),
                               None if erase else values[batch.places[i].index], batch.labels(i))
        finally:
            free(alive)
            if seq:             # what could not be told of, such as a packed value that was spoilt, holds nobody up
                queue.cancel(seq, existed if erase else batch.count)
        if queue is not None:
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return existed

    def set_many(self, items, *, ttl=None):
        """Set all of ``items``, a mapping or pairs, in one transaction: all or nothing. The last of equal keys wins."""
        cdef Batch batch
        cdef list values
        cdef Py_ssize_t i
        cdef int64_t deadline
        self.begin(True)
        deadline = self.deadline_of(ttl)
        batch, values = self._pairs(items)
        if deadline < 0:
            self.expirations += self.write_many(batch, True, BY_EXPIRY, None)
            return
        for i in range(batch.count):
            owner = self.draft_value(values[i], &batch.drafts[i])
            if owner is not values[i]:
                batch.owners.append(owner)
            batch.drafts[i].deadline = deadline
        batch.pack(self.compression)
        self.write_many(batch, False, BY_USER, values)
        self.sets += batch.count

    def _pairs(self, items):
        """The keys of ``items`` as a batch to be written, and their values."""
        cdef Batch batch
        cdef list names = [], values = []
        cdef PyObject* name = NULL
        cdef PyObject* held = NULL
        cdef Py_ssize_t at = 0
        if type(items) is dict:             # nobody's code runs meanwhile, so it is of one instant
            while PyDict_Next(items, &at, &name, &held):
                names.append(<object>name)
                values.append(<object>held)
            items = ()
        for pair in (items.items() if hasattr(items, "items") else items):
            try:
                key, value = pair
            except (TypeError, ValueError):
                raise TypeError(f"set_many takes a mapping or pairs of key and value, not {pair!r} among "
                                "them") from None
            names.append(key)
            values.append(value)
        batch = self.batch_of(names)
        batch.draft()
        return batch, values

    def delete_many(self, keys):
        """Delete ``keys`` in one transaction; returns how many had a value."""
        cdef Py_ssize_t existed
        self.begin(True)
        existed = self.write_many(self.batch_of(keys), True, BY_USER, None)
        self.deletes += existed
        return existed

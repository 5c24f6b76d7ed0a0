"""Single records of a store on disk: keys and values to bytes and back, and one change at a time.

A read keeps the GIL (it takes less than a microsecond) and stays inside the gate while it looks at the map. A write
is described by a Job, which is applied without the GIL in one transaction: nothing that can run Python code happens
between the begin and the end of a transaction. What a change does to Python (events, flights, decoding) comes after.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.errno cimport ENOMEM
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from clib.lmdb cimport *
from clib.zstd cimport *
from door43fast.native.clock cimport MANUAL, MONOTONIC, WALL, d43_monotonic_ns, d43_wall_ns, span_ns
from door43fast.native.core cimport BY_EXPIRY, BY_USER, OP_DELETE, OP_SET
from door43fast.native.environment cimport lmdb_raise
from door43fast.native.expiry cimport EXPIRY_KEY, expiry_key, expiry_time
from door43fast.native.frame cimport *
from door43fast.native.keys cimport KEYS_STR

from door43fast.contracts import RAW, STR
from door43fast.errors import ClosedError, CorruptError, FormatError, KeyTooLongError, ReadOnlyError

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object)
    bint PyUnicode_Check(object)
    bint PyBytes_CheckExact(object)

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)
    void d43_store(uint64_t*, uint64_t)
    uint64_t d43_add(uint64_t*, uint64_t)
    bint d43_raise_to(uint64_t*, uint64_t)

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int)

cdef enum:
    MARK_RAW = 0
    MARK_STR = 1
    LEVEL = 3               # of zstd
    LEAST_PACKED = 64       # bytes below which compression never pays for its size field

assert (RAW, STR) == (MARK_RAW, MARK_STR)


cdef class RecordEngine(Core):
    """What a store on disk does to one record."""

    def __dealloc__(self):
        ZSTD_freeCCtx(self.packer)
        ZSTD_freeDCtx(self.unpacker)

    # Keys and values

    cdef object slice_key(self, object key, Slice* out):
        """Point ``out`` to the bytes of ``key``; they live as long as the object that is returned."""
        cdef Py_ssize_t size
        cdef object owner = key
        if self.mode == KEYS_STR and PyUnicode_CheckExact(key):
            try:
                out.data = PyUnicode_AsUTF8AndSize(key, &size)
            except UnicodeEncodeError:
                raise ValueError(f"a key {key!r} holds a lone surrogate, which UTF-8 cannot hold") from None
        else:
            owner = self.key_codec.encode(key)
            out.data = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
        if size == 0:
            raise ValueError(f"the key {key!r} is empty; a key needs at least one character or byte")
        if size > MAX_KEY:
            raise KeyTooLongError(f"the key {str(repr(key))[:60]}... is {size} bytes long; this store holds keys of up "
                                  f"to {MAX_KEY} bytes: shorten it, for example by a hash of its tail")
        out.size = size
        return owner

    cdef object key_of(self, const char* data, size_t size):
        if self.mode == KEYS_STR:
            return PyUnicode_DecodeUTF8(data, size, NULL)
        return self.key_codec.decode(PyBytes_FromStringAndSize(data, size))

    cdef object draft_value(self, object value, Draft* draft):
        """Fill payload, mark and compression of ``draft``; they live as long as the object that is returned."""
        cdef Py_ssize_t size = 0
        cdef object owner = value, packed
        cdef size_t bound, made
        if self.native_values and PyBytes_CheckExact(value):
            draft.mark = MARK_RAW
        elif self.native_values and PyUnicode_CheckExact(value):
            draft.mark = MARK_STR
            try:
                draft.payload.data = PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:
                owner = (<str>value).encode("utf-8", "surrogatepass")
        else:
            mark, owner = self.codec.encode(value)
            draft.mark = mark
        if PyBytes_CheckExact(owner):
            draft.payload.data = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
        draft.payload.size = size
        if self.compress and LEAST_PACKED <= <uint64_t>size <= LARGEST_PACKED:
            bound = ZSTD_compressBound(size)
            packed = PyBytes_FromStringAndSize(NULL, bound)
            made = ZSTD_compressCCtx(self.packer, PyBytes_AS_STRING(packed), bound, draft.payload.data, size, LEVEL)
            if not ZSTD_isError(made) and made + 8 < <size_t>size:
                draft.original = size
                draft.flags |= ZSTD
                draft.payload.data = PyBytes_AS_STRING(packed)
                draft.payload.size = made
                return packed
        return owner

    cdef object lift(self, const Frame* frame):
        """The payload as bytes or str, out of the map: no Python code runs here. REQUIRES: entered, or a copy."""
        cdef object plain
        cdef size_t made
        if frame.flags & ZSTD:
            if frame.original > LARGEST_PACKED or ZSTD_getFrameContentSize(
                    frame.payload.data, frame.payload.size) != frame.original:
                raise CorruptError("a compressed value does not say the size that its frame says; run verify()")
            plain = PyBytes_FromStringAndSize(NULL, frame.original)
            made = ZSTD_decompressDCtx(self.unpacker, PyBytes_AS_STRING(plain), frame.original, frame.payload.data,
                                       frame.payload.size)
            if ZSTD_isError(made) or made != frame.original:
                raise CorruptError("a compressed value cannot be decompressed; run verify()")
            if frame.mark == MARK_STR and self.native_values:
                return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(plain), made, "surrogatepass")
            return plain
        if frame.mark == MARK_STR and self.native_values:
            return PyUnicode_DecodeUTF8(frame.payload.data, frame.payload.size, "surrogatepass")
        return PyBytes_FromStringAndSize(frame.payload.data, frame.payload.size)

    cdef object settle(self, uint8_t mark, object lifted):
        """What was lifted as the value it stands for. May run Python code: no transaction may be open."""
        if self.native_values and mark <= MARK_STR:
            return lifted
        return self.codec.decode(mark, lifted)

    cdef int64_t deadline_of(self, object ttl) except -2:
        """Nanoseconds of the store's clock; 0 for no expiry, -1 for expired at once."""
        cdef int64_t span
        if ttl is None:
            if self.default_ttl < 0:
                return 0
            span = self.default_ttl
        else:
            span = span_ns(ttl, "ttl")
        return self.now() + span if span else -1

    cdef bytes tag_hashes(self, object tags):
        """16 bytes for each tag, or None for none."""
        cdef bytes text
        cdef XXH128_canonical_t hash
        cdef list hashes
        if tags is None or (type(tags) is tuple and not tags):
            return None
        if isinstance(tags, (str, bytes)):
            raise TypeError(f"tags={tags!r} is one text; give a tuple or list of tags: tags=({tags!r},)")
        hashes = []
        for tag in tags:
            if not isinstance(tag, str):
                raise TypeError(f"a tag is a str, not {type(tag).__name__}: {tag!r}")
            text = (<str>tag).encode("utf-8", "surrogatepass")
            XXH128_canonicalFromHash(&hash, XXH3_128bits(<const char*>text, len(text)))
            hashes.append(PyBytes_FromStringAndSize(<char*>hash.digest, TAG_HASH))
        if len(hashes) > 255:
            raise ValueError(f"a record carries at most 255 tags, not {len(hashes)}")
        return b"".join(hashes) or None

    cdef int fault(self, int rc, object key) except -1:
        """The exception for a status of a read."""
        if rc == FRAME_CORRUPT:
            raise CorruptError(f"the record {key!r} in {self.home.path} does not match its checksum; its bytes were not "
                               "returned. Run verify() to see what else is damaged, and restore or set it anew")
        if rc == FRAME_NEWER:
            raise FormatError(f"the record {key!r} in {self.home.path} was written by a newer door43fast; upgrade it")
        return lmdb_raise(rc, "reading the key", key)

    cdef int64_t now(self) noexcept nogil:
        if self.clock.kind == WALL:
            return d43_wall_ns()
        return self.clock.cell if self.clock.kind == MANUAL else d43_monotonic_ns()

    cdef int begin(self, bint writing) except -1:
        if self.closed:
            raise ClosedError(f"the store {self.plan['path']} is closed; open it again")
        if writing and self.readonly:
            raise ReadOnlyError(f"the store {self.plan['path']} was opened with readonly=True; open it without, to write")
        return 0

    # Reading

    cdef int judge(self, MDB_txn* txn, Frame* frame, int64_t now) noexcept nogil:
        """Fill the state of ``frame``: its deadline against ``now``, its tags against their generations."""
        cdef MDB_val name, value
        cdef uint64_t carried, current
        cdef int i, rc
        frame.state = FRESH
        if frame.flags & HAS_DEADLINE and now >= frame.deadline:
            frame.state = STALE if now < frame.deadline + frame.stale else EXPIRED
        for i in range(frame.tag_count):
            name.mv_data = <void*>(frame.tags + i * TAG_SIZE)
            name.mv_size = TAG_HASH
            memcpy(&carried, frame.tags + i * TAG_SIZE + TAG_HASH, 8)
            current = 0
            rc = mdb_get(txn, self.home.tags, &name, &value)
            if rc == 0:
                memcpy(&current, value.mv_data, 8)
            elif rc != MDB_NOTFOUND:
                return rc
            if current != carried:
                frame.state = INVALID
                return 0
        return 0

    cdef int find(self, MDB_txn* txn, Slice key, Frame* frame, int64_t now) noexcept nogil:
        cdef MDB_val name, value
        cdef int rc
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        rc = mdb_get(txn, self.home.data, &name, &value)
        if rc:
            return rc
        rc = frame_read(key, <const char*>value.mv_data, value.mv_size, frame)
        if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
            rc = self.judge(txn, frame, now)
        return rc

    cdef object fetch(self, object key, Found* found, bint stale):
        cdef Slice name
        cdef Frame frame
        cdef MDB_txn* txn
        cdef object owner, lifted
        cdef int rc
        self.begin(False)
        owner = self.slice_key(key, &name)
        txn = self.home.reader()
        try:
            rc = self.find(txn, name, &frame, self.now())
            if rc == 0 and (frame.state == FRESH or (stale and frame.state == STALE)):
                lifted = self.lift(&frame)
            else:
                lifted = self.absent
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc == MDB_NOTFOUND:
            frame.state = GONE
            frame.flags = 0
            frame.deadline = frame.stale = 0
        elif rc:
            self.fault(rc, key)
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

    # Writing: what happens inside a transaction

    cdef bint expiring(self, MDB_txn* txn) noexcept nogil:
        """Whether any record has a deadline: while none has, nobody needs to look for rows to remove."""
        cdef MDB_stat stat
        return mdb_stat(txn, self.home.expiry, &stat) != 0 or stat.ms_entries != 0

    cdef int put(self, MDB_txn* txn, Slice key, const Draft* draft) noexcept nogil:
        cdef MDB_val name, value, row, tag, generation
        cdef Frame old
        cdef char due[EXPIRY_KEY]
        cdef char* at
        cdef uint64_t current
        cdef int rc, i
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        if self.expiring(txn):
            rc = mdb_get(txn, self.home.data, &name, &value)
            if rc == 0 and frame_read(key, <const char*>value.mv_data, value.mv_size, &old) == 0 and \
                    old.flags & HAS_DEADLINE and old.deadline + old.stale != draft.deadline + draft.stale:
                expiry_key(key, old.deadline + old.stale, due)
                row.mv_data = due
                row.mv_size = EXPIRY_KEY
                rc = mdb_del(txn, self.home.expiry, &row, NULL)
            if rc and rc != MDB_NOTFOUND:
                return rc
        if draft.deadline:
            expiry_key(key, draft.deadline + draft.stale, due)
            row.mv_data = due
            row.mv_size = EXPIRY_KEY
            name.mv_data = <void*>key.data
            rc = mdb_put(txn, self.home.expiry, &row, &name, 0)
            if rc:
                return rc
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        value.mv_data = NULL
        value.mv_size = frame_size(draft)
        # What is reserved is good until the next change of this transaction; reading the tags changes nothing.
        rc = mdb_put(txn, self.home.data, &name, &value, MDB_RESERVE)
        if rc:
            return rc
        at = frame_head(draft, <char*>value.mv_data)
        if draft.settled:
            memcpy(at, draft.tags, <size_t>draft.tag_count * TAG_SIZE)
            at += <size_t>draft.tag_count * TAG_SIZE
        else:
            for i in range(draft.tag_count):
                tag.mv_data = <void*>(draft.tags + i * TAG_HASH)
                tag.mv_size = TAG_HASH
                current = 0
                rc = mdb_get(txn, self.home.tags, &tag, &generation)
                if rc == 0:
                    memcpy(&current, generation.mv_data, 8)
                elif rc != MDB_NOTFOUND:
                    return rc
                memcpy(at, draft.tags + i * TAG_HASH, TAG_HASH)
                memcpy(at + TAG_HASH, &current, 8)
                at += TAG_SIZE
        frame_seal(key, draft, <char*>value.mv_data, value.mv_size, at)
        return 0

    cdef int erase(self, MDB_txn* txn, Slice key, const Frame* old) noexcept nogil:
        """Remove a record, and its row in the table of deadlines if ``old`` says that it has one."""
        cdef MDB_val name, row
        cdef char due[EXPIRY_KEY]
        cdef int rc
        if old != NULL and old.flags & HAS_DEADLINE:
            expiry_key(key, old.deadline + old.stale, due)
            row.mv_data = due
            row.mv_size = EXPIRY_KEY
            rc = mdb_del(txn, self.home.expiry, &row, NULL)
            if rc and rc != MDB_NOTFOUND:
                return rc
        name.mv_data = <void*>key.data
        name.mv_size = key.size
        return mdb_del(txn, self.home.data, &name, NULL)

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
            if when > now or name.mv_size > MAX_KEY:
                break
            key.data = reaped.keys + reaped.count * MAX_KEY
            key.size = name.mv_size
            memcpy(<void*>key.data, name.mv_data, name.mv_size)
            rc = mdb_cursor_del(cursor, 0)
            if rc:
                break
            found = self.find(txn, key, &frame, now)
            if found == 0 and frame.flags & HAS_DEADLINE and frame.deadline + frame.stale == when:
                rc = self.erase(txn, key, NULL)
                reaped.sizes[reaped.count] = <uint16_t>key.size
                reaped.count += 1
        if cursor != NULL:
            mdb_cursor_close(cursor)
        return 0 if rc == MDB_NOTFOUND else rc

    cdef uint64_t foreign_epoch(self) noexcept nogil:
        if d43_raise_to(&self.known, self.home.last_txn()):
            return d43_add(&self.epoch, 1)
        return d43_load(&self.epoch)

    cdef int open_write(self, MDB_txn** txn) noexcept nogil:
        """Begin, under the writer lock; what others have committed before is accounted for here."""
        cdef int rc = mdb_txn_begin(self.home.env, NULL, 0, txn)
        if rc == 0 and d43_raise_to(&self.known, mdb_txn_id(txn[0]) - 1):
            d43_add(&self.epoch, 1)
        return rc

    cdef int close_write(self, MDB_txn* txn, EventQueue queue, uint64_t events, uint64_t* seq) noexcept nogil:
        """Commit. Numbers for events are taken under the writer lock, so that their order is that of the changes."""
        cdef uint64_t id = mdb_txn_id(txn)
        cdef int rc
        if events and queue is not None and queue.active:
            seq[0] = queue.reserve(events)
        d43_add(&self.unvoided, 1)
        d43_raise_to(&self.known, id)
        rc = mdb_txn_commit(txn)
        if rc:
            d43_add(&self.unvoided, <uint64_t>-1)
            d43_store(&self.known, id - 1)
            d43_add(&self.epoch, 1)
        return rc

    cdef int apply(self, Job* job, EventQueue queue) noexcept nogil:
        """One job in one transaction. REQUIRES: entered. REFUSED, with nothing written, if its condition is unmet."""
        cdef MDB_txn* txn = NULL
        cdef Frame old
        cdef char token[TOKEN]
        cdef Draft kept
        cdef char* copy = NULL
        cdef bint changed = False
        cdef int64_t now
        cdef int rc = self.open_write(&txn), found = MDB_NOTFOUND
        if rc:
            return rc
        job.existed = False
        job.reaped.count = 0
        now = self.now()
        rc = self.reap(txn, now, &job.reaped)
        if rc == 0 and job.verb != PUT:
            found = self.find(txn, job.key, &old, now)
            job.existed = found == 0 and old.state == FRESH
            if found == FRAME_CORRUPT and job.verb == ERASE:
                old.flags = 0               # a damaged record can be deleted
                job.existed = not job.take
            elif found and found != MDB_NOTFOUND:
                rc = found
        if rc == 0:
            if job.verb == PUT_NEW:
                rc = REFUSED if job.existed else 0
            elif job.verb == PUT_SAME or (job.verb == PUT_FLIGHT and job.guarded):
                if job.existed:
                    frame_token(&old, token)
                    rc = 0 if job.token != NULL and memcmp(token, job.token, TOKEN) == 0 else REFUSED
                elif job.token != NULL:
                    rc = REFUSED
            elif job.verb == TOUCH:
                rc = 0 if job.existed else REFUSED
            elif job.verb == ERASE:
                rc = REFUSED if found == MDB_NOTFOUND else 0
        if rc == 0 and job.verb == PUT_FLIGHT:
            job.busy = d43_load(&self.unvoided) != 0
            rc = REFUSED if job.busy or job.voided[0] else 0
        if rc == 0:
            changed = True
            if job.verb == ERASE:
                if job.take and job.existed:
                    rc = _keep(&old, &job.taken)
                if rc == 0:
                    rc = self.erase(txn, job.key, &old)
            elif job.verb == TOUCH:
                kept.mark = old.mark
                kept.flags = old.flags
                kept.original = old.original
                kept.deadline = job.draft.deadline
                kept.stale = old.stale if kept.deadline else 0
                kept.tag_count = old.tag_count
                kept.settled = True
                # The old frame lies on a page that the put may change.
                copy = <char*>malloc(old.whole.size)
                if copy == NULL:
                    rc = ENOMEM
                else:
                    memcpy(copy, old.whole.data, old.whole.size)
                    kept.tags = copy + (old.tags - old.whole.data) if old.tag_count else NULL
                    kept.payload.data = copy + (old.payload.data - old.whole.data)
                    kept.payload.size = old.payload.size
                    rc = self.put(txn, job.key, &kept)
                    free(copy)
            else:
                rc = self.put(txn, job.key, &job.draft)
        if rc and not (rc == REFUSED and job.reaped.count):
            mdb_txn_abort(txn)
            job.reaped.count = 0
            return rc
        job.events = job.reaped.count + (changed and (job.verb != ERASE or job.existed) and job.verb != TOUCH)
        found = self.close_write(txn, queue, job.events, &job.seq)
        return found if found else rc

    # Writing: before and after the transaction

    cdef int told(self, Job* job, object key, object value, Op op, Reason reason) except -1:
        """Fill the places that the job has reserved for its events."""
        cdef int i
        cdef EventQueue queue = self.events
        if job.seq == 0:
            return 0
        for i in range(job.reaped.count):
            queue.fill(job.seq + i, OP_DELETE, BY_EXPIRY,
                       self.key_of(job.reaped.keys + i * MAX_KEY, job.reaped.sizes[i]), None)
        if job.events > <uint64_t>job.reaped.count:
            queue.fill(job.seq + job.reaped.count, op, reason, key, value)
        return 0

    cdef bint perform(self, Job* job, object key, object value, Op op, Reason reason) except -1:
        """Apply a job, with every remedy there is, and tell of it. False if its condition was unmet."""
        cdef EventQueue queue
        cdef char keys[FEW * MAX_KEY]
        cdef uint16_t sizes[FEW]
        cdef int rc, synced = 0
        job.reaped.keys = keys
        job.reaped.sizes = sizes
        job.reaped.limit = FEW
        job.taken.data = NULL
        while True:
            queue = self.events
            job.seq = 0
            self.home.enter()
            try:
                self.home.announce()
                with nogil:
                    rc = self.apply(job, queue)
                    if rc == 0:
                        synced = self.home.committed(job.durable)
            finally:
                self.home.leave()
            if rc == 0 or rc == REFUSED:
                break
            if job.seq:
                queue.cancel(job.seq, job.events)
                queue.drain()
            free(<void*>job.taken.data)
            job.taken.data = NULL
            if rc == FRAME_CORRUPT or rc == FRAME_NEWER:
                self.fault(rc, key)
            self.home.recover(rc, job.draft.payload.size + MAX_KEY, "writing the key", key)
        if rc == 0 or job.reaped.count:
            self.expirations += job.reaped.count
            if rc == 0:
                self.void_flight(key)
            d43_add(&self.unvoided, <uint64_t>-1)
            self.told(job, key, value, op, reason)
            if queue is not None:
                queue.drain()
        if synced:
            lmdb_raise(synced, "syncing the key", key)
        return rc == 0

    cdef bint store(self, object key, object value, Verb verb, int64_t deadline, int64_t stale, bytes tags, bint pin,
                    bint durable, bytes token, Flight flight) except -1:
        cdef Job job
        cdef object name, owner
        self.begin(True)
        memset(&job, 0, sizeof(Job))
        name = self.slice_key(key, &job.key)
        if deadline < 0:
            return self.remove(key, BY_EXPIRY)
        owner = self.draft_value(value, &job.draft)
        job.verb = verb
        job.draft.deadline = deadline
        job.draft.stale = stale if deadline else 0
        job.draft.flags |= PINNED if pin else 0
        job.durable = durable
        if tags is not None:
            job.draft.tags = PyBytes_AS_STRING(tags)
            job.draft.settled = verb == PUT_SAME
            job.draft.tag_count = <uint8_t>(PyBytes_GET_SIZE(tags) // (TAG_SIZE if verb == PUT_SAME else TAG_HASH))
        if token is not None and PyBytes_GET_SIZE(token):
            job.token = PyBytes_AS_STRING(token)
        if flight is not None:
            job.voided = &flight.voided
            job.guarded = token is not None
        while not self.perform(&job, key, value, OP_SET, BY_USER):
            if not job.busy or flight.voided:
                return False
            with nogil:         # a change of ours is committed, and its thread is about to void what it must
                usleep(50)
            job.busy = False
        self.sets += 1
        return True

    cdef bint remove(self, object key, Reason reason) except -1:
        cdef Job job
        cdef object name
        self.begin(True)
        memset(&job, 0, sizeof(Job))
        name = self.slice_key(key, &job.key)
        job.verb = ERASE
        self.perform(&job, key, None, OP_DELETE, reason)
        if job.existed:
            if reason == BY_EXPIRY:
                self.expirations += 1
            else:
                self.deletes += 1
        else:
            self.void_flight(key)
        return job.existed


cdef int _keep(const Frame* frame, Slice* out) noexcept nogil:
    """A copy of a whole frame that outlives the transaction."""
    cdef char* copy = <char*>malloc(frame.whole.size)
    if copy == NULL:
        return ENOMEM
    memcpy(copy, frame.whole.data, frame.whole.size)
    out.data = copy
    out.size = frame.whole.size
    return 0

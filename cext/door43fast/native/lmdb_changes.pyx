"""One change of one record: applied with every remedy there is, and told of.

A change is described by a Job, which is applied without the GIL (lmdb_groups.pyx). What it does to Python (events,
flights, the release of objects) comes after.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free
from libc.string cimport memset

from clib.lmdb cimport MDB_NOTFOUND, MDB_txn
from door43fast.native.core cimport BY_EXPIRY, BY_USER, EventQueue, OP_DELETE, OP_SET
from door43fast.native.environment cimport COMMIT
from door43fast.native.frame cimport (FRAME_CORRUPT, FRAME_NEWER, FRESH, Frame, NAMED, NAMES_SIZE, PINNED, REFUSED,
                                      Slice, TAG_SIZE, draft_carry)
from door43fast.native.handle cimport handle_sure
from door43fast.native.lmdb_records cimport ERASE, FEW, PUT_SAME, reaped_clear
from door43fast.native.lmdb_room cimport FRAME_ROOM
from door43fast.native.longrow cimport MAX_KEY, long_weight
from door43fast.native.marks cimport Mark
from door43fast.native.status cimport lmdb_raise
from door43fast.native.told cimport told_free, told_labels

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int)


cdef bytes carried(const Frame* frame):
    cdef bytes hashes = PyBytes_FromStringAndSize(frame.tags, frame.tag_count * TAG_SIZE)
    cdef bytes names = b""
    if frame.flags & NAMED:
        names = PyBytes_FromStringAndSize(frame.names.data, frame.names.size)
    return hashes + names + PyBytes_FromStringAndSize(<const char*>&frame.tag_count, 1)


cdef tuple _named(bytes names):
    """The tags whose names stand at the end of a frame."""
    cdef list tags = []
    cdef Py_ssize_t at = 0, size
    while at < len(names):
        size = int.from_bytes(names[at:at + NAMES_SIZE], "little")
        at += NAMES_SIZE + size
        tags.append(names[at - size:at].decode("utf-8", "surrogatepass"))
    return tuple(tags)


cdef class ChangeEngine(GroupEngine):
    """What a store on disk does to one record, as Python sees it."""

    def _tags_of(self, keys):
        """For each of ``keys`` the tags that its record carries; None where that was written without their names."""
        return [self._tags_of_one(key) for key in list(keys)]

    cdef object _tags_of_one(self, object key):
        cdef Slice name
        cdef Frame frame
        cdef MDB_txn* txn
        cdef object owner
        cdef bytes names = b""
        cdef int rc
        self.begin(False)
        owner = self.slice_key(key, &name)
        txn = self.home.reader()
        try:
            rc = handle_sure(self.home, self.find(txn, name, &frame, self.now()))
            if rc == 0 and frame.state == FRESH and frame.tag_count:
                if frame.flags & NAMED:
                    names = PyBytes_FromStringAndSize(frame.names.data, frame.names.size)
                else:
                    names = None
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc and rc != MDB_NOTFOUND:
            self.fault(rc, key)
        return None if names is None else _named(names)

    cdef int told(self, Job* job, object key, object value, Op op, Reason reason) except -1:
        """Fill the places that the job has reserved for its events."""
        cdef int i
        cdef EventQueue queue = self.events
        if job.seq == 0:
            return 0
        for i in range(job.reaped.count):
            queue.fill(job.seq + i, OP_DELETE, BY_EXPIRY,
                       self.key_of(job.reaped.names[i].data, job.reaped.names[i].size), None,
                       told_labels(&job.reaped.tags[i]))
        if job.events > <uint64_t>job.reaped.count:
            queue.fill(job.seq + job.reaped.count, op, reason, key, value, told_labels(&job.tags))
        return 0

    cdef bint perform(self, Job* job, object key, object value, Op op, Reason reason) except -1:
        """Apply a job, with every remedy there is, and tell of it. False if its condition was unmet."""
        cdef EventQueue queue
        cdef char keys[FEW * MAX_KEY]
        cdef Slice names[FEW]
        cdef Slice tags[FEW]
        cdef int rc, synced = 0
        job.reaped.keys = keys
        job.reaped.names = names
        job.reaped.tags = tags
        job.reaped.limit = FEW
        job.taken.data = job.large.data = NULL
        if self.home.budget.on and job.verb != ERASE:
            self.room_for(1, job.draft.payload.size + job.draft.names.size + FRAME_ROOM + long_weight(job.key.size),
                          job.draft.payload.size, key)
        while True:
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_in_line(job) if self.home.durability == COMMIT else self.apply(job)
                    if rc == 0:
                        synced = self.home.committed(job.durable)
            finally:
                self.home.leave()
            queue = self.events
            if rc == 0 or rc == REFUSED:
                break
            if job.seq:
                queue.cancel(job.seq, job.events)
                queue.drain()
            free(<void*>job.taken.data)
            free(<void*>job.large.data)
            job.taken.data = job.large.data = NULL
            reaped_clear(&job.reaped)
            told_free(&job.tags)
            if rc == FRAME_CORRUPT or rc == FRAME_NEWER:
                self.fault(rc, key)
            self.remedy(rc, job.draft.payload.size + job.draft.names.size + MAX_KEY + long_weight(job.key.size),
                        "writing the key", key)
        if self.flights and (rc == 0 or job.verb == ERASE):     # a delete of what is not there counts too
            # By its bytes: the __hash__ of a caller's key could wait for a publication, which waits for this.
            self.void_flight(PyBytes_FromStringAndSize(job.key.data, job.key.size))
        if rc == 0 or job.reaped.count:
            self.expirations += job.reaped.count
            d43_add(&self.unvoided, <uint64_t>-1)
            try:
                self.told(job, key, value, op, reason)
            finally:
                reaped_clear(&job.reaped)
                told_free(&job.tags)
                if job.seq:         # what could not be told of holds nobody up
                    queue.cancel(job.seq, job.events)
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
        owner = self.draft_packed(value, job.key, &job.draft)
        job.verb = verb
        job.draft.deadline = deadline
        job.draft.stale = stale if deadline else 0
        job.draft.flags |= PINNED if pin else 0
        job.durable = durable
        if tags is not None:
            draft_carry(&job.draft, PyBytes_AS_STRING(tags), PyBytes_GET_SIZE(tags), verb == PUT_SAME)
        if token is not None and PyBytes_GET_SIZE(token):
            job.token = PyBytes_AS_STRING(token)
        if flight is not None:
            job.voided = &flight.voided
            job.guarded = token is not None
            mark = getattr(getattr(flight, "claim", None), "mark", None)     # held by the claim
            if isinstance(mark, Mark):
                job.mark = <void*>mark
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
        return job.existed

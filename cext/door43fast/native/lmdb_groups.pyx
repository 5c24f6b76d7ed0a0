"""How changes of single records are applied: each in one LMDB transaction, or those of many threads in one.

Under durability ``commit`` a commit is a sync, which takes as long as a thousand changes. So threads that write at the
same time stand in line. The first does what all have to do in one transaction, the others wait for its sync, and those
that come meanwhile are the next group. Jobs are applied in the order in which they came, each with its own condition,
and see the changes of those before them. If one fails, nothing of the group is written and each is applied alone, so
that a failure is that of its own thread only.
"""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

from clib.lmdb cimport *
from door43fast.native.chunks cimport chunks_take
from door43fast.native.environment cimport *
from door43fast.native.frame cimport *
from door43fast.native.journal cimport CHANGED_DELETE, CHANGED_EXPIRE
from door43fast.native.lmdb_records cimport *
from door43fast.native.marks cimport Mark
from door43fast.native.told cimport told_tags

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_load(uint64_t*)
    uint64_t d43_add(uint64_t*, uint64_t)


cdef inline Job* _behind(Job* job) noexcept nogil:
    return <Job*>job.waiter.next        # the waiter is what a job begins with


cdef class GroupEngine(RoomEngine):
    """What a store on disk does to the records of one transaction."""

    def __cinit__(self, *_, **__):
        d43_line_init(&self.line)

    cdef int apply(self, Job* job) noexcept nogil:
        job.waiter.next = NULL
        self.apply_all(job)
        return job.waiter.rc

    cdef int apply_in_line(self, Job* job) noexcept nogil:
        cdef d43_waiter* all = d43_line_join(&self.line, &job.waiter)
        cdef d43_waiter* one = all
        cdef d43_waiter* following
        if all != NULL:
            if not self.apply_all(<Job*>all):
                while one != NULL:
                    following = one.next
                    one.next = NULL
                    self.apply_all(<Job*>one)
                    one.next = following
                    one = following
            d43_line_leave(&self.line, all)
        return job.waiter.rc

    cdef bint apply_all(self, Job* first) noexcept nogil:
        """All jobs from ``first`` on in one transaction. False, with nothing written, if one of several failed."""
        cdef MDB_txn* txn = NULL
        cdef Job* job = first
        cdef uint64_t changed = 0, events = 0, seq = 0
        cdef int64_t now
        cdef int rc = self.open_write(&txn)
        while job != NULL:
            job.waiter.rc = rc
            job.seq = 0
            reaped_clear(&job.reaped)
            job = _behind(job)
        if rc:
            return True
        now = self.now()
        rc = self.reap(txn, now, &first.reaped)
        job = first
        while rc == 0 and job != NULL:
            job.waiter.rc = self.step(txn, job, now, changed != 0)
            if job.waiter.rc == 0 or (job.waiter.rc == REFUSED and job.reaped.count):
                changed += 1
                events += job.events
            elif job.waiter.rc != REFUSED:
                rc = job.waiter.rc
            job = _behind(job)
        if rc or changed == 0:
            mdb_txn_abort(txn)
            reaped_clear(&first.reaped)
            if rc and _behind(first) != NULL:
                job = first
                while job != NULL:
                    free(<void*>job.taken.data)
                    free(<void*>job.large.data)
                    job.taken.data = job.large.data = NULL
                    job = _behind(job)
                return False
            if rc:
                first.waiter.rc = rc
            return True
        d43_add(&self.unvoided, changed - 1)        # each thread counts itself off; close_write counts one on
        rc = self.close_write(txn, self.events, events, &seq)
        if rc:
            d43_add(&self.unvoided, 1 - changed)
        job = first
        while job != NULL:
            if rc:
                job.waiter.rc = rc      # a refusal too: it may have been for the sake of what is undone
            if seq and job.events:
                job.seq = seq
                seq += job.events
            job = _behind(job)
        return True

    cdef int step(self, MDB_txn* txn, Job* job, int64_t now, bint behind) noexcept nogil:
        """One job inside a transaction, ``behind`` others that changed something. A status, as of apply."""
        cdef Frame old
        cdef char token[TOKEN]
        cdef Draft kept
        cdef char* copy = NULL
        cdef bint changed = False
        cdef bint labelled = self.labelled()
        cdef int rc = 0, found = MDB_NOTFOUND
        job.existed = False
        if job.verb == ERASE:
            self.void_elsewhere(job.key)
        if job.verb == PUT and labelled:
            found = self.find(txn, job.key, &old, now)      # for its tags alone, if it can be read
        elif job.verb != PUT:
            found = self.find(txn, job.key, &old, now)
            job.existed = found == 0 and old.state == FRESH
            if found == FRAME_CORRUPT and job.verb == ERASE and not job.take:
                old.flags = 0               # a damaged record can be deleted
                job.existed = True
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
            job.busy = behind or d43_load(&self.unvoided) != 0
            rc = REFUSED if job.busy or job.voided[0] or (
                job.mark != NULL and not (<Mark>job.mark).holds()) else 0
        if rc == 0 and labelled:        # before the change: the old frame lies on a page that it may touch
            rc = told_tags(&old if found == 0 else NULL, NULL if job.verb == ERASE else &job.draft, &job.tags)
        if rc == 0:
            changed = True
            if job.verb == ERASE:
                if job.take and job.existed:
                    rc = _keep(&old, &job.taken)
                    if rc == 0 and old.flags & CHUNKED:
                        rc = chunks_take(self.home, self.compression, txn, &old, &job.large)
                if rc == 0:
                    rc = self.erase(txn, job.key, &old, CHANGED_DELETE if job.existed else CHANGED_EXPIRE)
            elif job.verb == TOUCH:
                kept.mark = old.mark
                kept.flags = old.flags
                kept.original = old.original
                kept.dictionary = old.dictionary
                kept.deadline = job.draft.deadline
                kept.stale = old.stale if kept.deadline else 0
                kept.tag_count = old.tag_count
                kept.settled = True
                kept.names.size = 0
                # The old frame lies on a page that the put may change.
                copy = <char*>malloc(old.whole.size)
                if copy == NULL:
                    rc = ENOMEM
                else:
                    memcpy(copy, old.whole.data, old.whole.size)
                    kept.tags = copy + (old.tags - old.whole.data) if old.tag_count else NULL
                    if old.tag_count and old.flags & NAMED:
                        kept.names.data = copy + (old.names.data - old.whole.data)
                        kept.names.size = old.names.size
                    kept.payload.data = copy + (old.payload.data - old.whole.data)
                    kept.payload.size = old.payload.size
                    rc = self.put(txn, NULL, 0, job.key, &kept)
                    free(copy)
            else:
                rc = self.put(txn, NULL, 0, job.key, &job.draft)
        job.events = job.reaped.count + (changed and (job.verb != ERASE or job.existed) and job.verb != TOUCH)
        return rc


cdef int _keep(const Frame* frame, Slice* out) noexcept nogil:
    """A copy of a whole frame that outlives the transaction."""
    cdef char* copy = <char*>malloc(frame.whole.size)
    if copy == NULL:
        return ENOMEM
    memcpy(copy, frame.whole.data, frame.whole.size)
    out.data = copy
    out.size = frame.whole.size
    return 0

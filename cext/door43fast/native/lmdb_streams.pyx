"""Large values of a store on disk piece by piece: what readers and writers of streams are made of.

A value that is being written has a row of the kind WRITING, and its writer a lock on a file ``writing-ID`` in the
directory. Each chunk is a transaction of its own; nobody sees them. The last transaction makes the row one of the kind
OWNED and sets the record. Should the writer's process die, its lock dies with it: whoever opens the store next, or
calls ``expire()``, finds the row without a lock and removes what was written.

A reader holds no snapshot between calls. The id of a value is never used again, so a chunk that is there is of the
version that the reader began with, and once it is gone the version is.
"""

import fcntl
import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from clib.lmdb cimport *
from door43fast.native.chunks cimport *
from door43fast.native.compression cimport press_room
from door43fast.native.core cimport BY_EXPIRY, BY_USER, OP_SET
from door43fast.native.frame cimport CHUNKED, FRAME_CORRUPT, FRESH, Frame, PINNED, REFUSED, draft_carry
from door43fast.native.lmdb_records cimport Job, PUT
from door43fast.native.status cimport lmdb_raise, told

from door43fast.contracts import RAW
from door43fast.errors import CorruptError, MapFullError

cdef str LOCK = "writing-"

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)


cdef class StreamEngine(JournalEngine):
    """What a store on disk does to a value piece by piece."""

    def _keeps_bytes(self):
        """Whether the store's codec leaves bytes as they are."""
        if self.native_values:
            return True
        try:
            return self.codec.encode(b"")[0] == RAW
        except TypeError:           # it takes no bytes at all, and says so when it is given some
            return False

    # Reading

    def _stream_open(self, key):
        """(mark, head) of the value of ``key``, or (mark, the whole value) where it is not in chunks; None for none."""
        cdef Slice name
        cdef Frame frame
        cdef Head head
        cdef MDB_txn* txn
        cdef object owner, lifted = None
        cdef char place[HEAD]
        cdef int rc
        self.begin(False)
        owner = self.slice_key(key, &name)
        txn = self.home.reader()
        try:
            rc = self.find(txn, name, &frame, self.now())
            if rc == 0 and frame.state == FRESH:
                if frame.flags & CHUNKED:
                    rc = head_read(&frame, &head)
                    head_write(&head, place)
                elif frame.mark == RAW:
                    lifted = self.lift(&frame, txn)
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc == MDB_NOTFOUND or (rc == 0 and frame.state != FRESH):
            return None
        if rc:
            self.fault(rc, key)
        self.refuse_fault(lifted)
        return frame.mark, lifted, (<char*>place)[:HEAD] if frame.flags & CHUNKED else None

    def _stream_piece(self, key, bytes head, uint32_t number):
        """Chunk ``number`` of the value with that head; None if the value is gone."""
        cdef Head h
        cdef Frame frame
        cdef MDB_txn* txn
        cdef bytes out
        cdef char* room
        cdef int rc
        frame.payload.data = PyBytes_AS_STRING(head)
        frame.payload.size = PyBytes_GET_SIZE(head)
        self.begin(False)
        if head_read(&frame, &h) or number >= h.count:
            raise ValueError("this is not the head of a value in chunks, or it has no such chunk")
        out = PyBytes_FromStringAndSize(NULL, chunk_size(&h, number))
        room = PyBytes_AS_STRING(out)
        txn = self.home.reader()
        with nogil:
            rc = chunk_read(self.home, self.compression, txn, &h, number, room)
            self.home.give(txn)
            self.home.leave()
        if rc == MDB_NOTFOUND:
            return None
        if rc == FRAME_CORRUPT:
            raise CorruptError(f"chunk {number} of the value of {key!r} in {self.home.path} does not match its "
                               "checksum; its bytes were not returned. Run verify(), and restore or set it anew")
        if rc:
            self.fault(rc, key)
        return out

    # Writing

    def _stream_check(self, key, ttl, tags):
        """Refuse at once what would be refused at the end."""
        cdef Slice name
        self.begin(True)
        owner = self.slice_key(key, &name)
        self.deadline_of(ttl)
        self.tags_whole(tags)

    def _stream_begin(self):
        """Take an id for a value to be written, and the lock that tells of its writer: (id, descriptor)."""
        cdef char id[VALUE_ID]
        cdef int rc
        self.begin(True)
        while True:
            rc = fresh_id(id)
            if rc:
                lmdb_raise(rc, "writing a stream to", self.home.path)
            name = self._lock_of((<char*>id)[:VALUE_ID])
            with told("writing a stream to", self.home.path):
                fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:       # else a sweep took it for one that was left behind
                return (<char*>id)[:VALUE_ID], fd
            os.close(fd)

    def _lock_of(self, bytes id not None):
        self.begin(False)
        return os.path.join(self.home.path, LOCK + id.hex())

    cdef int apply_piece(self, const char* id, uint32_t number, Slice data, char* room, bint first) noexcept nogil:
        """REFUSED, if the value that is being written is gone."""
        cdef MDB_txn* txn = NULL
        cdef MDB_val key, value
        cdef char name[ROW_KEY]
        cdef uint64_t seq = 0
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        row_key(name, WRITING, id, 0)
        key.mv_data = name
        key.mv_size = 1 + VALUE_ID
        value.mv_data = name
        value.mv_size = 1
        if first:
            rc = chunks_begin(self.home, txn)
            if rc == 0:
                rc = mdb_put(txn, self.home.chunks, &key, &value, 0)
        else:
            rc = mdb_get(txn, self.home.chunks, &key, &value)
        if rc == 0:
            rc = chunk_put(self.home, self.compression, txn, id, number, data, room)
        if rc:
            mdb_txn_abort(txn)
            return REFUSED if rc == MDB_NOTFOUND else rc
        return self.close_write(txn, None, 0, &seq)

    cdef int ended(self, int rc, size_t need) except -1:
        """After an attempt: whether it is to be repeated."""
        if rc == 0:
            d43_add(&self.unvoided, <uint64_t>-1)
        elif rc != REFUSED:
            self.remedy(rc, need, "writing a stream to", self.home.path)
            return True
        return False

    def _stream_write(self, bytes id, uint32_t number, bytes data):
        """Write chunk ``number`` of the value ``id``; False if others have removed what was written."""
        cdef Slice part
        cdef const char* name = id
        cdef char* room = NULL
        cdef int rc = 0, synced = 0
        cdef bint again = True
        self.begin(True)
        part.data = PyBytes_AS_STRING(data)
        part.size = PyBytes_GET_SIZE(data)
        if self.compression.writes:
            room = <char*>malloc(press_room(part.size))
            if room == NULL:
                raise MemoryError("no memory to compress a chunk")
        try:
            while again:
                self.home.enter()
                try:
                    self.announce()
                    with nogil:
                        rc = self.apply_piece(name, number, part, room, number == 0)
                        if rc == 0:
                            synced = self.home.committed(False)
                finally:
                    self.home.leave()
                again = self.ended(rc, part.size)
        finally:
            free(room)
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return rc == 0

    def _stream_publish(self, key, bytes id, uint64_t size, ttl, tags, bint pin, bint durable):
        """Make the value ``id`` that of ``key``; False if others have removed what was written."""
        cdef Job job
        cdef Head head
        cdef char place[HEAD]
        cdef bytes carried
        cdef object owner
        self.begin(True)
        memset(&job, 0, sizeof(Job))
        owner = self.slice_key(key, &job.key)
        memcpy(head.id, PyBytes_AS_STRING(id), VALUE_ID)
        head.size = size
        head.chunk = CHUNK
        head.count = <uint32_t>((size + CHUNK - 1) // CHUNK)
        head_write(&head, place)
        job.verb = PUT
        job.durable = durable
        job.draft.payload.data = place
        job.draft.payload.size = HEAD
        job.draft.mark = RAW
        job.draft.flags = CHUNKED | (PINNED if pin else 0)
        job.draft.deadline = self.deadline_of(ttl)
        if job.draft.deadline < 0:
            self._stream_drop(id)
            self.remove(key, BY_EXPIRY)
            return True
        carried = self.tags_whole(tags)
        if carried is not None:
            draft_carry(&job.draft, PyBytes_AS_STRING(carried), PyBytes_GET_SIZE(carried), False)
        if not self.perform(&job, key, None, OP_SET, BY_USER):
            return False
        self.sets += 1
        return True

    cdef int apply_drop(self, const char* id) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef MDB_val key, value
        cdef char name[ROW_KEY]
        cdef uint64_t seq = 0
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        row_key(name, WRITING, id, 0)
        key.mv_data = name
        key.mv_size = 1 + VALUE_ID
        rc = mdb_get(txn, self.home.chunks, &key, &value)
        if rc == 0:
            rc = chunks_drop(self.home, txn, id)
        if rc:
            mdb_txn_abort(txn)
            return REFUSED if rc == MDB_NOTFOUND else rc
        return self.close_write(txn, None, 0, &seq)

    def _stream_drop(self, bytes id):
        """Remove what was written of a value that belongs to no record; whether there was anything."""
        cdef const char* name = id
        cdef int rc = 0
        cdef bint again = True
        self.begin(True)
        while again:
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_drop(name)
                    if rc == 0:
                        self.home.committed(False)
            finally:
                self.home.leave()
            again = self.ended(rc, 0)
        return rc == 0

    # What others have left

    def _streams_under_way(self):
        """The ids of values that are being written, or were when their process died."""
        cdef MDB_txn* txn
        cdef MDB_cursor* cursor = NULL
        cdef MDB_val key, value
        cdef list ids = []
        cdef int rc
        self.begin(False)
        txn = self.home.reader()
        try:
            if not self.home.has_chunks:
                return ids
            rc = mdb_cursor_open(txn, self.home.chunks, &cursor)
            if rc == 0:
                rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            while rc == 0 and key.mv_size == 1 + VALUE_ID and (<const char*>key.mv_data)[0] == <char>WRITING:
                ids.append((<const char*>key.mv_data + 1)[:VALUE_ID])
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        finally:
            if cursor != NULL:
                mdb_cursor_close(cursor)
            self.home.give(txn)
            self.home.leave()
        if rc and rc != MDB_NOTFOUND:
            lmdb_raise(rc, "reading", self.home.path)
        return ids

    def _sweep(self):
        """Remove what writers have left whose processes are gone; returns how many there were."""
        self.begin(False)
        with told("clearing what writers have left in", self.home.path):
            return self._sweep_all()

    def _sweep_all(self):
        cdef int swept = 0
        ids = self._streams_under_way()
        names = [name for name in os.listdir(self.home.path) if name.startswith(LOCK)]
        for name in names:
            file = os.path.join(self.home.path, name)
            try:
                fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(file)         # with the lock: whoever has just made it sees that, and makes another
            except (BlockingIOError, FileNotFoundError):
                pass                    # its writer is alive, or another sweep is at it
            finally:
                os.close(fd)
        for id in ids:
            if not os.path.exists(self._lock_of(id)):
                try:
                    swept += self._stream_drop(id)
                except MapFullError:    # whoever opens it when there is room removes it
                    break
        return swept

    def expire(self):
        """Remove the records that are past their deadline and stale window; returns how many there were.

        A journal loses what is beyond its bounds, and what streams have left whose processes are gone goes too.
        """
        found = JournalEngine.expire(self)
        self._sweep()
        return found

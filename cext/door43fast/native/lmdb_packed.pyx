"""Batches of a store on disk in one piece of memory, without an object per record.

The walk and the copying go on without the GIL, so that threads do them side by side.
"""

from libc.stdint cimport int64_t

from clib.lmdb cimport *
from clib.xxhash cimport XXH3_64bits
from door43fast.native.budget cimport d43_mark
from door43fast.native.chunks cimport Head, chunks_read, head_read
from door43fast.native.compression cimport LARGEST_PACKED
from door43fast.native.core cimport BY_EXPIRY, BY_USER
from door43fast.native.frame cimport CHUNKED, FRAME_CORRUPT, FRESH, HAS_DEADLINE, HAS_TAGS, Slice, ZSTD
from door43fast.native.lmdb_batch cimport Batch
from door43fast.native.lmdb_ahead cimport course_begin
from door43fast.native.lmdb_reads cimport BLOCK, Course
from door43fast.native.lmdb_ranges cimport Bounds, slice_of
from door43fast.native.lmdb_walk cimport Walk, walk_begin, walk_end, walk_frame, walk_head, walk_next, walk_raise
from door43fast.native.mapped cimport Stroll, stroll
from door43fast.native.packed cimport Packed

cdef enum:
    MARK_RAW = 0


cdef class PackedEngine(CareEngine):
    """What a store on disk does with packed batches."""

    cdef int append(self, PackedBuilder builder, const Frame* frame, MDB_txn* txn) except? -99 nogil:
        """Copy a value out of the map to the end of the batch, decompressed."""
        cdef char* place
        cdef Head head
        cdef int rc
        if frame.mark != MARK_RAW:
            return NOT_BYTES
        if frame.flags & CHUNKED:
            rc = head_read(frame, &head)
            if rc:
                return rc
            place = builder.room(head.size)
            return WRONG_SIZE if place == NULL else chunks_read(self.home, self.compression, txn, &head, place)
        if not frame.flags & ZSTD:
            return WRONG_SIZE if builder.append(frame.payload.data, frame.payload.size) else 0
        if frame.original > LARGEST_PACKED:
            return FRAME_CORRUPT
        place = builder.room(frame.original)
        return WRONG_SIZE if place == NULL else self.compression.unpack(frame, place)

    cdef int misfit(self, int rc, PackedBuilder builder, object key, size_t size) except -1:
        if rc == NOT_BYTES:
            raise TypeError(f"key {key!r} does not hold bytes, and only bytes can be packed; read it with get")
        if rc == WRONG_SIZE:
            raise builder.wrong_size(key, size)
        return self.fault(rc, key)

    def get_packed(self, keys, *, out=None):
        """The values under ``keys``, which must be bytes, in one :class:`door43fast.native.packed.Packed`.

        Parameters
        ----------
        keys : iterable or int64[n]
            The keys; an array of them takes no object per key.
        out : uint8[n, size], optional
            Where to put values that are all of one size; the rows of missing keys are zeroed.
        """
        cdef Batch batch = self.batch_of(keys)
        cdef PackedBuilder builder = PackedBuilder(batch.count, out)
        cdef Frame frames[BLOCK]
        cdef MDB_txn* txn
        cdef int64_t now
        cdef Py_ssize_t i = 0, start = 0, found = 0, n
        cdef Course course
        cdef size_t size = 0
        cdef int rc = 0
        self.begin(False)
        txn = self.home.reader()
        try:
            now = self.now()
            with nogil:
                course_begin(&course, batch.places, batch.places + batch.count)
                while start < batch.count:
                    n = min(<Py_ssize_t>BLOCK, batch.count - start)
                    rc = self.find_all(txn, batch.places + start, frames, n, now, &i, &course)
                    if rc:
                        break
                    for i in range(n):
                        if frames[i].state != FRESH:
                            rc = builder.missing()
                        else:
                            found += 1
                            if self.home.budget.marks.bits != NULL:
                                d43_mark(&self.home.budget.marks, XXH3_64bits(batch.places[start + i].key.data,
                                                                              batch.places[start + i].key.size))
                            rc = self.append(builder, &frames[i], txn)
                        if rc:
                            size = whole_size(&frames[i]) if rc == WRONG_SIZE else 0
                            break
                    if rc:
                        break
                    start += n
                self.home.follow(txn)
        finally:
            self.home.give(txn)
            self.home.leave()
        if rc:
            self.misfit(rc, builder, self.key_at(batch, start + i), size)
        self.note_all(batch)
        self.hits += found
        self.misses += batch.count - found
        return builder.finish()

    def set_packed(self, keys, data, offsets):
        """Store the bytes ``data[offsets[i]:offsets[i + 1]]`` under ``keys[i]``, all in one transaction."""
        cdef Packed values = Packed(data, offsets)
        cdef Batch batch
        cdef Py_ssize_t i, size = 0
        cdef const char* at = NULL
        cdef bint spoilt = False
        cdef int64_t deadline
        self.begin(True)
        batch = self.batch_of(keys)
        if values.length != batch.count:
            raise ValueError(f"there are {batch.count} keys and offsets for {values.length} values")
        deadline = self.deadline_of(None)
        batch.draft()
        with nogil:
            for i in range(batch.count):
                size = 0
                if values.item(i, &at, &size) < 0:
                    spoilt = True
                    break
                batch.drafts[i].payload.data = at
                batch.drafts[i].payload.size = size
                batch.drafts[i].mark = MARK_RAW
                batch.drafts[i].deadline = deadline
        if spoilt:
            values.check()
            raise ValueError("the offsets of this packed batch were changed while it was read")
        if deadline < 0:
            self.expirations += self.write_many(batch, True, BY_EXPIRY, None)
            return
        batch.pack(self.compression)
        self.write_many(batch, False, BY_USER, values)
        self.sets += batch.count

    def scan_packed(self, prefix="", chunk=65536):
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records, each of one snapshot.

        Keys are in the bytes that they have on disk: UTF-8 for str, see docs/format.md for the others.
        """
        if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
            raise ValueError(f"chunk={chunk!r} must be a whole number of 1 or more")
        self.begin(False)
        return self._chunks(self.bounds_of(prefix, None, None, False), chunk)

    def _chunks(self, Bounds bounds, Py_ssize_t chunk):
        cdef PackedBuilder names, values
        cdef bytes after = None
        cdef size_t count = 0, name_bytes = 0, value_bytes = 0
        while True:
            names, values = PackedBuilder(count), PackedBuilder(count)
            names.expect(name_bytes + name_bytes // 64)
            values.expect(value_bytes + value_bytes // 64)
            after = self._chunk(bounds, after, chunk, names, values)
            count, name_bytes, value_bytes = names.count, names.size, values.size   # the next will be like it
            if names.count:
                yield names.finish(), values.finish()
            if after is None:
                return

    def _chunk(self, Bounds bounds, bytes after, Py_ssize_t chunk, PackedBuilder names, PackedBuilder values):
        """Append up to ``chunk`` live records that follow ``after``; returns the key to go on after, or None."""
        cdef Walk w
        cdef Frame frame
        cdef Slice name, start = slice_of(after)
        cdef Stroll way
        cdef MDB_txn* txn
        cdef int64_t now
        cdef bytes last, head
        cdef bint known = False
        cdef int rc
        self.begin(False)
        txn = self.home.reader()
        try:
            now = self.now()
            way.page = way.straight = 0
            name.data, name.size = b"", 0
            with nogil:
                rc = walk_begin(&w, self.home, txn, &bounds.range, start, False)
                while rc == 0 and values.count < <size_t>chunk:
                    stroll(&way, &self.home.view, w.name.data)
                    name = w.name
                    rc = walk_frame(&w, self.home, &frame)
                    if rc == 0 and frame.flags & (HAS_DEADLINE | HAS_TAGS):
                        rc = self.judge(txn, &frame, now)
                    if rc == 0 and frame.state == FRESH:
                        rc = self.append(values, &frame, txn)
                        if rc == 0:
                            names.append(name.data, name.size)
                    if rc:
                        known = True
                        break
                    rc = walk_next(&w, self.home)
            last = name.data[:name.size]
            head = walk_head(&w)
        finally:
            walk_end(&w)
            self.home.give(txn)
            self.home.leave()
        if known:
            self.misfit(rc, values, self.name_of(last, len(last)), 0)
        if rc and rc != MDB_NOTFOUND:
            walk_raise(head, rc, "scanning", self.home.path)
        return None if rc else last

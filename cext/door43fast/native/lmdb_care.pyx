"""The care of a store on disk: reaping, tags, figures, sync, verification, backup, closing."""

import os

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from clib.lmdb cimport *
from door43fast.native.audit cimport audit_data, audit_dictionaries, audit_expiry, audit_journal, audit_longs
from door43fast.native.audit_chunks cimport audit_chunks, audit_heads
from door43fast.native.audit_index cimport audit_index
from door43fast.native.audit_order cimport audit_order
from door43fast.native.core cimport BY_EXPIRY, BY_USER, EventQueue, OP_DELETE, OP_INVALIDATE
from door43fast.native.directory cimport prepare, sync_directory
from door43fast.native.status cimport lmdb_raise, told
from door43fast.native.frame cimport FRAME_CORRUPT, Slice, TAG_HASH, generation_sum
from door43fast.native.journal cimport (CHANGED_TAG, journal_note, journal_prune, journal_span)
from door43fast.native.keyindex cimport index_bytes
from door43fast.native.lmdb_ranges cimport slice_of
from door43fast.native.lmdb_records cimport HEAP, reaped_clear
from door43fast.native.longkeys cimport long_count
from door43fast.native.longrow cimport MAX_KEY
from door43fast.native.recording cimport Recording, recording_begin
from door43fast.native.trust cimport examine_live
from door43fast.native.told cimport told_labels
from door43fast.native.upkeep cimport list_readers, reader_lines, watched

from door43fast.errors import ConfigError, CorruptError

cdef extern from "d43_atomic.h" nogil:
    uint64_t d43_add(uint64_t*, uint64_t)

cdef enum:
    STRETCH = 4096          # rows that the audit looks at in one snapshot

cdef tuple PARTS = ("records", "long keys", "deadlines", "journal", "index", "large values",
                    "large values of long keys", "order of eviction", "chunks")


cdef class CareEngine(RangeEngine):
    """What is done to a store on disk as a whole."""

    cdef int apply_reap(self, EventQueue queue, Reaped* reaped, uint64_t* seq, uint64_t* pruned) noexcept nogil:
        cdef MDB_txn* txn = NULL
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        rc = self.reap(txn, self.now(), reaped)
        if rc == 0 and self.home.journal.on:
            rc = journal_prune(&self.home.journal, txn, HEAP, pruned)
        if rc or (reaped.count == 0 and pruned[0] == 0):
            mdb_txn_abort(txn)
            return rc
        return self.close_write(txn, queue, reaped.count, seq)

    def expire(self):
        """Remove the records that are past their deadline and stale window; returns how many there were.

        A journal loses what is beyond its bounds.
        """
        cdef Reaped reaped
        cdef EventQueue queue
        cdef uint64_t seq, pruned
        cdef int i, rc, synced = 0
        cdef Py_ssize_t total = 0
        self.begin(True)
        reaped.limit = HEAP
        if self.home.budget.on:     # a record that goes may cost the copies of a few pages
            reaped.limit = min(max(self.home.budget.limit // self.home.page_size // 64, <uint64_t>4), <uint64_t>HEAP)
        reaped.count = 0
        reaped.names = <Slice*>malloc(HEAP * (2 * sizeof(Slice) + MAX_KEY))
        reaped.tags = reaped.names + HEAP
        reaped.keys = <char*>(reaped.tags + HEAP)
        if reaped.names == NULL:
            raise MemoryError("no memory to reap expired records")
        try:
            while True:
                queue = self.events
                seq = pruned = 0
                reaped_clear(&reaped)
                self.home.enter()
                try:
                    self.announce()
                    with nogil:
                        rc = self.apply_reap(queue, &reaped, &seq, &pruned)
                        if rc == 0 and (reaped.count or pruned):
                            synced = self.home.committed(False)
                finally:
                    self.home.leave()
                if rc:
                    if seq:
                        queue.cancel(seq, reaped.count)
                    self.remedy(rc, 0, "reaping expired records of", self.home.path)
                    continue
                if reaped.count or pruned:
                    d43_add(&self.unvoided, <uint64_t>-1)
                    if seq:
                        for i in range(reaped.count):
                            queue.fill(seq + i, OP_DELETE, BY_EXPIRY,
                                       self.key_of(reaped.names[i].data, reaped.names[i].size), None,
                                       told_labels(&reaped.tags[i]))
                total += reaped.count
                if (reaped.count < reaped.limit and pruned < HEAP) or synced:
                    break
        finally:
            reaped_clear(&reaped)
            free(reaped.names)
        self.expirations += total
        if queue is not None:
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)
        return total

    cdef int apply_invalidate(self, const char* tag, Slice name_of_tag, EventQueue queue, uint64_t* seq) noexcept nogil:
        """One generation more; only tags that were ever invalidated have a row."""
        cdef MDB_txn* txn = NULL
        cdef MDB_val name, value
        cdef uint64_t row[2]
        cdef uint64_t generation = 0
        cdef int rc = self.open_write(&txn)
        if rc:
            return rc
        name.mv_data = <void*>tag
        name.mv_size = TAG_HASH
        rc = self.generation_of(txn, tag, &generation)
        if rc:
            mdb_txn_abort(txn)
            return MDB_CORRUPTED if rc == FRAME_CORRUPT else rc
        row[0] = generation + 1
        row[1] = generation_sum(tag, row[0])
        value.mv_data = row
        value.mv_size = sizeof(row)
        rc = mdb_put(txn, self.home.tags, &name, &value, 0)
        if rc == 0 and self.home.journal.on:
            rc = journal_note(&self.home.journal, txn, CHANGED_TAG, name_of_tag, 0, 0)
        if rc:
            mdb_txn_abort(txn)
            return rc
        return self.close_write(txn, queue, 1, seq)

    def invalidate(self, tag):
        """Make every record that carries ``tag`` missing. O(1): they are reaped when they are next overwritten."""
        cdef bytes hash, spelled
        cdef const char* name
        cdef Slice whole
        cdef EventQueue queue
        cdef uint64_t seq
        cdef int rc, synced = 0
        self.begin(True)
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}: {tag!r}")
        hash = self.tag_hashes((tag,))
        name = hash
        spelled = tag.encode("utf-8", "surrogatepass")
        whole = slice_of(spelled)
        while True:
            queue = self.events
            seq = 0
            self.home.enter()
            try:
                self.announce()
                with nogil:
                    rc = self.apply_invalidate(name, whole, queue, &seq)
                    if rc == 0:
                        synced = self.home.committed(False)
            finally:
                self.home.leave()
            if rc == 0:
                break
            if seq:
                queue.cancel(seq, 1)
                queue.drain()
            self.remedy(rc, 0, "invalidating the tag", tag)
        d43_add(&self.unvoided, <uint64_t>-1)
        if seq:
            queue.fill(seq, OP_INVALIDATE, BY_USER, str.__str__(tag), None, NULL)
            queue.drain()
        if synced:
            lmdb_raise(synced, "syncing", self.home.path)

    def stats(self):
        """Figures of this store: entries and bytes of the file, and what this object has done since it was opened."""
        cdef MDB_stat stat, log, pieces
        cdef MDB_envinfo info
        cdef uint64_t oldest = 1, last = 0
        cdef size_t longs = 0
        cdef MDB_txn* txn
        cdef int rc
        self.begin(False)
        txn = self.home.reader()
        rc = mdb_stat(txn, self.home.data, &stat)
        if rc == 0 and self.home.journal.on:
            rc = mdb_stat(txn, self.home.journal.table, &log)
            if rc == 0:
                rc = journal_span(txn, self.home.journal.table, &oldest, &last)
        pieces.ms_entries = 0
        if rc == 0 and self.home.has_chunks:
            rc = mdb_stat(txn, self.home.chunks, &pieces)
        if rc == 0:
            rc = long_count(self.home, txn, &longs)
        mdb_env_info(self.home.env, &info)
        self.home.give(txn)
        self.home.leave()
        if rc:
            lmdb_raise(rc, "reading", self.home.path)
        return {
            "entries": stat.ms_entries + longs, "long_keys": longs, "chunks": pieces.ms_entries,
            "hits": self.hits, "misses": self.misses,
            "sets": self.sets, "deletes": self.deletes, "evictions": self.evictions, "expirations": self.expirations,
            "stale": self.stales, "bytes": (info.me_last_pgno + 1) * self.home.page_size, "map_size": info.me_mapsize,
            "depth": stat.ms_depth, "leaf_pages": stat.ms_leaf_pages, "overflow_pages": stat.ms_overflow_pages,
            "readers": info.me_numreaders, "transactions": info.me_last_txnid,
            "unsynced": self.home.unsynced(), "index_bytes": index_bytes(&self.home.index),
            "index_paused": self.home.index.paused,
            "journal": {"oldest": oldest, "last": last,
                        "bytes": (log.ms_leaf_pages + log.ms_branch_pages + log.ms_overflow_pages) * log.ms_psize}
                       if self.home.journal.on else None,
            "budget": self._budget(),
        }

    def flush(self):
        """Bring all that was written to the disk, and let listeners have what happened before."""
        self.begin(False)
        if not self.readonly:
            self.home.sync()
        if self.events is not None:
            self.events.flush()

    def verify(self, *, progress=None):
        """Check all there is: pages, records and checksums, deadlines both ways, journal, key index, eviction.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(done, total, name)`` with rows, now and then, and outside every lock.

        Returns
        -------
        dict
            ``checked``, the number of records, and ``errors``, an empty list.

        Raises
        ------
        CorruptError
            If anything is damaged; the message names the first of it.
        """
        cdef MDB_txn* txn
        cdef uint64_t count = 0, next = 0
        cdef size_t done = 0, total = 0
        cdef MDB_stat stat
        cdef list errors = []
        cdef set dictionaries = set()
        cdef dict waiting = {}
        cdef int table
        self.begin(False)
        examine_live(self.home)         # LMDB trusts the pages that it walks
        for table in range(len(PARTS)):
            resume = b""
            while resume is not None:
                txn = self.home.reader()
                try:
                    if total == 0:
                        long_count(self.home, txn, &total)
                        total = 1 + 2 * total
                        total += 2 * stat.ms_entries if mdb_stat(txn, self.home.data, &stat) == 0 else 0
                        total += stat.ms_entries if mdb_stat(txn, self.home.expiry, &stat) == 0 else 0
                        if self.home.journal.on and mdb_stat(txn, self.home.journal.table, &stat) == 0:
                            total += stat.ms_entries
                    if table == 0:
                        if resume == b"":
                            audit_dictionaries(txn, self.home.meta, dictionaries, errors)
                        resume = audit_data(self.home, txn, resume, &count, dictionaries, errors)
                    elif table == 1:
                        resume = audit_longs(self.home, txn, resume, &count, dictionaries, errors)
                    elif table == 2:
                        resume = audit_expiry(self.home, txn, resume, errors)
                    elif table == 3:
                        resume = audit_journal(txn, &self.home.journal, resume, &next, errors)
                    elif table == 4:
                        resume = audit_index(self.home, txn, resume, errors)
                    elif table < 7:
                        resume = audit_heads(self.home, txn, table == 6, resume, errors)
                    elif table == 7:
                        resume = audit_order(self.home, txn, resume, waiting, errors)
                    else:
                        resume = audit_chunks(self.home, self.compression, txn, resume, errors)
                finally:
                    self.home.give(txn)
                    self.home.leave()
                if progress is not None and resume is not None:
                    done = min(done + STRETCH, total)
                    progress(done, total, PARTS[table])
                self.begin(False)
        if progress is not None:
            progress(total, total, PARTS[len(PARTS) - 1])
        if errors:
            raise CorruptError(f"{self.home.path}: {len(errors)} of {count} records are damaged, the first: "
                               f"{errors[0]}; restore a backup, or delete and set them anew")
        self.home.doubt = None
        self.home.doubtful = False
        return {"checked": count, "errors": errors}

    def readers(self):
        """Who has a place in the table of readers: a list of :class:`door43fast.contracts.Reader`.

        Each process that has the store open keeps a few places, idle but for the time of a call or a snapshot.
        """
        cdef list lines = []
        cdef int rc
        self.begin(False)
        self.home.enter()
        rc = reader_lines(self.home.env, lines)
        self.home.leave()
        return list_readers(lines, rc, self.home.last_txn())

    def clear_readers(self):
        """Clear the places that dead processes have left in the table of readers; returns how many there were.

        Opening a store does so too, and a read that finds no place free.
        """
        cdef int rc, dead = 0
        self.begin(False)
        self.home.enter()
        with nogil:
            rc = mdb_reader_check(self.home.env, &dead)
            self.home.leave()
        if rc:
            lmdb_raise(rc, "clearing the readers of", self.home.path)
        return dead

    def record_trace(self, path, *, sample=1.0):
        """Record which keys are asked for into a file; see ``MemoryStore.record_trace``."""
        cdef Recording recording
        self.begin(False)
        recording = recording_begin(self.recording, path, sample)
        if self.closed:     # by the path's __fspath__
            recording.end()
            self.begin(False)
        self.recording = recording
        return recording

    def _copy(self, str target):
        cdef bytes name = os.fsencode(target)
        cdef const char* place = name
        cdef int rc
        self.begin(False)
        self.home.enter()
        with nogil:
            rc = mdb_env_copy2(self.home.env, place, MDB_CP_COMPACT)
            self.home.leave()
        if rc:
            lmdb_raise(rc, "writing the backup", target)

    def backup(self, path, *, progress=None):
        """Write a compact copy of the store, as it is now, into the new directory ``path``; synced when it returns.

        ``progress``, if given, is called in this thread as ``progress(done, total, name)`` with bytes, now and then;
        what is free in the file is not copied, so it may end below the total.
        """
        cdef str full = os.path.abspath(os.fsdecode(path))
        cdef str partial = full + ".partial"
        self.begin(False)
        if os.path.exists(full) and (not os.path.isdir(full) or os.listdir(full)):
            raise ConfigError(f"{full} exists and is not empty; a backup needs a new directory")
        with told("writing the backup", full):
            self._back_up(full, partial, progress)

    def _back_up(self, str full, str partial, progress):
        prepare(partial)
        if os.listdir(partial):         # by whom is not known, so it is left alone
            raise ConfigError(f"{partial} is left from a backup that was broken off, or is being written; remove it if "
                              "it is not, and repeat")
        try:
            file = os.path.join(partial, "data.mdb")
            watched(lambda: self._copy(partial), file, self.stats()["bytes"], progress)
            fd = os.open(file, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            sync_directory(partial)
            os.rename(partial, full)        # an empty directory gives way
            sync_directory(os.path.dirname(full))
        except BaseException:
            import shutil
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def close(self):
        """Wait for calls in flight, sync, and close the files; a second call does nothing."""
        if self.closed or self.home is None:
            self.closed = True
            return
        self.closed = True
        self.home.release()
        if self.recording is not None:
            self.recording._close()
        if self.events is not None:
            self.events.drain()

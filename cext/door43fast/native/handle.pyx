"""The open files of one LMDB environment: map, gate, pool of readers, growth and fork.

Invariants
----------
* ``env`` and the map change only while the gate is closed; whoever is inside the gate may use both.
* They change only with the GIL held too, and what a call without the GIL has replaced in the index is freed only by
  one who holds it. So whoever does not let go of the GIL may use map and index without the gate.
* Nobody who is inside the gate waits for it again, and nobody waits for it while holding the GIL. So nothing that may
  run Python code happens inside, also no finalizer: no object is made there that the collector looks after.
* After a fork the child opens a handle of its own at its first call. The parent's is left as it is, never closed:
  closing it would reach into the lock file that the parent uses.
* Readers are of the kind that is bound to no thread (MDB_NOTLS); idle ones wait in the pool, reset.
"""

import os

from libc.errno cimport ENOMEM
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.stat cimport fstat, struct_stat

from clib.lmdb cimport *
from door43fast.native.budget cimport budget_fit, d43_marks_close
from door43fast.native.keyindex cimport index_close, index_open, index_renew, index_tidy, index_untidy
from door43fast.native.journal cimport JOURNAL_FOUND
from door43fast.native.mapped cimport MAGIC_AT, View, view_holds
from door43fast.native.pins cimport pins_begin, pins_end
from door43fast.native.shown cimport shown_close, shown_leave, shown_open
from door43fast.native.status cimport MAX_READERS, lmdb_raise
from door43fast.native.tables cimport MAX_TABLES, Tables, add_tables, check_tables, create_tables

from door43fast.errors import BudgetError, ClosedError, FormatError

cdef extern from "d43_fork.h" nogil:
    const volatile uint64_t d43_forks
    int d43_fork_watch()

cdef extern from "d43_gate.h" nogil:
    void d43_gate_init(d43_gate*)
    bint d43_gate_alone(d43_gate*)
    void d43_gate_enter(d43_gate*)

cdef extern from "d43_atomic.h" nogil:
    void* d43_swap(void**, void*)
    bint d43_put_if_null(void**, void*)
    uint64_t d43_load(uint64_t*)

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    void* MAP_FAILED
    int PROT_NONE, PROT_READ, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED

cdef enum:
    MAGIC = 0xBEEFC0DE      # of LMDB; the layout of nodes that the index knows is that of format 1
    LAYOUT = 1
    MAP_SIZE_AT = 32        # of the size of the map in a head page of LMDB 0.9 on 64-bit systems

cdef size_t RESERVE = <size_t>1 << 40
cdef size_t LEAST_MAP = 1 << 18

if d43_fork_watch():
    raise MemoryError("door43fast cannot watch for forks: pthread_atfork failed")


cdef class Handle:
    """The open files of one directory, and who is inside them."""

    def __cinit__(self):
        d43_gate_init(&self.gate)
        pins_begin(&self.pins)
        self.forks = &d43_forks
        self.fd = self.shown.fd = -1

    def __dealloc__(self):
        if self.metas != NULL:      # only here: last_txn may be under way in another thread until the last reference
            munmap(<void*>self.metas, 2 * self.page_size)
        shown_close(&self.shown)
        d43_marks_close(&self.budget.marks)

    cdef int open_handle(self) except -1:
        """Open the files with as much of the address space as may be had."""
        cdef MDB_envinfo info
        cdef size_t size = self.map_bytes
        cdef unsigned int flags = MDB_NOTLS
        cdef bytes path = os.fsencode(self.path)
        cdef int rc
        if size == 0:
            size = self.options["map_size"] or _reserve()
        flags |= self.extra_flags
        while True:
            rc = mdb_env_create(&self.env)
            if rc:
                self.env = NULL
                lmdb_raise(rc, "opening", self.path)
            rc = mdb_env_set_maxdbs(self.env, MAX_TABLES)
            if rc == 0:
                rc = mdb_env_set_maxreaders(self.env, MAX_READERS)
            if rc == 0:
                rc = mdb_env_set_mapsize(self.env, size)
            if rc == 0:
                rc = mdb_env_open(self.env, path, flags, 0o644)
            if rc == 0:
                break
            mdb_env_close(self.env)
            self.env = NULL
            if rc != ENOMEM or size <= LEAST_MAP:
                lmdb_raise(rc, "opening", self.path)
            size >>= 1
        mdb_env_info(self.env, &info)
        self.map_bytes = info.me_mapsize
        self.generation = d43_forks
        mdb_env_get_fd(self.env, &self.fd)
        return 0

    cdef int open_tables(self, bint create) except -1:
        """Check that the store is ours, and open its tables; a new file gets them if ``create``."""
        cdef MDB_envinfo info
        cdef MDB_txn* txn = NULL
        cdef Tables tables
        cdef bytes locks = os.fsencode(os.path.join(self.path, "lock.mdb"))
        cdef int rc
        while True:
            rc = mdb_txn_begin(self.env, NULL, MDB_RDONLY, &txn)
            if rc == MDB_MAP_RESIZED:           # grown by another process just now; nobody uses this handle yet
                rc = mdb_env_set_mapsize(self.env, 0)
                if rc == 0:
                    mdb_env_info(self.env, &info)
                    self.map_bytes = info.me_mapsize
                    continue
            if rc:
                lmdb_raise(rc, "reading", self.path)
            try:
                found = check_tables(txn, &tables, self.path, self.options["keys"])
                if found is not None and not (tables.has_chunks and tables.has_longs or self.extra_flags & MDB_RDONLY):
                    mdb_txn_abort(txn)          # of a version that had none
                    txn = NULL
                    add_tables(self.env, self.path)
                    continue
                if found is not None:
                    rc = mdb_txn_commit(txn)    # only a commit makes the table handles last
                    txn = NULL
                    if rc:
                        lmdb_raise(rc, "reading", self.path)
                    self.store_id, self.longs, self.has_longs = found, tables.longs, tables.has_longs
                    self.meta, self.data, self.expiry, self.tags = tables.meta, tables.data, tables.expiry, tables.tags
                    self.chunks, self.has_chunks, self.chunks_at = tables.chunks, tables.has_chunks, 0
                    self.journal.on, self.journal.table, self.journal.checked = tables.journalled, tables.journal, 0
                    self.budget.on, self.budget.table = tables.bounded, tables.order
                    if shown_open(&self.shown, self.env, locks):
                        lmdb_raise(ENOMEM, "opening", self.path)
                    return self.fit_map()
            finally:
                if txn != NULL:
                    mdb_txn_abort(txn)
            if not create:
                raise FormatError(f"{self.path} holds an empty LMDB file, and readonly=True writes none; "
                                  "check the path")
            create_tables(self.env, self.path, self.options["keys"])

    cdef int map_metas(self) except -1:
        """Map the two head pages by themselves: a look at the last transaction id then needs no gate."""
        cdef MDB_stat stat
        cdef void* at
        mdb_env_stat(self.env, &stat)
        self.page_size = stat.ms_psize
        at = mmap(NULL, 2 * self.page_size, PROT_READ, MAP_SHARED, self.fd, 0)
        if at == MAP_FAILED:
            lmdb_raise(ENOMEM, "opening", self.path)
        self.metas = <const char*>at
        return 0

    cdef uint64_t last_txn(self) noexcept nogil:
        return 0 if self.metas == NULL else handle_newest(self)

    cdef void start_index(self) noexcept:
        """An empty index, if the file is laid out as it knows. REQUIRES: nobody else is inside."""
        cdef MDB_txn* txn = NULL
        cdef MDB_val name, value
        cdef uint32_t magic[2]
        cdef uint64_t page
        cdef const char* at
        index_close(&self.index)
        memset(&self.view, 0, sizeof(View))
        name.mv_data = <char*>b"store"
        name.mv_size = 5
        if mdb_txn_begin(self.env, NULL, MDB_RDONLY, &txn):
            return
        if mdb_get(txn, self.meta, &name, &value) == 0:
            # LMDB does not tell where its map begins; each page tells its number.
            at = <const char*>value.mv_data - (<size_t>value.mv_data & (self.page_size - 1))
            memcpy(&page, at, 8)
            at -= page * self.page_size
            memcpy(magic, self.metas + MAGIC_AT, 8)
            if magic[0] == <uint32_t>MAGIC and magic[1] == LAYOUT and page < self.map_bytes // self.page_size:
                self.view.base = at
                self.view.reach = self.map_bytes
                index_open(&self.index, self.options["index_bytes"], self.map_bytes, self.page_size)
        mdb_txn_abort(txn)
        self.view.page_size = self.page_size
        self.view.shift = self.index.shift
        self.widen()

    cdef bint holds(self, const MDB_val* value) noexcept nogil:
        if view_holds(&self.view, value.mv_data, value.mv_size):
            return True
        self.widen()
        return view_holds(&self.view, value.mv_data, value.mv_size)

    cdef void widen(self) noexcept nogil:
        cdef struct_stat found
        if fstat(self.fd, &found) == 0:
            self.view.end = min(<size_t>found.st_size, self.map_bytes)

    cdef void follow(self, MDB_txn* txn) noexcept nogil:
        cdef MDB_txn* newer = NULL
        cdef uint64_t id = mdb_txn_id(txn)
        if self.index.txn != id or self.last_txn() == id or self.take(&newer):
            return
        index_renew(&self.index, newer, mdb_txn_id(newer), self.data, True)
        self.give(newer)

    cdef void wrote(self, uint64_t id) noexcept nogil:
        cdef MDB_txn* newer = NULL
        cdef uint64_t since = d43_load(&self.index.txn)
        if since and id >= since + 2 and self.take(&newer) == 0:
            index_renew(&self.index, newer, mdb_txn_id(newer), self.data, False)
            self.give(newer)

    cdef int enter(self) except -1:
        if self.generation != d43_forks:
            self.reopen()
        if not d43_gate_try(&self.gate):
            with nogil:
                d43_gate_enter(&self.gate)
        if self.env == NULL:
            d43_gate_leave(&self.gate)
            raise ClosedError(f"the store {self.path} is closed; open it again")
        return 0

    cdef void leave(self) noexcept nogil:
        d43_gate_leave(&self.gate)

    def reopen(self):
        """In a forked child: a handle of its own. What the parent's threads held at the fork is started afresh."""
        memset(self.pool, 0, sizeof(self.pool))
        self.shown.fd = -1      # the parent's, which is never closed either
        d43_gate_init(&self.gate)
        index_close(&self.index)
        pins_end(&self.pins, False)
        self.metas = NULL       # the child's copy of the parent's mapping stays; it is two pages
        if self.env == NULL:    # it was closed before the fork
            self.generation = d43_forks
            return
        self.env = NULL
        self.open_handle()
        try:
            self.open_tables(False)
            self.map_metas()
            self.handle_opened()
        except BaseException:
            self.drop_handle()
            raise

    cdef int take(self, MDB_txn** txn) noexcept nogil:
        cdef int i, rc
        cdef void* idle
        for i in range(POOL):
            if self.pool[i] != NULL:
                idle = d43_swap(&self.pool[i], NULL)
                if idle != NULL:
                    rc = mdb_txn_renew(<MDB_txn*>idle)
                    if rc:
                        mdb_txn_abort(<MDB_txn*>idle)
                        return rc
                    txn[0] = <MDB_txn*>idle
                    return 0
        return mdb_txn_begin(self.env, NULL, MDB_RDONLY, txn)

    cdef void give(self, MDB_txn* txn) noexcept nogil:
        cdef int i
        mdb_txn_reset(txn)
        for i in range(POOL):
            if self.pool[i] == NULL and d43_put_if_null(&self.pool[i], txn):
                return
        mdb_txn_abort(txn)

    cdef MDB_txn* reader(self) except NULL:
        cdef MDB_txn* txn = NULL
        cdef int rc, dead
        cdef bint checked = False
        while True:
            self.enter()
            if index_untidy(&self.index) and d43_gate_alone(&self.gate):
                index_tidy(&self.index)
            rc = self.take(&txn)
            if rc == 0:
                return txn
            if rc == MDB_READERS_FULL and not checked:
                checked = True
                rc = mdb_reader_check(self.env, &dead)
                self.leave()
                if rc:
                    lmdb_raise(rc, "reading", self.path)
            else:
                self.leave()
                self.recover(rc, 0, "reading", self.path)

    cdef int recover(self, int rc, size_t need, str what, object subject) except -1:
        if rc == MDB_MAP_RESIZED:
            self.remap(0)
        elif rc == JOURNAL_FOUND:
            self.join_journal()
        elif rc == MDB_MAP_FULL and self.budget.on:
            raise BudgetError(f"{what} {subject!r} does not fit: the file of {self.path} may take {self.budget.limit} "
                              "bytes, its max_bytes, and is full; delete something, or open it with a larger max_bytes")
        elif rc == MDB_MAP_FULL:
            self.remap(max(2 * self.map_bytes, self.map_bytes + 2 * need))
        else:
            lmdb_raise(rc, what, subject)
        return 0

    cdef int remap(self, size_t size) except -1:
        """Grow the map to ``size``; 0 for the size that another process has given it.

        LMDB gives the old map back before it asks for the new one, and is left without any if it is refused. So the
        difference is asked for here first; should the new map be refused all the same, the files are opened anew.
        """
        cdef MDB_envinfo info
        cdef void* room
        cdef int rc = 0
        with nogil:
            d43_gate_close(&self.gate)
        try:
            if self.env == NULL:
                raise ClosedError(f"the store {self.path} was closed; open it again")
            if size == 0:
                size = max((<const size_t*>(self.metas + MAP_SIZE_AT))[0],
                           (<const size_t*>(self.metas + self.page_size + MAP_SIZE_AT))[0])
            if size <= self.map_bytes:
                return 0                    # another thread has grown it meanwhile
            room = mmap(NULL, size - self.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            if room == MAP_FAILED:
                lmdb_raise(MDB_MAP_FULL, "growing the map of", self.path)
            munmap(room, size - self.map_bytes)
            rc = mdb_env_set_mapsize(self.env, size)
            if rc == 0:
                mdb_env_info(self.env, &info)
                self.map_bytes = info.me_mapsize
                self.fit_map()              # the size that a head page tells is from before there was a budget
                self.start_index()
                return 0
            self.drop_handle()
            self.open_handle()
            self.open_tables(False)
            self.handle_opened()
        finally:
            d43_gate_open(&self.gate)
        return lmdb_raise(MDB_MAP_FULL, "growing the map of", self.path)

    cdef int fit_map(self) except -1:
        cdef int rc = budget_fit(&self.budget, self.env, self.meta, &self.map_bytes) if self.budget.on else 0
        return lmdb_raise(rc, "reading the budget of", self.path) if rc else 0

    cdef void drop_handle(self) noexcept:
        cdef int i
        self.handle_closing()
        index_close(&self.index)
        pins_end(&self.pins, True)
        for i in range(POOL):
            if self.pool[i] != NULL:
                mdb_txn_abort(<MDB_txn*>self.pool[i])
                self.pool[i] = NULL
        mdb_env_close(self.env)
        self.env = NULL
        shown_leave(&self.shown)

    cdef bint own(self) noexcept nogil:
        """Whether the handle was opened by this process, and not by the one that it was forked from."""
        return self.generation == d43_forks

    cdef int join_journal(self) except -1:
        """For the heir: the store has a journal since it was opened."""
        return 0

    cdef int handle_opened(self) except -1:
        """For the heir: the handle is open, and nobody uses it yet."""
        return 0

    cdef void handle_closing(self) noexcept:
        """For the heir: the handle is about to be closed, and nobody uses it any more."""


cdef size_t _reserve():
    """Address space to reserve for a map: 1 TiB, or a quarter of what the process is limited to."""
    import resource
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return RESERVE
    return max(min(RESERVE, limit // 4) & ~<size_t>0xFFFF, LEAST_MAP)

"""One LMDB environment per directory and process: shared by the stores that have it open.

Invariants
----------
* ``env`` and the map change only while the gate is closed; whoever is inside the gate may use both.
* Nobody who is inside the gate waits for it again, and nobody waits for it while holding the GIL.
* After a fork the child opens a handle of its own at its first call. The parent's is left as it is, never closed:
  closing it would reach into the lock file that the parent uses.
* Readers are of the kind that is bound to no thread (MDB_NOTLS); idle ones wait in the pool, reset.
"""

import os
import threading
import weakref

from libc.errno cimport ENOMEM
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from clib.lmdb cimport *
from door43fast.native.audit cimport audit_all
from door43fast.native.directory cimport (inspect, place_marker, prepare, remove_marker, stale_markers,
                                          sync_directory)
from door43fast.native.status cimport MAX_READERS, lmdb_raise
from door43fast.native.tables cimport MAX_TABLES, Tables, check_tables, create_tables, probe

from door43fast.errors import ClosedError, ConfigError, CorruptError, FormatError

cdef extern from "d43_fork.h" nogil:
    const uint64_t d43_forks
    int d43_fork_watch()

cdef extern from "d43_gate.h" nogil:
    void d43_gate_init(d43_gate*)
    bint d43_gate_try(d43_gate*)
    void d43_gate_enter(d43_gate*)
    void d43_gate_leave(d43_gate*)
    void d43_gate_close(d43_gate*)
    void d43_gate_open(d43_gate*)

cdef extern from "d43_worker.h" nogil:
    void d43_worker_init(d43_worker*, int (*)(void*) noexcept nogil, void*)
    int d43_worker_start(d43_worker*, int64_t)
    void d43_worker_stop(d43_worker*)
    int d43_worker_now(d43_worker*)
    int d43_worker_error(d43_worker*)
    void d43_worker_touch(d43_worker*)
    bint d43_worker_dirty(d43_worker*)
    int d43_sync_file(int)

cdef extern from "d43_atomic.h" nogil:
    void* d43_swap(void**, void*)
    bint d43_put_if_null(void**, void*)

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void*, size_t, int, int, int, long)
    int munmap(void*, size_t)
    void* MAP_FAILED
    int PROT_NONE, PROT_READ, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED

cdef enum:
    MAP_SIZE_AT = 32        # of the size of the map in a head page of LMDB 0.9 on 64-bit systems
    TXN_ID_AT = 144         # of the transaction id

cdef size_t RESERVE = <size_t>1 << 40
cdef size_t LEAST_MAP = 1 << 18

cdef object OPEN = weakref.WeakValueDictionary()    # (device, inode) of data.mdb: Environment
cdef object OPENING = threading.RLock()


def _after_fork():
    """Another thread of the parent may have held the lock at the fork; the child has no such thread."""
    global OPENING
    OPENING = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
if d43_fork_watch():
    raise MemoryError("door43fast cannot watch for forks: pthread_atfork failed")


cdef int _sync_job(void* fd) noexcept nogil:
    return d43_sync_file((<int*>fd)[0])


cdef Environment acquire(object path, dict options, bint create):
    """The environment of ``path`` with one user more; opened if this process has not opened it yet.

    ``options`` are durability, sync_interval, readonly, map_size and keys, already checked.
    """
    cdef Environment e
    cdef str full
    try:
        full = os.path.abspath(os.fsdecode(path))
    except (TypeError, ValueError):
        raise ConfigError(f"path={path!r} is not a path: give the directory of the store") from None
    if "\0" in full:
        raise ConfigError(f"path={path!r} holds a NUL character; give the directory of the store")
    with OPENING:
        e = OPEN.get(_identity(full))
        if e is not None and e.env != NULL:
            _agree(e, options)
            e.users += 1
            return e
        e = Environment.__new__(Environment)
        e.path = full
        e.options = options
        e._open(create)
        e.users = 1
        e.identity = _identity(full)
        OPEN[e.identity] = e
        return e


cdef object _identity(str path):
    try:
        st = os.stat(os.path.join(path, "data.mdb"))
    except OSError:             # not there yet, or not a directory: opening it says which
        return None
    return st.st_dev, st.st_ino


cdef int _agree(Environment e, dict options) except -1:
    """One environment has one promise: a second store with another one is refused."""
    for name in ("durability", "sync_interval", "map_size", "keys"):
        mine, theirs = e.options[name], options[name]
        if mine != theirs and not (name == "map_size" and theirs is None) and \
                not (options["readonly"] and name in ("durability", "sync_interval")):
            raise ConfigError(f"{e.path} is open in this process with {name}={mine!r}; it cannot be opened with "
                              f"{name}={theirs!r} at the same time: close the first store, or give the same option")
    if e.readonly and not options["readonly"]:
        raise ConfigError(f"{e.path} is open in this process with readonly=True; it cannot be opened with "
                          "readonly=False at the same time: close the first store")
    return 0


cdef class Environment:
    """The open files of one directory."""

    def __cinit__(self):
        d43_gate_init(&self.gate)
        self.snapshots = weakref.WeakSet()
        self.fd = -1

    def __dealloc__(self):
        if self.generation == d43_forks and self.env != NULL:
            self._drop_handle()
        if self.metas != NULL:      # only here: last_txn may be under way in another thread until the last reference
            munmap(<void*>self.metas, 2 * self.page_size)

    cdef int _open(self, bint create) except -1:
        found = inspect(self.path)
        self.readonly = self.options["readonly"]
        self.durability = (<dict>{"commit": COMMIT, "batch": BATCH, "none": NONE})[self.options["durability"]]
        self.sync_interval = <int64_t>(self.options["sync_interval"] * 1e9)
        if found is None:
            if self.readonly:
                raise ConfigError(f"{self.path} holds no store, and readonly=True creates none; check the path")
            if not create:
                raise ConfigError(f"{self.path} holds no store, and create=False; check the path, or open with "
                                  "create=True")
            prepare(self.path)
        elif found[0] < found[1]:
            if self.readonly:
                raise CorruptError(f"{self.path}/data.mdb is shorter than its head page says ({found[0]} of {found[1]}"
                                   " bytes); open it once without readonly=True and run verify()")
            # Pages at the end that were freed before they were ever written are missing in sound files too. Reading
            # beyond the end would kill the process; zeroes are read as what they are: no page, or a bad checksum.
            os.truncate(os.path.join(self.path, "data.mdb"), found[1])
        if found is not None and not os.path.exists(os.path.join(self.path, "lock.mdb")):
            probe(self.path, self.options["keys"])
        self._open_handle()
        try:
            self._open_tables(found is None or not self.readonly)
            self._map_metas()
            self._adopt_markers()
        except BaseException:
            self._drop_handle()
            raise
        return 0

    cdef int _open_handle(self) except -1:
        """Open the files with as much of the address space as may be had."""
        cdef MDB_envinfo info
        cdef size_t size = self.map_bytes
        cdef unsigned int flags = MDB_NOTLS
        cdef bytes path = os.fsencode(self.path)
        cdef int rc, dead = 0
        if size == 0:
            size = self.options["map_size"] or _reserve()
        if self.readonly:
            flags |= MDB_RDONLY
        elif self.durability != COMMIT:
            flags |= MDB_NOSYNC
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
        mdb_reader_check(self.env, &dead)
        d43_worker_init(&self.worker, _sync_job, &self.fd)
        if self.durability == BATCH and not self.readonly:
            rc = d43_worker_start(&self.worker, self.sync_interval)
            if rc:
                self._drop_handle()
                lmdb_raise(rc, "starting the sync thread of", self.path)
        return 0

    cdef int _open_tables(self, bint create) except -1:
        """Check that the store is ours, and open its tables; a new file gets them if ``create``."""
        cdef MDB_envinfo info
        cdef MDB_txn* txn = NULL
        cdef Tables tables
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
                if found is not None:
                    rc = mdb_txn_commit(txn)    # only a commit makes the table handles last
                    txn = NULL
                    if rc:
                        lmdb_raise(rc, "reading", self.path)
                    self.store_id = found
                    self.meta, self.data, self.expiry, self.tags = tables.meta, tables.data, tables.expiry, tables.tags
                    return 0
            finally:
                if txn != NULL:
                    mdb_txn_abort(txn)
            if not create:
                raise FormatError(f"{self.path} holds an empty LMDB file, and readonly=True writes none; check the path")
            create_tables(self.env, self.path, self.options["keys"])

    cdef int _map_metas(self) except -1:
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

    def _adopt_markers(self):
        """Look after what processes that are gone have left unsynced."""
        cdef list markers = stale_markers(self.path)
        cdef int rc
        if not markers:
            return
        if any(lost for _, lost in markers):
            audit_all(self.env, self.data, self.expiry, self.path)
        if self.readonly:
            return
        with nogil:
            rc = d43_sync_file(self.fd)
        if rc:
            lmdb_raise(rc, "syncing", self.path)
        for file, _ in markers:
            os.unlink(file)
        sync_directory(self.path)

    cdef uint64_t last_txn(self) noexcept nogil:
        cdef uint64_t a, b
        if self.metas == NULL:
            return 0
        a = (<const volatile uint64_t*>(self.metas + TXN_ID_AT))[0]
        b = (<const volatile uint64_t*>(self.metas + self.page_size + TXN_ID_AT))[0]
        return a if a > b else b

    cdef int enter(self) except -1:
        if self.generation != d43_forks:
            self._reopen()
        if not d43_gate_try(&self.gate):
            with nogil:
                d43_gate_enter(&self.gate)
        if self.env == NULL:
            d43_gate_leave(&self.gate)
            raise ClosedError(f"the store {self.path} is closed; open it again")
        return 0

    cdef void leave(self) noexcept nogil:
        d43_gate_leave(&self.gate)

    def _reopen(self):
        """In a forked child: a handle of its own. What the parent's threads held at the fork is started afresh."""
        with OPENING:
            if self.generation == d43_forks:
                return
            memset(self.pool, 0, sizeof(self.pool))
            d43_gate_init(&self.gate)
            self.snapshots = weakref.WeakSet()
            self.marker = None
            self.metas = NULL       # the child's copy of the parent's mapping stays; it is two pages
            if self.env == NULL:    # it was closed before the fork
                self.generation = d43_forks
                return
            self.env = NULL
            self._open_handle()
            try:
                self._open_tables(False)
                self._map_metas()
            except BaseException:
                self._drop_handle()
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
            self._remap(0)
        elif rc == MDB_MAP_FULL:
            self._remap(max(2 * self.map_bytes, self.map_bytes + 2 * need))
        else:
            lmdb_raise(rc, what, subject)
        return 0

    cdef int _remap(self, size_t size) except -1:
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
                return 0
            for snapshot in list(self.snapshots):
                snapshot.detach()
            self._drop_handle()
            self._open_handle()
            self._open_tables(False)
        finally:
            d43_gate_open(&self.gate)
        return lmdb_raise(MDB_MAP_FULL, "growing the map of", self.path)

    cdef int announce(self) except -1:
        cdef int rc
        if self.durability == COMMIT:
            return 0
        rc = d43_worker_error(&self.worker)
        if rc:
            lmdb_raise(rc, "the background sync of", self.path)
        if self.marker is None:
            self.marker = place_marker(self.path)
        return 0

    cdef int committed(self, bint durable) noexcept nogil:
        if self.durability == COMMIT:
            return 0
        d43_worker_touch(&self.worker)
        return d43_worker_now(&self.worker) if durable else 0

    cdef bint unsynced(self) noexcept nogil:
        return d43_worker_dirty(&self.worker)

    cdef int sync(self) except -1:
        """Bring all that was committed to the disk."""
        cdef int rc
        self.enter()
        with nogil:
            rc = d43_worker_now(&self.worker)
            self.leave()
        if rc:
            lmdb_raise(rc, "syncing", self.path)
        return 0

    def release(self):
        """One user less; the last one closes it, after the calls in flight."""
        with OPENING:
            self.users -= 1
            if self.users == 0:
                OPEN.pop(self.identity, None)
                self._shut()

    cdef int _shut(self) except -1:
        cdef int rc = 0
        if self.generation != d43_forks or self.env == NULL:
            self.env = NULL                 # a child that never used it: the handle is the parent's
            return 0
        with nogil:
            d43_gate_close(&self.gate)
            d43_worker_stop(&self.worker)
            rc = d43_worker_now(&self.worker)
        try:
            for snapshot in list(self.snapshots):
                snapshot.detach()
            self._drop_handle()
            if rc:
                lmdb_raise(rc, "syncing", self.path)
            if self.marker is not None:
                marker, self.marker = self.marker, None
                remove_marker(marker, self.path)
        finally:
            d43_gate_open(&self.gate)
        return 0

    cdef void _drop_handle(self) noexcept:
        cdef int i
        for i in range(POOL):
            if self.pool[i] != NULL:
                mdb_txn_abort(<MDB_txn*>self.pool[i])
                self.pool[i] = NULL
        d43_worker_stop(&self.worker)
        mdb_env_close(self.env)
        self.env = NULL


cdef size_t _reserve():
    """Address space to reserve for a map: 1 TiB, or a quarter of what the process is limited to."""
    import resource
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return RESERVE
    return max(min(RESERVE, limit // 4) & ~<size_t>0xFFFF, LEAST_MAP)

"""One LMDB environment per directory and process: shared by the stores that have it open, with one durability.

``commit`` lets LMDB sync at every commit. The other levels let it sync never, and say so by a marker file that is
synced before the first such write and removed after the last sync: see directory.pyx, and for ``batch`` saver.pyx.
"""

import os
import threading
import weakref

from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport close as posix_close

from clib.lmdb cimport *
from door43fast.native.audit cimport audit_all
from door43fast.native.audit_chunks cimport audit_large
from door43fast.native.directory cimport (agree, alone, claim, clear, inspect, place_marker, prepare, remove_marker,
                                          stale_markers, sync_directory)
from door43fast.native.journal cimport journal_settings
from door43fast.native.saver cimport (put_back, saver_due, saver_follow, saver_job, saver_move, saver_pressed,
                                           saver_release, saver_rest, saver_start)
from door43fast.native.status cimport lmdb_raise, told
from door43fast.native.tables cimport probe
from door43fast.native.trust cimport leave_stamp, lift_stamp, look

from door43fast.errors import ClosedError, ConfigError, CorruptError, FormatError

cdef extern from "d43_gate.h" nogil:
    void d43_gate_enter(d43_gate*)

cdef extern from "d43_worker.h" nogil:
    void d43_worker_init(d43_worker*, int (*)(void*, int) noexcept nogil, int (*)(void*) noexcept nogil, void*)
    int d43_worker_start(d43_worker*, int64_t)
    void d43_worker_stop(d43_worker*)
    int d43_worker_now(d43_worker*, int)
    int d43_worker_error(d43_worker*)
    void d43_worker_touch(d43_worker*)
    bint d43_worker_dirty(d43_worker*)
    int d43_sync_file(int)

cdef int64_t REST = 3600 * <int64_t>1000000000      # nanoseconds; the mover is woken when there is something to do

cdef object OPEN = weakref.WeakValueDictionary()    # (device, inode) of data.mdb: Environment
cdef object OPENING = threading.RLock()


def _after_fork():
    """Another thread of the parent may have held the lock at the fork; the child has no such thread."""
    global OPENING
    OPENING = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


cdef Environment acquire(object path, dict options, bint create):
    """The environment of ``path`` with one user more; opened if this process has not opened it yet.

    ``options`` are durability, sync_interval, readonly, map_size, keys and index_bytes, already checked.
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
            agree(full, e.options, options)
            e.users += 1
            return e
        e = Environment.__new__(Environment)
        e.path = full
        e.options = options
        with told("opening", full):
            e.open(create)
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


cdef bint is_open(str path):
    with OPENING:
        return OPEN.get(_identity(path)) is not None


cdef class Environment(Handle):
    """The open files of one directory, and what is promised of them."""

    def __cinit__(self):
        self.marking = threading.RLock()
        self.saver.marker = -1

    def __dealloc__(self):
        if self.own() and self.env != NULL:
            d43_worker_stop(&self.worker)
            d43_worker_stop(&self.mover)
            d43_worker_now(&self.worker, 0)
            self.let_go()
            self.drop_handle()

    cdef int handle_opened(self) except -1:
        cdef int rc
        self.saver.fd = self.fd
        self.saver.marker = -1 if self.marker is None else self.marker[0]
        self.saver.keeps = self.durability == BATCH
        self.saver.metas = self.metas
        self.saver.page_size = self.page_size
        self.saver.env = &self.env
        self.saver.gate = &self.gate
        self.saver.mover = &self.mover
        saver_start(&self.saver)
        d43_line_init(&self.line)
        d43_worker_init(&self.worker, saver_job, saver_due, &self.saver)
        d43_worker_init(&self.mover, saver_move, saver_rest, &self.saver)
        self.start_index()
        if self.durability != COMMIT:
            d43_worker_touch(&self.worker)      # what is not known to be synced is synced once more
        if self.durability == BATCH and not self.readonly:
            rc = d43_worker_start(&self.worker, self.sync_interval)
            if rc == 0:
                rc = d43_worker_start(&self.mover, REST)
            if rc:
                lmdb_raise(rc, "starting the sync thread of", self.path)
        return 0

    cdef void handle_closing(self) noexcept:
        d43_worker_stop(&self.worker)
        d43_worker_stop(&self.mover)
        saver_release(&self.saver)

    cdef int open(self, bint create) except -1:
        cdef int dead = 0
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
        self.extra_flags = MDB_RDONLY if self.readonly else MDB_NOSYNC if self.durability != COMMIT else 0
        with alone(self.path):
            markers = stale_markers(self.path)
            found = found or inspect(self.path)     # another process may have made it meanwhile
            if found is None:
                for file, _ in markers:         # they speak of a file that is gone
                    os.unlink(file)
                clear(self.path)
                lift_stamp(self.path)
                markers = []
            lost = [file for file, rebooted in markers if rebooted]
            if found is not None:
                self.look(lost)
            self.open_handle()
            try:
                try:
                    self.open_tables(found is None or not self.readonly)
                except FormatError as error:
                    if not lost:
                        raise
                    raise CorruptError(f"{self.path} was open when the system went down, and its tables cannot be "
                                       "read; restore a backup") from error
                self.map_metas()
                if lost:
                    audit_all(self)
                    audit_large(self)
                if markers and not self.readonly:
                    self.adopt(markers)
                if not self.readonly:
                    self.claim = claim(self.path, self.options["durability"])
                mdb_reader_check(self.env, &dead)   # after that: a dead process's reader may have kept its way back
                self.handle_opened()
            except BaseException:
                self.drop_handle()
                raise
        return 0

    cdef int look(self, list lost) except -1:       # ``lost``: markers of writers that the system went down under
        cdef bint saved = bool(lost) and not self.readonly and put_back(self.path, lost)
        self.doubt = look(self.path, bool(lost), saved, self.readonly, &self.stamped)
        self.doubtful = self.doubt is not None
        if self.doubtful and self.options.get("on_damage") == "set_aside":
            raise CorruptError(f"{self.path}: {self.doubt[0]} records do not match their checksums")
        if not os.path.exists(os.path.join(self.path, "lock.mdb")):
            probe(self.path, self.options["keys"])
        return 0

    def adopt(self, list markers):
        """What processes that are gone had left unsynced is synced, and their markers go."""
        cdef int rc
        with nogil:
            rc = d43_sync_file(self.fd)
        if rc:
            lmdb_raise(rc, "syncing", self.path)
        for file, _ in markers:
            os.unlink(file)
        sync_directory(self.path)

    def reopen(self):
        with OPENING:
            if not self.own():
                self.marker = None      # the parent's
                self.marking = threading.RLock()
                Handle.reopen(self)

    cdef int announce(self) except -1:
        while self.stamped or (self.durability != COMMIT and (self.marker is None or d43_worker_error(&self.worker))):
            self.leave()        # what is said on the disk is said by Python code
            try:
                self.say()
                self.enter()
            except BaseException:
                with nogil:
                    d43_gate_enter(&self.gate)      # whoever called leaves
                raise
        return 0

    def say(self):
        """Before the first write: the stamp goes, and a marker says that there will be writes that are not synced."""
        cdef int rc
        self.stamped = self.stamped and lift_stamp(self.path)       # which gives 0
        if self.durability == COMMIT:
            return
        rc = d43_worker_error(&self.worker)
        if rc:
            lmdb_raise(rc, "the background sync of", self.path)
        with self.marking, told("writing to", self.path):
            if self.marker is None:
                marker = place_marker(self.path)
                try:
                    rc = self.mark(marker)
                finally:
                    if self.marker is not marker:   # a finalizer that ran meanwhile has placed one, or it is closed
                        remove_marker(marker, self.path)
                if rc:
                    lmdb_raise(rc, "syncing", self.path)

    cdef int mark(self, tuple marker) except? -1:
        """Take over a marker; under ``batch`` with a way back to the state before. A status."""
        cdef int rc = 0
        self.enter()
        if self.marker is None:
            self.saver.marker = marker[0]
            if self.durability == BATCH:
                d43_worker_touch(&self.worker)
                with nogil:
                    rc = d43_worker_now(&self.worker, 1)
            if rc:
                self.saver.marker = -1
            else:
                self.marker = marker
        self.leave()
        return rc

    cdef void let_go(self) noexcept:
        """Of what is locked. A marker that is still there tells the next who opens the store, in this process too."""
        if self.saver.marker >= 0:
            posix_close(self.saver.marker)
        self.saver.marker = -1
        self.marker = None
        if self.claim is not None:
            posix_close(self.claim)
        self.claim = None

    cdef int committed(self, bint durable) noexcept nogil:
        if self.durability == COMMIT:
            return 0
        d43_worker_touch(&self.worker)
        saver_follow(&self.saver, self.last_txn())
        return self.sync_in_line() if durable or saver_pressed(&self.saver, self.last_txn()) else 0

    cdef int sync_in_line(self) noexcept nogil:
        """One sync for all who stand in line: each has committed before it came."""
        cdef d43_waiter mine
        cdef d43_waiter* all = d43_line_join(&self.line, &mine)
        cdef d43_waiter* one = all
        cdef int rc
        if all != NULL:
            rc = d43_worker_now(&self.worker, 1)
            while one != NULL:
                one.rc = rc
                one = one.next
            d43_line_leave(&self.line, all)
        return mine.rc

    cdef bint unsynced(self) noexcept nogil:
        return d43_worker_dirty(&self.worker)

    cdef int sync(self) except -1:
        """Bring all that was committed to the disk."""
        cdef int rc
        self.enter()
        with nogil:
            rc = d43_worker_now(&self.worker, 1)
            self.leave()
        if rc:
            lmdb_raise(rc, "syncing", self.path)
        return 0

    cdef int join_journal(self) except -1:
        cdef MDB_txn* txn = NULL
        cdef uint64_t age, size
        cdef int rc
        with nogil:
            d43_gate_close(&self.gate)      # a table is opened by one transaction at a time
        try:
            if self.env == NULL:
                raise ClosedError(f"the store {self.path} was closed; open it again")
            rc = mdb_txn_begin(self.env, NULL, MDB_RDONLY, &txn)
            if rc == MDB_MAP_RESIZED:
                return 0                    # whoever called finds the larger map first
            if rc == 0:
                rc = journal_settings(txn, self.meta, &age, &size)
            if rc == 0 and not self.journal.on:
                rc = mdb_dbi_open(txn, b"journal", 0, &self.journal.table)
            if rc:
                if rc == MDB_NOTFOUND:
                    self.journal.checked = mdb_txn_id(txn)      # nobody is inside, so no writer of ours either
                mdb_txn_abort(txn)
                return 0 if rc == MDB_NOTFOUND else lmdb_raise(rc, "reading the journal of", self.path)
            rc = mdb_txn_commit(txn)        # only a commit makes the table's handle last
            if rc:
                lmdb_raise(rc, "reading the journal of", self.path)
            self.journal.checked = 0
            self.journal.on = True
        finally:
            d43_gate_open(&self.gate)
        return 0

    def release(self):
        """One user less; the last one closes it, after the calls in flight."""
        with OPENING:
            self.users -= 1
            if self.users == 0:
                OPEN.pop(self.identity, None)
                with told("closing", self.path):
                    self.shut()

    cdef int shut(self) except -1:
        cdef int rc = 0
        if not self.own() or self.env == NULL:
            self.env = NULL                 # a child that never used it: the handle is the parent's
            return 0
        with nogil:
            d43_gate_close(&self.gate)
            d43_worker_stop(&self.worker)
            d43_worker_stop(&self.mover)
            rc = d43_worker_now(&self.worker, 1)
        self.drop_handle()
        d43_gate_open(&self.gate)       # whoever was waiting finds it closed; what follows may run Python code
        try:
            if rc:
                lmdb_raise(rc, "syncing", self.path)
            if self.marker is not None:
                marker, self.marker = self.marker, None
                self.saver.marker = -1
                remove_marker(marker, self.path)
            if not self.stamped and not self.readonly:
                leave_stamp(self.path, self.doubtful)
        finally:
            self.let_go()
        return 0

"""What is done to the directory of a store as a whole: readers listed, a file written anew, a damaged one set aside.

To write the file anew, or to move it, nobody may have it open. LMDB tells: as long as an environment is open it holds
a shared lock on the first byte of ``lock.mdb``, so whoever locks that byte for himself is alone, and LMDB lets nobody
in before he is done. Closing any descriptor of that file gives up all such locks of this process; so nothing here
opens it while this process has the store open.
"""

import contextlib
import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait

from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport strlen

from clib.lmdb cimport *
from door43fast.native.directory cimport alone, prepare, stale_markers, sync_directory
from door43fast.native.environment cimport is_open
from door43fast.native.status cimport lmdb_raise, told
from door43fast.native.tables cimport MAX_TABLES
from door43fast.native.trust cimport lift_stamp

from door43fast.contracts import Reader
from door43fast.errors import ConfigError, CorruptError

cdef double LOOK = 0.1          # seconds between two looks at how far a copy has come
cdef tuple OURS = ("data.mdb", "lock.mdb", "batch.lock", "closed")
cdef str COMPACTED = "compacted.partial"


cdef int _line(const char* text, void* lines) noexcept with gil:
    try:
        (<list>lines).append(PyUnicode_DecodeASCII(text, strlen(text), NULL))
    except BaseException:
        return -1
    return 0


cdef int reader_lines(MDB_env* env, list lines) noexcept:
    return mdb_reader_list(env, _line, <void*>lines)


cdef list list_readers(list lines, int rc, size_t newest):
    cdef list found = []
    if rc < 0:
        raise MemoryError("no memory to list the readers")
    for line in "".join(lines).splitlines():
        fields = line.split()
        if len(fields) != 3 or not fields[0].isdigit():
            continue                # the heading, or LMDB's word for an empty table
        pid, at = int(fields[0]), None if fields[2] == "-" else int(fields[2])
        found.append(Reader(pid, int(fields[1], 16), at, None if at is None else max(newest - at, 0), _alive(pid)))
    return found


cdef bint _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:         # another user's
        return True
    return True


cdef MDB_env* _bare(str path, unsigned int flags) except NULL:
    """An environment of our own beside the stores'. REQUIRES: this process has the store not open."""
    cdef MDB_env* env = NULL
    cdef int rc = mdb_env_create(&env)
    if rc == 0:
        rc = mdb_env_set_maxdbs(env, MAX_TABLES)
    if rc == 0:
        rc = mdb_env_open(env, os.fsencode(path), flags | MDB_NOTLS, 0o644)
    if rc:
        mdb_env_close(env)
        lmdb_raise(rc, "opening", path)
    return env


def readers(path, clear=False):
    """Who has a place in the table of readers of the store in ``path``, and how many dead ones were cleared.

    It opens no store, so that it finds the table as it is. ``clear`` takes out what dead processes have left.
    """
    cdef str full = _directory(path, "its readers are listed by its own readers()")
    cdef MDB_env* env = _bare(full, MDB_RDONLY)
    cdef MDB_envinfo info
    cdef list lines = []
    cdef int rc = 0, dead = 0
    try:
        mdb_env_info(env, &info)
        if clear:
            rc = mdb_reader_check(env, &dead)
        if rc:
            lmdb_raise(rc, "clearing the readers of", full)
        return list_readers(lines, reader_lines(env, lines), info.me_last_txnid), dead
    finally:
        mdb_env_close(env)


def keys_of(path):
    """The mode of the keys that the store in ``path`` was created with."""
    cdef str full = _directory(path, "it is known already")
    cdef MDB_env* env = _bare(full, MDB_RDONLY | MDB_NOLOCK)
    cdef MDB_txn* txn = NULL
    cdef MDB_dbi meta
    cdef MDB_val key, value
    cdef int rc
    try:
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)
        if rc == 0:
            rc = mdb_dbi_open(txn, b"meta", 0, &meta)
        key.mv_data = <char*>b"keys"
        key.mv_size = 4
        if rc == 0:
            rc = mdb_get(txn, meta, &key, &value)
        if rc == MDB_NOTFOUND or rc == MDB_INCOMPATIBLE:
            return "str"            # opening it says what is wrong with it
        if rc:
            lmdb_raise(rc, "reading", full)
        return (<char*>value.mv_data)[:value.mv_size].decode()
    finally:
        if txn != NULL:
            mdb_txn_abort(txn)
        mdb_env_close(env)


cdef str _directory(object path, str instead):
    cdef str full = os.path.abspath(os.fsdecode(path))
    if not os.path.exists(os.path.join(full, "data.mdb")):
        raise ConfigError(f"{full} holds no store; check the path")
    if is_open(full):
        raise ConfigError(f"{full} is open in this process; {instead}")
    return full


@contextlib.contextmanager
def _unshared(path, what):
    """Nobody else has the store open, and nobody comes in. REQUIRES: alone, and not open in this process."""
    fd = os.open(os.path.join(path, "lock.mdb"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        except OSError:
            raise ConfigError(f"{path} is open in another process and cannot be {what} meanwhile; close it there "
                              "and repeat") from None
        yield
    finally:
        os.close(fd)


cdef object watched(object copy, str file, size_t total, object progress):
    cdef size_t done = 0
    if progress is None:
        return copy()
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(copy)
        ended = False
        while not ended:        # at least once, however fast it went
            ended = bool(wait([task], LOOK).done)
            with contextlib.suppress(FileNotFoundError):
                done = min(os.stat(file).st_size, total)
            progress(done, total, os.path.basename(file))
        return task.result()


def compact(path, *, progress=None):
    """Write the file of a store anew, without what is free in it, in place of the old one.

    Nobody may have the store open meanwhile; ``store.backup(path)`` writes a compact copy of one that is in use. The
    old file gives way only when the new one is whole and synced: a crash leaves the one or the other.

    Parameters
    ----------
    path : str or os.PathLike
        The directory of the store.
    progress : callable, optional
        Called in this thread as ``progress(done, total, name)`` with bytes, now and then.

    Returns
    -------
    dict
        ``before`` and ``after``, the sizes of the file in bytes.

    Raises
    ------
    ConfigError
        If there is no store, or it is open in this or another process.
    CorruptError
        If the file cannot be read to its end; the old one stays.
    """
    cdef str full = _directory(path, "close it before it is compacted")
    cdef str file = os.path.join(full, "data.mdb"), partial = os.path.join(full, COMPACTED)
    with told("compacting", full), alone(full):
        with _unshared(full, "compacted"):
            if stale_markers(full):
                raise ConfigError(f"{full} was not closed by its last process; open and close it once, and repeat")
            before = os.stat(file).st_size
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)          # of one that was broken off
            try:
                fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                try:
                    watched(lambda: _copy(full, fd), partial, before, progress)
                    os.fsync(fd)
                finally:
                    os.close(fd)
                lift_stamp(full)            # it is of the old file
                os.replace(partial, file)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial)
                raise
            sync_directory(full)
            return {"before": before, "after": os.stat(file).st_size}


def _copy(str path, int fd):
    cdef MDB_env* env = _bare(path, MDB_RDONLY | MDB_NOLOCK)
    cdef int rc
    with nogil:
        rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT)
        mdb_env_close(env)
    if rc == MDB_INCOMPATIBLE:
        raise CorruptError(f"{path} cannot be compacted: its pages do not add up; run verify(), and restore a backup")
    if rc:
        lmdb_raise(rc, "compacting", path)


cdef str set_aside(str path):
    cdef str aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}", unique = aside
    cdef int n = 1
    with told("setting aside", path), alone(path):
        with _unshared(path, "set aside"):
            while os.path.exists(unique):
                n += 1
                unique = f"{aside}-{n}"
            prepare(unique)
            # The data first: what a crash leaves behind then speaks of a file that is gone, and open takes it away.
            for name in [*OURS, *(os.path.basename(file) for file, _ in stale_markers(path))]:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(os.path.join(path, name), os.path.join(unique, name))
                sync_directory(path)
            sync_directory(unique)
    return unique

"""From the status of a C call to the exception: the one door."""

import contextlib

from libc.errno cimport EACCES, EAGAIN, EDQUOT, EFBIG, EIO, ENOMEM, ENOSPC, EROFS

from clib.lmdb cimport *
from door43fast.native.saver cimport SYNC_FAILED

from door43fast.native.longrow cimport LONG_HEAD, LONG_TWINS, LONG_UNSEEN, MAX_KEY, TWINS_FULL

from door43fast.errors import (BackendUnavailableError, CorruptError, Error, FormatError, KeyTooLongError, MapFullError,
                               ReadOnlyError)


cdef int lmdb_raise(int rc, str what, object subject) except -1:
    """The one door from a status to an exception: ``what`` was tried, with ``subject`` (a path or a key)."""
    cdef str tried = f"{what} {subject!r}" if subject is not None else what
    if rc == SYNC_FAILED:
        raise CorruptError(f"{tried} failed: a sync of the file has failed, and what was written since the one before "
                           "may not be on the disk, whatever later ones say. See to the disk, close the store and "
                           "open it again: it goes back to what was synced, or is checked where there is no way back")
    if rc == MDB_MAP_FULL:
        raise MapFullError(f"{tried} failed: the map is full and cannot grow within the address space that this "
                           "process may use (ulimit -v); raise that limit, or open with a smaller map_size=")
    if rc == ENOSPC or rc == EDQUOT:
        raise MapFullError(f"{tried} failed: the disk is full; nothing of it was written. Free some space and repeat")
    if rc == EIO:           # LMDB's word for a write that came back short, too
        raise MapFullError(f"{tried} failed: the disk is full, the file may not grow (ulimit -f), or the disk fails; "
                           "nothing of it was written. See to the disk and repeat")
    if rc == EFBIG:
        raise MapFullError(f"{tried} failed: the file may not grow; nothing of it was written. Raise the limit of file "
                           "sizes (ulimit -f), or move the store to a file system that holds larger files")
    if rc == ENOMEM:
        raise MapFullError(f"{tried} failed: no memory or address space is left; raise the limit (ulimit -v), or open "
                           "with a smaller map_size=")
    if rc == EACCES or rc == EROFS:
        raise ReadOnlyError(f"{tried} failed: the files may not be written by this user or file system; change "
                            "the permissions, or open with readonly=True, for which lock.mdb must be writable all the "
                            "same unless the whole file system is to be read only")
    if rc == MDB_READERS_FULL:
        raise BackendUnavailableError(f"{tried} failed: all {MAX_READERS} places for readers are taken; let "
                                      "transactions and processes that read this store end")
    if rc == MDB_VERSION_MISMATCH or rc == MDB_INVALID:
        raise FormatError(f"{tried} failed: the files are not of LMDB 0.9 ({mdb_strerror(rc).decode()}); they were "
                          "left untouched")
    if rc == MDB_PANIC:
        raise CorruptError(f"{tried} failed: the write of a head page has failed before, and LMDB takes no more. Close "
                           "the store and open it again; what was acknowledged is in it")
    if rc == MDB_CORRUPTED or rc == MDB_PAGE_NOTFOUND or rc == MDB_BAD_TXN:
        raise CorruptError(f"{tried} failed: {mdb_strerror(rc).decode()}; run verify(), and restore a backup")
    if rc == TWINS_FULL:
        raise KeyTooLongError(f"{tried[:200]} failed: {LONG_TWINS:d} other keys of more than {MAX_KEY:d} bytes have "
                              f"the same first {LONG_HEAD:d} bytes and the same hash of 128 bits, which comes by "
                              "intent only; shorten the key, or begin it otherwise")
    if rc == LONG_UNSEEN:
        raise FormatError(f"{tried[:200]} failed: keys of more than {MAX_KEY:d} bytes were written since the store was "
                          "opened with readonly=True, when it had no table for them; close it and open it again")
    if rc == EAGAIN:
        raise BackendUnavailableError(f"{tried} failed: the lock file is held by a process of another kind; "
                                      "close it and repeat")
    raise Error(f"{tried} failed: {mdb_strerror(rc).decode()} (status {rc})")


@contextlib.contextmanager
def _told(what, path):
    try:
        yield
    except OSError as error:
        lmdb_raise(error.errno or EIO, what, path)


cdef object told(str what, str path):
    return _told(what, path)

"""SQLite's errors as ours: what happened, to which file, what to do."""

from __future__ import annotations

import errno
import sqlite3

from door43fast.errors import BackendUnavailableError, CorruptError, FormatError, ReadOnlyError


def translated(error: sqlite3.Error, path: str, busy_timeout: float) -> Exception:
    """The exception to raise for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BackendUnavailableError(f"{path!r} has been locked by another process for longer than busy_timeout="
                                       f"{busy_timeout:g} seconds, and nothing was written: end that transaction, or "
                                       "wait longer")
    if code == sqlite3.SQLITE_CORRUPT:
        return CorruptError(f"{path!r} is damaged ({error}): restore a backup, or save what is left with the .recover "
                            "command of the sqlite3 shell")
    if code == sqlite3.SQLITE_NOTADB:
        return FormatError(f"{path!r} is no SQLite database: it was left untouched; name another file")
    if code == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, "the disk is full and nothing was written; free some space", path)
    if code == sqlite3.SQLITE_READONLY:
        return ReadOnlyError(f"{path!r} cannot be written to ({error}): change its permissions, or pass readonly=True")
    if code == sqlite3.SQLITE_CANTOPEN:
        return BackendUnavailableError(f"{path!r} cannot be opened ({error}): see that it is a file in a folder that "
                                       "you may write to")
    if code == sqlite3.SQLITE_IOERR:
        return OSError(errno.EIO, f"the disk failed ({error}); nothing is known of the last write", path)
    return BackendUnavailableError(f"{path!r}: SQLite refused a call ({error}); report this")

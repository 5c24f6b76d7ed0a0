"""The forms in SQLite: one table from key to value, by one connection.

Nothing of the file is changed but rows of that table: not the journal mode, not the schema, not what else is in it. A
row whose key is NULL, which SQLite lets happen, is passed over, as is one whose key is empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import (
    BackendUnavailableError, BudgetError, ClosedError, ConfigError, CorruptError, FormatError, ReadOnlyError)
from door43fast.plugins import sync_path
from door43fast.plugins.asyncstorage import forms

LOT = 500           # keys that one query asks for
CHUNK = 256         # rows that a scan reads with one query

Text = str | None


class Database:
    """A storage in SQLite. ``options`` are those of the store. Any thread may call any method."""

    transactions = True

    def __init__(self, path: str, options: Any, form: str | None) -> None:
        self.path = path
        self._options = options
        self._guard = threading.RLock()     # of the connection; held while it is used, and from begin to end of a write
        self._connection: sqlite3.Connection | None = None
        self._writing = False
        self._closed = False
        self._news = 0
        self._version = 0
        self._most = 0
        if form is not None:
            self._make(forms.FORMS[form])
        try:
            with self._using() as connection:
                self.form = forms.of_file(connection, path)
        except BaseException:
            self._let_go()
            raise
        self.nulls = self.form.nulls
        self._most = (self.form.max_bytes if options.max_bytes is None else options.max_bytes) or 0
        self._let_go()      # what opens next is bound by it

    # -- the connection --------------------------------------------------------------------------------------

    def _make(self, form: forms.Form) -> None:
        """A new file, made beside its place and put there whole."""
        if not form.makes:
            raise ConfigError(f"a storage of the form {form.name!r} is made by the app alone, which signs it: make one "
                              "of form='android' named RKStorage, which the app takes over when it starts")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        beside = f"{self.path}.{os.getpid()}-{os.urandom(4).hex()}"
        connection = sqlite3.connect(beside, isolation_level=None)
        try:
            connection.execute("BEGIN")
            for statement in form.makes:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={form.version}")
            connection.execute("COMMIT")
            connection.close()
            sync_path(beside)
            if os.path.exists(self.path):       # empty: nobody has a byte in it
                os.replace(beside, self.path)
            else:
                with contextlib.suppress(FileExistsError):      # of another process that makes it now
                    os.link(beside, self.path)
            sync_path(os.path.dirname(self.path))
        finally:
            connection.close()
            for left in (beside, f"{beside}-journal"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(left)

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise ClosedError(f"the storage at {self.path!r} is closed: open it again before use")
        if self._connection is None:
            mode = "ro" if self._options.readonly else "rw"
            connection = sqlite3.connect(f"{Path(self.path).as_uri()}?mode={mode}", uri=True, isolation_level=None,
                                         check_same_thread=False, timeout=self._options.busy_timeout)
            connection.text_factory = bytes     # decoded by us, so that an error says of which key
            if not self._options.readonly:
                connection.execute(f"PRAGMA synchronous={'FULL' if self._options.durability == 'commit' else 'NORMAL'}")
                if self._most:      # as the app's own connection is bound
                    size = connection.execute("PRAGMA page_size").fetchone()[0]
                    connection.execute(f"PRAGMA max_page_count={max(self._most // size, 1)}").fetchall()
            self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                yield self._open()
            except sqlite3.Error as error:
                raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return BackendUnavailableError(
                f"{self.path!r} has been locked by another process for longer than busy_timeout="
                f"{self._options.busy_timeout:g} seconds, and nothing was written: end it, or wait longer")
        if code == sqlite3.SQLITE_NOTADB:
            return FormatError(f"{self.path!r} is no SQLite file: it was left untouched; name the app's own")
        if code == sqlite3.SQLITE_CORRUPT:
            return CorruptError(f"{self.path!r} is damaged ({error}): restore a copy, or save what is left with the "
                                ".recover command of the sqlite3 shell")
        if code == sqlite3.SQLITE_FULL:
            return self._full()
        if code == sqlite3.SQLITE_READONLY:
            return ReadOnlyError(f"{self.path!r} cannot be written to ({error}): change its permissions, or pass "
                                 "readonly=True")
        if code == sqlite3.SQLITE_IOERR:
            return OSError(errno.EIO, f"the disk failed ({error}); nothing is known of the last write", self.path)
        return BackendUnavailableError(f"{self.path!r} cannot be used ({error}): see that it is a file in a folder "
                                       "that you may write to, since SQLite keeps side files beside it")

    def _full(self) -> Exception:
        if self._most and shutil.disk_usage(os.path.dirname(self.path)).free > 2 * self._most:
            return BudgetError(f"{self.path!r} would grow beyond {self._most} bytes, and nothing was written: Android "
                               "bounds an app's storage so, by 6 MB if it was not built with more; take something "
                               "out, or give max_bytes= what the app was built with")
        return OSError(errno.ENOSPC, "the disk is full and nothing was written; free some space", self.path)

    # -- reading ---------------------------------------------------------------------------------------------

    def fetch(self, keys: Sequence[str]) -> list[Any]:
        """The text under each key, None for NULL, MISSING where there is none; all of one state."""
        found: dict[str, Text] = {}
        with self._using() as connection, self._one_state(connection, len(keys) > LOT):
            for at in range(0, len(keys), LOT):
                part = keys[at:at + LOT]
                for key, value in connection.execute(
                        f"SELECT key, value FROM {self.form.table} WHERE key IN ({', '.join('?' * len(part))})", part):
                    found[key.decode()] = self._text(key, value)
        return [found.get(key, MISSING) for key in keys]

    @contextlib.contextmanager
    def _one_state(self, connection: sqlite3.Connection, several: bool) -> Iterator[None]:
        if not several or connection.in_transaction:
            yield
            return
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def _text(self, key: Any, value: Any) -> Text:
        if value is None:
            return None
        try:
            return value.decode()
        except (UnicodeDecodeError, AttributeError):
            raise CorruptError(f"the value of key {key!r} in {self.path!r} is no text in UTF-8: the app did not write "
                               "it so; set the key anew") from None

    def rows(self, low: str, high: str | None, reverse: bool) -> Iterator[tuple[str, Text]]:
        """Keys and texts in order, in chunks of one state each."""
        after: str | None = None
        while True:
            end, bound = ("", []) if high is None else (" AND key < ?", [high])
            if after is not None:
                end, bound = end + (" AND key < ?" if reverse else " AND key > ?"), [*bound, after]
            with self._using() as connection:
                chunk = connection.execute(
                    f"SELECT key, value FROM {self.form.table} WHERE typeof(key) = 'text' AND key <> '' AND key >= ?"
                    f"{end} ORDER BY key{' DESC' if reverse else ''} LIMIT {CHUNK}", [low, *bound]).fetchall()
            for raw, value in chunk:
                after = self._text(raw, raw)
                yield after, self._text(raw, value)     # type: ignore[misc]
            if len(chunk) < CHUNK:
                return

    def count(self) -> int:
        with self._using() as connection:
            return connection.execute(f"SELECT count(*) FROM {self.form.table} WHERE typeof(key) = 'text' AND "
                                      "key <> ''").fetchone()[0]

    def epoch(self) -> int:
        """A number that grows when another has written."""
        with self._using() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._version = version
                self._news += 1
            return self._news

    def occupied(self) -> int:
        return sum(os.path.getsize(name) for name in (self.path, f"{self.path}-wal") if os.path.exists(name))

    # -- writing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all that is written within it, or nothing."""
        with self._guard:
            if self._writing:
                yield
                return
            with self._using() as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._writing = True
                try:
                    yield
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                finally:
                    self._writing = False

    def put(self, changes: Sequence[tuple[str, Any]]) -> None:
        """Keep texts, or take out what is MISSING. REQUIRES: within :meth:`writing`."""
        table = self.form.table
        with self._using() as connection:
            connection.executemany(f"INSERT OR REPLACE INTO {table} (key, value) VALUES (?, ?)",
                                   [(key, text) for key, text in changes if text is not MISSING])
            connection.executemany(f"DELETE FROM {table} WHERE key = ?",
                                   [(key,) for key, text in changes if text is MISSING])

    def erase(self, low: str, high: str | None) -> None:
        """Take out a range; of everything, also the rows without a key, as the app's ``clear`` does."""
        condition, bound = ("1", []) if not low and high is None else (
            ("key >= ?", [low]) if high is None else ("key >= ? AND key < ?", [low, high]))
        with self._using() as connection:
            connection.execute(f"DELETE FROM {self.form.table} WHERE {condition}", bound)

    # -- care ------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        for name in (self.path, f"{self.path}-wal"):
            if os.path.exists(name):
                sync_path(name)

    def wrong(self) -> Iterator[str]:
        """What SQLite's own check finds."""
        with self._using() as connection:
            found = [row[0].decode() for row in connection.execute("PRAGMA integrity_check")]
        for one in found:
            if one != "ok":
                yield f"{self.path!r}: {one}"

    def copy(self, target: str, progress: Callable[[int, int, str], Any] | None) -> None:
        """One state as one file, without side files."""
        if os.path.exists(target):
            raise FileExistsError(errno.EEXIST, "a backup does not overwrite: name a new file", target)
        beside = f"{target}.part"
        other = sqlite3.connect(beside)
        try:
            try:
                with self._using() as connection:
                    connection.backup(other)
                other.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                other.close()
            sync_path(beside)
            os.rename(beside, target)
            sync_path(os.path.dirname(target))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        if progress is not None:
            progress(1, 1, "files")

    def forking(self) -> None:
        """A connection must not be carried over a fork. Holds everybody off until ``forked``."""
        self._guard.acquire()
        self._let_go()

    def forked(self, here: bool) -> None:
        if here:
            self._guard.release()
        else:
            self._guard = threading.RLock()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._version = 0       # the next connection counts anew: whatever was written meanwhile is news
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """The log, where the app keeps one, is emptied into the file by SQLite itself if nobody else has it open."""
        with self._guard:
            self._closed = True
            self._let_go()

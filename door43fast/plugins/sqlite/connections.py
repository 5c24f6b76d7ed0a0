"""The connections to one database: one that writes, and a pool of those that read.

Whoever reads takes a connection and gives it back. Closing, and a fork, wait until all are back: SQLite must not be
carried over a fork, since a child would inherit the record of locks, but not the locks.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Any

from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError, FormatError
from door43fast.plugins import sync_path
from door43fast.plugins.sqlite.failures import translated

APPLICATION = 0x44343346    # "D43F": says in the file's head whose it is
FORMAT = 1
STATEMENTS = 64             # prepared statements that each connection keeps
SCHEMA = """
CREATE TABLE records (
    key TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL,                     -- text and numbers as they are, everything else as the codec's bytes
    mark INTEGER NOT NULL DEFAULT 1,        -- the codec's mark: 0 bytes, 1 text, 2 MessagePack and numbers, 3 JSON, ...
    deadline REAL,                          -- Unix time at which it expires
    stale REAL NOT NULL DEFAULT 0,          -- seconds after it for which get_or_compute may still give it
    tags TEXT,                              -- JSON: [[tag, generation], ...]
    version INTEGER NOT NULL DEFAULT 1      -- another one for each write
) STRICT, WITHOUT ROWID;
CREATE INDEX due ON records (deadline + stale) WHERE deadline IS NOT NULL;
CREATE TABLE tags (tag TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


class Connections:
    """The connections of one store. ``options`` are those of the store."""

    def __init__(self, options: Any) -> None:
        self.path = os.path.abspath(options.path)
        self._options = options
        self._idle: deque[sqlite3.Connection] = deque()
        self._lock = threading.Lock()               # of the two below, and held while nobody may take a connection
        self._returned = threading.Condition(threading.Lock())
        self._readers = 0                           # that there are, lent ones too
        self._writer: sqlite3.Connection | None = None
        self._ending = False
        self._closed = False
        self._found()

    def _found(self) -> None:
        """See that the file is ours, and make it where there is none."""
        options = self._options
        there = os.path.exists(self.path)
        if not there and (options.readonly or not options.create):
            raise ConfigError(f"there is no store at {self.path!r}: see the path, or open it with create=True and "
                              "without readonly")
        if there and os.path.getsize(self.path) == 1:       # which SQLite takes for an empty one
            raise FormatError(f"{self.path!r} is no SQLite database: it was left untouched; name another file")
        if not there:
            self._make()
        connection = self._connect("ro" if options.readonly else "rwc")
        try:
            self._ours(connection)
            if not options.readonly:
                self._settle(connection)
        except sqlite3.Error as error:
            connection.close()
            raise translated(error, self.path, options.busy_timeout) from error
        except BaseException:
            connection.close()
            raise
        if options.readonly:
            self._idle.append(connection)
            self._readers = 1
        else:
            self._writer = connection

    def _make(self) -> None:
        """A new file, made beside its place and put there whole; where another process was quicker, its file stays."""
        folder = os.path.dirname(self.path)
        os.makedirs(folder, exist_ok=True)
        beside = f"{self.path}.{os.getpid()}-{os.urandom(4).hex()}"
        connection = self._connect("rwc", beside)
        try:
            connection.execute("PRAGMA synchronous=OFF")
            self._ours(connection)
            connection.close()
            sync_path(beside)
            with contextlib.suppress(FileExistsError):
                os.link(beside, self.path)
            sync_path(folder)
        except sqlite3.Error as error:
            raise translated(error, self.path, self._options.busy_timeout) from error
        finally:
            connection.close()
            for left in (beside, f"{beside}-wal", f"{beside}-shm"):
                if os.path.exists(left):
                    os.unlink(left)

    def _ours(self, connection: sqlite3.Connection) -> None:
        def number(name: str) -> int:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]
        if number("application_id") == APPLICATION:
            if number("user_version") != FORMAT:
                raise FormatError(f"{self.path!r} has the format {number('user_version')}, and this version of "
                                  f"door43fast reads {FORMAT}: upgrade")
            return
        if self._options.readonly or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise FormatError(f"{self.path!r} is a database of another program: it was left untouched; name another "
                              "file")
        if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
            raise BackendUnavailableError(f"{self.path!r} lies where SQLite cannot keep a write-ahead log: use a local "
                                          "disk")
        connection.execute("BEGIN IMMEDIATE")       # two processes may be here at once
        if number("application_id") != APPLICATION:
            for statement in SCHEMA.split(";\n")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute("COMMIT")

    def _settle(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if self._options.durability == 'commit' else 'NORMAL'}")
        connection.execute(f"PRAGMA journal_size_limit={self._options.wal_bytes}")

    def _connect(self, mode: str, path: str | None = None) -> sqlite3.Connection:
        try:
            # As a URI, so that no path means anything but a file.
            connection = sqlite3.connect(f"{Path(path or self.path).as_uri()}?mode={mode}", uri=True,
                                         isolation_level=None, timeout=self._options.busy_timeout,
                                         check_same_thread=False, cached_statements=STATEMENTS)
            connection.execute(f"PRAGMA cache_size=-{max(self._options.cache_bytes // 1024, 1)}")
            return connection
        except sqlite3.Error as error:
            raise translated(error, self.path, self._options.busy_timeout) from error

    # -- who writes, who reads -------------------------------------------------------------------------------

    def writer(self) -> sqlite3.Connection:
        """The one that writes. REQUIRES: the caller holds the store's lock."""
        if self._writer is None:
            if self._closed:
                raise ClosedError(f"the store at {self.path!r} is closed: open it again before use")
            connection = self._connect("rw")
            self._settle(connection)
            self._writer = connection
        return self._writer

    @property
    def fresh(self) -> bool:
        """Whether the writer has yet to be opened, or opened again."""
        return self._writer is None

    def take(self) -> sqlite3.Connection:
        """One that reads; give it back."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        while True:
            with self._lock:
                if self._closed:
                    raise ClosedError(f"the store at {self.path!r} is closed: open it again before use")
                if self._readers < self._options.readers:
                    self._readers += 1
                    break
            with self._returned:
                if not self._idle:
                    self._returned.wait(0.05)
            try:
                return self._idle.pop()
            except IndexError:
                continue
        try:
            connection = self._connect("ro" if self._options.readonly else "rw")
            connection.execute("PRAGMA query_only=1")
            return connection
        except BaseException:
            with self._lock:
                self._readers -= 1
            raise

    def give(self, connection: sqlite3.Connection) -> None:
        """Back from ``take``."""
        self._idle.append(connection)
        if self._readers >= self._options.readers or self._ending:
            with self._returned:
                self._returned.notify_all()

    # -- the end, and forks ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Close all, when the lent ones are back, and lend none until ``resume``."""
        self._lock.acquire()
        self._ending = True
        while self._readers:
            try:
                self._idle.pop().close()
                self._readers -= 1
            except IndexError:
                with self._returned:
                    if not self._idle:
                        self._returned.wait(0.05)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def resume(self) -> None:
        self._ending = False
        self._lock.release()

    def renew(self) -> None:
        """In the child of a fork, for which all were closed."""
        self._lock = threading.Lock()
        self._returned = threading.Condition(threading.Lock())
        self._ending = False

    def close(self) -> None:
        self.pause()
        self._closed = True
        self.resume()

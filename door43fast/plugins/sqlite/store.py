"""The store over SQLite: records in one table that any SQLite shell can read."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.config import Duration, Location, Size
from door43fast.contracts import JSON, MSGPACK, STR
from door43fast.errors import ConfigError, CorruptError, Error
from door43fast.plugins import BackendOptions, Record, RecordStore, sync_path
from door43fast.plugins.sqlite import queries
from door43fast.plugins.sqlite.connections import Connections
from door43fast.plugins.sqlite.failures import translated
from door43fast.plugins.sqlite.syncing import Syncer, sync

CHUNK = 512                         # records that a scan reads with one query
CHECKS = 16                         # commits between two looks at the size of the log
PATIENCE = 1000                     # milliseconds that emptying the log waits for those who read
WHOLE = 1 << 63


class SqliteOptions(BackendOptions, kw_only=True):
    """The options of ``SqliteStore``."""

    path: Annotated[Location, Meta(description="The database file.")]
    durability: Annotated[Literal["commit", "batch", "none"], Meta(
        description="What survives a power loss: every acknowledged write; all but the last `sync_interval`; all up to "
                    "the last checkpoint. The store itself is whole in each case.")] = "commit"
    sync_interval: Annotated[Duration, Meta(description="Time between two syncs under `batch`.")] = 0.1
    busy_timeout: Annotated[Duration, Meta(
        description="How long to wait for another process that writes, before `BackendUnavailableError`.")] = 5.0
    readers: Annotated[int, Meta(ge=1, le=1000, description="The most connections that read at once.")] = 16
    cache_bytes: Annotated[Size, Meta(description="Pages that each connection keeps in memory, in bytes.")] = 8 << 20
    wal_bytes: Annotated[Size, Meta(description="Size of the write-ahead log beyond which it is emptied, waiting for "
                                                "those who read.")] = 64 << 20
    readonly: Annotated[bool, Meta(description="Refuse every write.")] = False
    create: Annotated[bool, Meta(description="Create the file where there is none.")] = True


class SqliteStore(RecordStore):
    """A store in one SQLite file, for many threads and processes."""

    Options = SqliteOptions
    capabilities = RecordStore.capabilities._replace(backup=True, shared=True)

    @staticmethod
    def unavailable() -> tuple[str, str] | None:
        if sqlite3.sqlite_version_info < (3, 37):
            return f"SQLite {sqlite3.sqlite_version} is too old", "use a Python with SQLite 3.37 or later"
        return None

    def __init__(self, options: SqliteOptions | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        if self.options.sync_interval <= 0:
            raise ConfigError(f"sync_interval={self.options.sync_interval!r} must be more than 0")
        self._native = self.options.codec == "auto"     # numbers and text go into columns as they are
        self._texts = isinstance(self.options.codec, str)
        self._writes_in = 0         # the thread in a transaction
        self._commits = 0
        self._news = 0              # grows when another process has committed
        self._data_version = 0
        self._connections = Connections(self.options)
        self._flights_file = f"{self._connections.path}-flights"
        self._syncer = Syncer(self._connections.path, self.options.sync_interval)

    @property
    def path(self) -> str:
        """The database file."""
        return self._connections.path

    # -- values ----------------------------------------------------------------------------------------------

    def _encode(self, value: Any) -> tuple[int, Any]:
        if self._native:
            kind = type(value)
            if kind is int and -WHOLE <= value < WHOLE:
                return MSGPACK, value
            if kind is float and value == value and value:      # not NaN, which is NULL, and no zero, which has a sign
                return MSGPACK, value
        mark, payload = self._codec.encode(value)
        if self._texts and mark in (STR, JSON):
            return mark, bytes(payload).decode()
        return mark, payload

    def _decode(self, record: Record) -> Any:
        payload = record.payload
        kind = type(payload)
        if kind is str:
            return payload if record.mark == STR else self._codec.decode(record.mark, payload.encode())
        return self._codec.decode(record.mark, payload) if kind is bytes else payload

    # -- reading ---------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """``work`` with a connection to read by: in a transaction of this thread, the one that writes."""
        if self._writes_in == threading.get_ident():
            return self._with(self._connections.writer(), work)
        connection = self._connections.take()
        try:
            return self._with(connection, work)
        finally:
            self._connections.give(connection)

    def _with(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
        try:
            return work(connection)
        except sqlite3.Error as error:
            raise translated(error, self.path, self.options.busy_timeout) from error

    def _fetch(self, keys: Sequence[str]) -> list[Record | None]:
        rows, now = self._run(lambda connection: queries.with_tags(connection, lambda: queries.rows(connection, keys)))
        found = {row[0]: queries.record(row, now) for row in rows}
        return [found.get(key) for key in keys]

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """``get`` for each key in order, at one instant."""
        if self._recording is not None:
            return super().get_many(keys, default)
        check = self._key
        wanted = [key if type(key) is str and key and key.isascii() else check(key) for key in keys]
        self._open()
        found, special = self._run(lambda connection: queries.values(connection, wanted))
        values, decode, hits = [default] * len(wanted), self._codec.decode, len(found)
        for place, value, mark in found:
            kind = type(value)
            if mark == -1:
                record = special.get(wanted[place])
                if record is None or not self._live(record):
                    hits -= 1
                    continue
                value = self._value(wanted[place], record)
            elif kind is bytes or (kind is str and mark != STR):
                try:
                    value = decode(mark, value if kind is bytes else value.encode())
                except CorruptError as error:
                    raise CorruptError(f"key {wanted[place]!r}: {error}") from error
            values[place] = value
        self._count(hits, len(wanted) - hits)
        return values

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        after: str | None = None
        while True:
            rows, now = self._run(
                lambda connection, after=after: queries.chunk(connection, low, high, reverse, after, CHUNK))
            for row in rows:
                yield row[0], queries.record(row, now)
            if len(rows) < CHUNK:
                return
            after = rows[-1][0]

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        return self._run(lambda connection: queries.generations(connection, tags))

    def _held(self) -> int:
        return self._run(lambda connection: connection.execute("SELECT count(*) FROM records").fetchone()[0])

    def _due(self, now: float) -> list[str]:
        return self._run(lambda connection: [row[0] for row in connection.execute(queries.DUE, (now,))])

    def _occupied(self) -> int:
        return sum(os.path.getsize(name) for name in (self.path, f"{self.path}-wal") if os.path.exists(name))

    # -- writing ---------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._writes_in:         # the lock is held: it is this thread's own
            yield
            return
        self._syncer.check()
        connection = self._writer()
        self._execute("BEGIN IMMEDIATE")
        self._writes_in = threading.get_ident()
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            self._writes_in = 0
        self._committed(connection)

    def _writer(self) -> sqlite3.Connection:
        """REQUIRES: the store's lock is held."""
        if self._connections.fresh:     # whatever was committed while there was no writer is news
            self._news += 1
            self._data_version = 0
        return self._connections.writer()

    def _execute(self, statement: str, bound: Sequence[Any] = ()) -> Any:
        return self._with(self._connections.writer(), lambda connection: connection.execute(statement, bound))

    def _committed(self, connection: sqlite3.Connection) -> None:
        if self.options.durability == "batch":
            self._syncer.wrote()
        self._commits += 1
        log = f"{self.path}-wal"
        if self._commits % CHECKS == 0 and os.path.exists(log) and os.path.getsize(log) > self.options.wal_bytes:
            # SQLite's own checkpoints never wait, so readers that overlap one another would let the log grow for ever.
            connection.execute(f"PRAGMA busy_timeout={PATIENCE}").fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute(f"PRAGMA busy_timeout={int(self.options.busy_timeout * 1000)}").fetchall()

    def _apply(self, changes: list[tuple[str, Record | None]]) -> None:
        dropped = [(key,) for key, record in changes if record is None]
        put = [(key, record.payload, record.mark, record.deadline, record.stale,
                queries.to_column(record.tags), record.version)
               for key, record in changes if record is not None]

        def work(connection: sqlite3.Connection) -> None:
            if len(put) == 1:
                connection.execute(queries.PUT, put[0])
            elif put:
                connection.executemany(queries.PUT, put)
            if dropped:
                connection.executemany(queries.DROP, dropped)
        self._run(work)

    def _erase(self, low: str, high: str | None) -> None:
        condition, bound = queries.within(low, high)
        self._execute(f"DELETE FROM records WHERE {condition}", bound)

    def _revoke(self, tag: str) -> None:
        self._execute("INSERT INTO tags VALUES (CAST(? AS TEXT), 1) "
                      "ON CONFLICT (tag) DO UPDATE SET generation = generation + 1", (queries.named(tag),))

    def _epoch(self) -> int:
        """A number that grows when another process has committed: what a memory tier above asks."""
        with self._lock:
            self._open()
            self._writer()
            version = self._execute("PRAGMA data_version").fetchone()[0]
            if version != self._data_version:
                self._data_version = version
                self._news += 1
            return self._news

    # -- care ------------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        sync(self.path)

    def _sound(self) -> Iterator[str]:
        for key, record in self._walk("", None):
            try:
                self._decode(record)
            except Error as error:
                yield f"key {key!r}: {error}"
            else:
                yield ""
        for row in self._run(lambda connection: connection.execute("PRAGMA integrity_check").fetchall()):
            if row[0] != "ok":
                yield f"{self.path!r}: {row[0]}"

    def backup(self, path: Any, *, progress: Any = None) -> None:
        """Write a copy to the file ``path``, as of one state, while others read and write."""
        self._open()
        path = os.path.abspath(os.fsdecode(os.fspath(path)))
        if os.path.exists(path):
            raise FileExistsError(errno.EEXIST, "a backup does not overwrite: name a new file", path)
        beside = f"{path}.part"
        target = sqlite3.connect(f"{Path(beside).as_uri()}?mode=rwc", uri=True)

        def tell(_: int, left: int, total: int) -> None:
            if progress is not None:
                progress(total - left, total, "pages")

        def work(connection: sqlite3.Connection) -> None:
            def copy() -> None:     # within a transaction, or each write of another would begin it anew
                connection.execute("SELECT 1 FROM records LIMIT 1").fetchall()
                connection.backup(target, pages=1024, progress=tell)
            queries.one_state(connection, copy)
        try:
            try:
                self._run(work)
            finally:
                target.close()
            sync_path(beside)
            os.rename(beside, path)
            sync_path(os.path.dirname(path))
        except BaseException:
            if os.path.exists(beside):
                os.unlink(beside)
            raise

    def _forking(self) -> None:
        self._connections.pause()

    def _forked_here(self) -> None:
        self._connections.resume()

    def _forked(self) -> None:
        self._connections.renew()
        self._writes_in = 0
        self._flights_file = f"{self._connections.path}-flights"
        self._syncer = Syncer(self.path, self.options.sync_interval)

    def _shut(self) -> None:
        if not self.options.readonly:
            self._syncer.stop()
        self._connections.close()

"""The files of a cache of diskcache, read without changing anything in its directory and without unpickling.

The schema is that of diskcache 5: a SQLite database ``cache.db`` with a table ``Cache``, and files for large values.
Nothing in it is trusted: not the names of files, not sizes, not text.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from door43fast.errors import SourceError

DATABASE = "cache.db"
RAW, BINARY, TEXT, PICKLE = 1, 2, 3, 4      # the modes of values
COLUMNS = ("key", "raw", "expire_time", "tag", "size", "mode", "filename", "value")


class Damaged(Exception):
    """A record that cannot be taken: why."""


class Row(NamedTuple):
    """One record, as the database holds it."""

    key: Any
    raw: Any
    expire_time: Any
    tag: Any
    size: Any
    mode: Any
    filename: Any
    value: Any


class NotText(bytes):
    """A text of the database that is not UTF-8."""


def _text(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return NotText(data)


def shards_of(directory: str | os.PathLike[str]) -> list[Path]:
    """The directories with a database: the one given, or the numbered ones in it that a FanoutCache makes."""
    root = Path(directory)
    if (root / DATABASE).is_file():
        return [root]
    shards = sorted(path.parent for path in root.glob(f"[0-9][0-9][0-9]/{DATABASE}") if path.is_file())
    if not shards:
        raise SourceError(f"{root} holds no cache of diskcache: there is no {DATABASE}, nor in folders 000, 001, ...; "
                          "check the path")
    return shards


@contextmanager
def opened(shard: Path) -> Iterator[sqlite3.Connection]:
    """The database of a shard, to read only.

    SQLite would write beside a database whose last changes stand in a log (``cache.db-wal``); so such a one is copied
    first, with its log. Any other is opened as what nobody changes. REQUIRES: no program has the cache open.
    """
    with ExitStack() as stack:
        path = shard / DATABASE
        log = shard / f"{DATABASE}-wal"
        flags = "mode=ro&immutable=1"
        try:
            if log.exists() and log.stat().st_size:
                copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="door43fast-")))
                before = [_stamp(file) for file in (path, log)]
                for file in (path, log):
                    shutil.copyfile(file, copy / file.name)
                if [_stamp(file) for file in (path, log)] != before:
                    raise SourceError(f"{shard} was changed while it was read: close the programs that use this cache")
                path, flags = copy / DATABASE, "mode=rw"
            connection = stack.enter_context(closing(
                sqlite3.connect(f"file:{quote(str(path.absolute()))}?{flags}", uri=True)))
            connection.text_factory = _text
            held = {row[1] for row in connection.execute("PRAGMA table_info(Cache)")}
            missing = sorted(set(COLUMNS) - held)
            if missing:
                raise SourceError(f"{shard / DATABASE} is not a database of diskcache 5: its table Cache lacks "
                                  f"{', '.join(missing)}")
            yield connection
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{shard / DATABASE} cannot be read ({error}): it is damaged, or no database of "
                              "diskcache; nothing more of it was taken") from error


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def count(connection: sqlite3.Connection) -> int:
    """How many records a database holds."""
    return connection.execute("SELECT COUNT(*) FROM Cache").fetchone()[0]


def rows(connection: sqlite3.Connection) -> Iterator[Row]:
    """All records, in the order in which they were first set."""
    for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM Cache ORDER BY rowid"):
        yield Row(*row)


def content(shard: Path, row: Row) -> bytes:
    """The file of a large value.

    Raises
    ------
    Damaged
        If it is missing, lies outside of the cache, or is not as long as the database says.
    """
    name = row.filename
    if not isinstance(name, str) or "\0" in name:
        raise Damaged("its value has no file")
    path = shard / name
    if not path.resolve().is_relative_to(shard.resolve()):
        raise Damaged(f"its value file {name} lies outside of the cache")
    if not path.is_file():
        raise Damaged(f"its value file {name} is missing")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Damaged(f"its value file {name} cannot be read ({error.strerror})") from None
    if len(data) != row.size:
        raise Damaged(f"its value file {name} has {len(data)} bytes, not {row.size}")
    return data


def plain_value(shard: Path, row: Row) -> Any:
    """The value of a record that is not pickled."""
    if row.mode == BINARY:
        return content(shard, row)
    if row.mode == TEXT:
        try:
            return content(shard, row).decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged(f"its value file {row.filename} is not UTF-8") from None
    if row.mode != RAW:
        raise Damaged(f"its value is of the unknown kind {row.mode!r}")
    if type(row.value) not in (bytes, str, int, float):
        raise Damaged("its text is not UTF-8" if isinstance(row.value, NotText) else "it has no value")
    return row.value


def pickled_value(shard: Path, row: Row) -> bytes:
    """The pickle of a record with one."""
    data = content(shard, row) if row.value is None else row.value
    if not isinstance(data, bytes):
        raise Damaged("its pickle is not bytes")
    return data

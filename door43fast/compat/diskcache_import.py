"""From a directory of diskcache into a store: keys, values, times of expiry and tags, each record read back."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from door43fast.arguments import LONGEST
from door43fast.codecs import PickleCodec, resolve
from door43fast.compat.diskcache import Cache
from door43fast.compat.diskcache_files import PICKLE, Damaged, Row, count, opened, pickled_value, plain_value, rows, \
    shards_of
from door43fast.compat.diskcache_keys import name_of
from door43fast.contracts import MISSING
from door43fast.lmdb import LmdbStore
from door43fast.native.clock import ManualClock
from door43fast.native.keys import KeyCodec

MAX_KEY = 65535         # bytes of a key in its encoding
ROWS, BYTES = 1000, 16 << 20    # that are written in one transaction, at the most
AGREE = 1e-5            # seconds between a time of expiry and what is read back: the precision of the sums


class Problem(msgspec.Struct):
    """A record that was not taken because something is wrong with it."""

    key: str
    reason: str


class Report(msgspec.Struct):
    """What came of an import. ``skipped`` counts, by the reason, what was left out by rule."""

    shards: int = 0
    taken: int = 0
    bytes: int = 0
    tags: int = 0
    expiring: int = 0
    skipped: dict[str, int] = {}
    problems: list[Problem] = []

    def skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


EXPIRED = "expired"
PICKLED_KEY = "pickled key"
PICKLED_VALUE = "pickled value"


class LessPickle(PickleCodec):
    """What ``auto`` stores is stored so, and only the rest is pickled."""

    name = "auto, else pickle"

    def encode(self, value: Any) -> tuple[int, Any]:
        try:
            return resolve("auto").encode(value)
        except TypeError:
            return super().encode(value)


def import_diskcache(old: str | os.PathLike[str], into: str | os.PathLike[str], *, pickles: bool = False,
                     progress: Callable[[int, int, str], None] | None = None) -> Report:
    """Bring the records of a cache of diskcache into the store at ``into``, for :class:`Cache` or ``LmdbStore``.

    Nothing in ``old`` is written. What is there already under the same key is replaced, so that a second import
    changes nothing. Each record is read back and compared.

    Parameters
    ----------
    old : path
        The directory of a ``diskcache.Cache``, or of a ``FanoutCache`` with its shards.
    into : path
        The directory of the store; it is made where it is missing.
    pickles : bool
        Unpickle keys and values that are pickled. It runs whatever code they name: only for a cache that nobody else
        could write to. What needs no pickle afterwards is stored without.
    progress : callable, optional
        Called with records done, records in all, and the name of the shard.

    Raises
    ------
    SourceError
        If ``old`` holds no cache of diskcache, or its database is damaged.
    """
    shards = shards_of(old)
    report = Report(shards=len(shards), skipped={}, problems=[])
    with _Target(into, codec=LessPickle() if pickles else "auto") as cache:
        for shard in shards:
            with opened(shard) as connection:
                _Shard(shard, cache, report, pickles).take(connection, progress)
        cache.store.flush()
    return report


class _Target(Cache):
    """The cache that is filled. For it the time stands still, so that a time of expiry comes over as it is."""

    def _open(self) -> LmdbStore:
        self.clock = ManualClock()
        self.clock.advance(time.time() - self.clock.seconds)
        return LmdbStore(self._directory, keys="any", codec=self._plan["codec"], durability="batch", clock=self.clock)


class _Shard:
    """The import of one shard: records are gathered, written in one transaction, and read back."""

    def __init__(self, path: Path, cache: _Target, report: Report, pickles: bool) -> None:
        self.path = path
        self.cache = cache
        self.report = report
        self.pickles = pickles
        self.now = cache.clock.seconds
        self.keys = KeyCodec("any")
        self.gathered: list[tuple[Any, Any, Row]] = []
        self.size = 0

    def take(self, connection: Any, progress: Callable[[int, int, str], None] | None) -> None:
        total = count(connection)
        for number, row in enumerate(rows(connection), 1):
            try:
                self.gather(row)
            except Damaged as damage:
                self.report.problems.append(Problem(repr(row.key)[:200], str(damage)))
            if len(self.gathered) >= ROWS or self.size >= BYTES:
                self.write()
            if progress is not None and (number % ROWS == 0 or number == total):
                progress(number, total, self.path.name)
        self.write()

    def gather(self, row: Row) -> None:
        if row.expire_time is not None:
            if not isinstance(row.expire_time, (int, float)):
                raise Damaged("its time of expiry is no number")
            if row.expire_time - self.now > LONGEST:
                raise Damaged("its time of expiry is further off than a store's may be")
            if row.expire_time <= self.now:
                return self.report.skip(EXPIRED)
        if not row.raw and not self.pickles:
            return self.report.skip(PICKLED_KEY)
        if row.mode == PICKLE and not self.pickles:
            return self.report.skip(PICKLED_VALUE)
        if type(row.key) not in (bytes, str, int, float):
            raise Damaged("its key is not UTF-8")
        key = row.key if row.raw else _unpickled(row.key, "key")
        name = self.storable(key, "key")
        size = len(self.keys.encode(name))
        if size > MAX_KEY:
            raise Damaged(f"its key takes {size} bytes, and a store takes {MAX_KEY} at the most")
        if row.mode == PICKLE:
            value = self.storable(_unpickled(pickled_value(self.path, row), "value"), "value")
        else:
            value = plain_value(self.path, row)
        self.gathered.append((name, value, row))
        self.size += size + (len(value) if isinstance(value, (bytes, str)) else row.size or 0)

    def storable(self, thing: Any, what: str) -> Any:
        """The name of a key, or a value as it is, if they can be stored; what was unpickled need not be picklable."""
        try:
            if what == "key":
                return name_of(thing, self.pickles)
            LessPickle().encode(thing)
            return thing
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise Damaged(f"its {what} cannot be stored ({error})") from error

    def write(self) -> None:
        gathered, self.gathered, self.size = self.gathered, [], 0
        if not gathered:
            return
        with self.cache.store.transaction() as transaction:
            for name, value, row in gathered:
                transaction.set(name, value, ttl=None if row.expire_time is None else row.expire_time - self.now,
                                tags=self.cache._tag_names(_tag(row)))
        for name, value, row in gathered:
            self.check(name, value, row)

    def check(self, name: Any, value: Any, row: Row) -> None:
        """Read a record back; what is not as it should be is a problem."""
        found, expires, tag = self.cache._whole(name) or (MISSING, None, None)
        if found is MISSING:
            reason = "it is not there when read back"
        elif type(found) is not type(value) or (type(value) in (bytes, str, int, float) and found != value):
            reason = "its value is another when read back"
        elif (expires is None) != (row.expire_time is None) or abs((expires or 0) - (row.expire_time or 0)) > AGREE:
            reason = "its time of expiry is another when read back"
        elif tag != _tag(row):
            reason = "its tag is another when read back"
        else:
            self.report.taken += 1
            self.report.bytes += len(value) if isinstance(value, (bytes, str)) else row.size or 0
            self.report.tags += tag is not None
            self.report.expiring += expires is not None
            return None
        self.report.problems.append(Problem(repr(name)[:200], reason))
        return None


def _tag(row: Row) -> str | None:
    """A tag of SQLite's as a str, which ours are."""
    return row.tag if row.tag is None or type(row.tag) is str else str(row.tag)


def _unpickled(data: Any, what: str) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:      # whatever the classes that it names raise
        raise Damaged(f"its {what} cannot be unpickled ({type(error).__name__}: {error})") from error

"""Ranges of ordered keys, tags, and commits of transactions in the reference engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import ConflictError, UnsupportedError
from door43fast.reference.packing import pack_pairs
from door43fast.reference.table import Refused, Table

Range = tuple[Any, Any, Any, list[tuple[Any, Any]]]


def text(key: str) -> str:
    """A key as a plain str, whose comparing runs no code of a caller."""
    return key if type(key) is str else str.__str__(key)


class Snapshot:
    """What a transaction reads from: direct reads, which are checked at the commit, and scans copied at once."""

    def __init__(self, store: Any) -> None:
        self.read = store._read
        self._store = store

    def scan(self, prefix: Any, start: Any, stop: Any, reverse: bool) -> Iterator[tuple[Any, Any, Any]]:
        records = self._store._range(prefix, start, stop)
        return iter(records[::-1] if reverse else records)

    def close(self) -> None:
        """Nothing is held."""


class Ranges(Table):
    def __len__(self) -> int:
        self._open()
        return len(self._index)

    def _read(self, key: Any) -> tuple[int, Any]:
        return self._at_once([key], lambda _, found, __: (
            (found[0].version, found[0].value) if self._live(found[0]) else (0, MISSING)))

    def _alive(self) -> list[tuple[Any, int, Any]]:
        """Key, token and value of all that is there."""
        with self._section:
            self._open()
            return [(entry.key, entry.version, entry.value) for entry in self._index if self._live(entry)]

    def __iter__(self) -> Iterator[Any]:
        return iter([key for key, _, _ in self._alive()])

    def _range(self, prefix: Any, start: Any, stop: Any) -> list[tuple[Any, int, Any]]:
        """Key, token and value of what lies under ``prefix``, from ``start`` up to before ``stop``, in order."""
        for bound in (prefix, start, stop):
            if bound is not None and not isinstance(bound, str):
                raise UnsupportedError(f"ranges need str keys: {bound!r} is {type(bound).__name__}")
        records = self._alive()
        for key, _, _ in records:
            if not isinstance(key, str):
                raise UnsupportedError(f"ranges need str keys, and this store holds {type(key).__name__} {key!r}: "
                                       "iterate over the store instead")
        texts = [(text(key), key, token, value) for key, token, value in records]
        return [record[1:] for record in sorted(texts, key=lambda record: record[0])
                if record[0].startswith(prefix or "") and (start is None or record[0] >= start)
                and (stop is None or record[0] < stop)]

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield ``(key, value)`` in the order of keys: those under ``prefix``, from ``start`` up to before ``stop``.

        The keys are those that were there when the scan began; each value is read when its turn comes.
        """
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"limit={limit!r} must be a whole number of 0 or more, or None")
        records = self._range(prefix, start, stop)
        return self._values([key for key, _, _ in (records[::-1] if reverse else records)], limit)

    def _values(self, keys: list[Any], limit: int | None) -> Iterator[tuple[Any, Any]]:
        left = len(keys) if limit is None else limit
        for key in keys:
            if left == 0:
                return
            value = self._read(key)[1]
            if value is not MISSING:
                left -= 1
                yield key, value

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]:
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records each."""
        return pack_pairs(self.scan(prefix), chunk)

    def keys(self, prefix: Any = "") -> Iterator[Any]:
        """Yield the keys under ``prefix`` in order; without one, and with keys that are not str, in no order."""
        if prefix == "" and not all(isinstance(key, str) for key in self):
            return iter(self)
        return iter([key for key, _, _ in self._range(prefix, None, None)])

    def count(self, prefix: Any = "") -> int:
        """How many keys there are under ``prefix``."""
        return sum(1 for _ in self.keys(prefix))

    def clear(self, prefix: Any = "") -> None:
        """Take out everything, or what is under ``prefix``: one event, however many there were."""
        if not isinstance(prefix, str):
            raise UnsupportedError(f"a prefix is a str, not {type(prefix).__name__}")
        dropped: list[Any] = []
        flights = list(self._flight_table.values())
        with self._section:
            self._open()
            entries = list(self._index)
            if prefix and not all(isinstance(entry.key, str) for entry in entries):
                raise UnsupportedError("ranges need str keys, and this store holds others: clear it whole")
            for flight in flights:
                flight.voided = True
            for entry in entries:
                if not prefix or text(entry.key).startswith(prefix):
                    self._forget(entry, dropped)
            if not prefix and self._new_policy is not None:
                self._policy = self._new_policy()
            self._queue.push("clear", prefix, "user")
            if self._journal is not None:
                self._journal.note("clear", prefix)
        entries.clear()
        dropped.clear()
        self._queue.drain()

    def expire(self) -> int:
        """Take out all that has expired, and return how many that were."""
        dropped: list[Any] = []
        with self._section:
            self._open()
            reaped = self._reap(dropped)
        dropped.clear()
        self._queue.drain()
        return reaped

    def invalidate(self, tag: str) -> None:
        """Make every entry that carries ``tag`` missing, at once."""
        self._open()
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")
        flights = list(self._flight_table.values())
        with self._section:
            self._generations[tag] = self._generations.get(tag, 0) + 1
            for flight in flights:
                flight.voided = True
            if self._journal is not None:
                self._journal.note("invalidate", tag)
            self._queue.push("invalidate", tag, "user")
        self._queue.drain()

    def _snapshot(self) -> Snapshot:
        self._open()
        return Snapshot(self)

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Sequence[Range] = ()) -> None:
        """Make all writes in one step if nothing that was read has changed, else raise ConflictError."""
        prepared = [None if write is None else self._prepare(key, *write) for key, write in writes.items()]
        keys = [*writes, *reads]
        n = len(writes)

        def step(probes: Any, found: Any, dropped: Any) -> None:
            for key, entry, token in zip(reads, found[n:], reads.values(), strict=True):
                if self._token(entry) != token:
                    raise Refused(partial(_conflict, key))
            for prefix, start, stop, pairs in ranges:
                now = [(text(key), token) for key, token, _ in self._range(prefix, start, stop)]
                if now != [(text(key), token) for key, token in pairs]:
                    raise Refused(partial(_conflict, prefix, start, stop))
            self._store(probes[:n], found[:n], prepared, dropped)
        self._at_once(keys, step, n)


def _conflict(key: Any, *bounds: Any) -> ConflictError:
    what = f"the range {key!r} ({bounds[0]!r} to {bounds[1]!r})" if bounds else f"key {key!r}"
    return ConflictError(f"{what} was changed by another while the transaction ran, and nothing was written: "
                         "run it again")

"""Transactions: writes are held back and reads remembered until the end, and then committed in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from door43fast.arguments import pairs, span, tag_names
from door43fast.contracts import MISSING, Items, Seconds
from door43fast.errors import ClosedError, UnsupportedError

NOT_HERE = ("touch", "ttl", "expire", "invalidate", "clear", "get_packed", "set_packed", "scan_packed", "subscribe",
            "get_or_compute", "memoize", "flush", "backup", "verify", "stats", "aio")


class Held(NamedTuple):
    """A write that is held back: what ``set`` was given."""

    value: Any
    ttl: Seconds | None = None
    tags: tuple[str, ...] = ()
    pin: bool = False


class Transaction:
    """What ``with store.transaction() as t:`` gives: the store's mapping, single, batch and range methods.

    It sees its own writes, and beyond them one state of the store. At the end of the block all writes are made in
    one step, if nothing that was read has changed since, else ``ConflictError`` is raised and nothing written. An
    exception inside the block writes nothing. Of one thread at a time; another transaction is independent of it.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._state = "new"
        self._writes: dict[Any, Held | None] = {}
        self._reads: dict[Any, tuple[Any, Any]] = {}
        self._ranges: list[tuple[Any, Any, Any, list[tuple[Any, Any]]]] = []
        self._snapshot: Any = None

    def __enter__(self) -> Transaction:
        if self._state != "new":
            raise ClosedError(f"this transaction is {self._state}: begin another with store.transaction()")
        self._snapshot = self._store._snapshot()
        self._state = "open"
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._state != "open":
            return
        self._state = "ended"
        self._snapshot.close()
        if kind is None and (self._writes or self._reads or self._ranges):
            self._store._commit({key: token for key, (token, _) in self._reads.items()},
                                {key: None if held is None else tuple(held) for key, held in self._writes.items()},
                                ranges=self._ranges)

    def __getattr__(self, name: str) -> Any:
        if name in NOT_HERE:
            raise UnsupportedError(f"a transaction has no {name}: call it on the store, before or after")
        raise AttributeError(f"a transaction has no method {name!r}")

    def _open(self) -> None:
        if self._state != "open":
            raise ClosedError(f"this transaction is {'ended' if self._state == 'ended' else 'not yet entered'}: "
                              "use it inside `with store.transaction() as t:`")

    def _find(self, key: Any) -> Any:
        self._open()
        if key in self._writes:
            held = self._writes[key]
            return MISSING if held is None else held.value
        if key not in self._reads:
            self._reads[key] = self._snapshot.read(key)
        return self._reads[key][1]

    # -- reads -----------------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        value = self._find(key)
        return default if value is MISSING else value

    def __getitem__(self, key: Any) -> Any:
        value = self._find(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        return self._find(key) is not MISSING

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        return [self.get(key, default) for key in keys]

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        return [key in self for key in keys]

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]:
        """``(key, value)`` in order, as of one state; what is written meanwhile is not seen by it."""
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"limit={limit!r} must be a whole number of 0 or more, or None")
        self._open()
        records = list(self._snapshot.scan(prefix, start, stop, False))
        self._ranges.append((prefix, start, stop, [(key, token) for key, token, _ in records]))
        found = {key: value for key, _, value in records}
        order = list(found)
        for key, held in self._writes.items():
            if held is None:
                found.pop(key, None)
            elif key in found:
                found[key] = held.value
            elif self._within(key, prefix, start, stop):
                found[key] = held.value
                order = []
        keys = [key for key in order if key in found] or self._sorted(found)
        taken = keys[::-1] if reverse else keys
        return iter([(key, found[key]) for key in taken[:limit]])

    @staticmethod
    def _within(key: Any, prefix: Any, start: Any, stop: Any) -> bool:
        return not (prefix and not _begins(key, prefix)) and (start is None or place(key) >= place(start)) and (
            stop is None or place(key) < place(stop))

    @staticmethod
    def _sorted(found: dict[Any, Any]) -> list[Any]:
        try:
            return sorted(found, key=place)
        except TypeError:
            raise UnsupportedError("a scan in a transaction cannot put keys of several types in order beside its own "
                                   "writes: scan before writing") from None

    def keys(self, prefix: Any = "") -> Iterator[Any]:
        return iter([key for key, _ in self.scan(prefix)])

    def values(self) -> Iterator[Any]:
        return iter([value for _, value in self.scan()])

    def items(self) -> Iterator[tuple[Any, Any]]:
        return self.scan()

    def __iter__(self) -> Iterator[Any]:
        return self.keys()

    def count(self, prefix: Any = "") -> int:
        return sum(1 for _ in self.scan(prefix))

    def __len__(self) -> int:
        return self.count()

    # -- writes ----------------------------------------------------------------------------------------------

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (),
            pin: bool = False) -> None:
        self._open()
        names = tag_names(tags)
        expired = ttl is not None and span(ttl, "ttl") == 0
        self._writes.pop(key, None)     # the order of writes is that of the last ones
        self._writes[key] = None if expired else Held(value, ttl, names, bool(pin))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        for key, value in pairs(items):
            self.set(key, value, ttl=ttl)

    def update(self, items: Items = (), /, **named: Any) -> None:
        self.set_many(items)
        self.set_many(named)

    def delete(self, key: Any) -> bool:
        there = key in self
        self._writes.pop(key, None)
        self._writes[key] = None
        return there

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def delete_many(self, keys: Iterable[Any]) -> int:
        return sum(self.delete(key) for key in keys)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        value = self._find(key)
        if value is MISSING and default is MISSING:
            raise KeyError(key)
        self.delete(key)
        return default if value is MISSING else value

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        if key in self:
            return False
        self.set(key, value, ttl=ttl)
        return True

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self.add(key, default)
        return self[key]

    def replace(self, key: Any, expected: Any, value: Any) -> bool:
        current = self._find(key)
        if current is MISSING or not (current is expected or current == expected):
            return False
        self.set(key, value)
        return True

    def incr(self, key: Any, by: int = 1) -> int:
        """Add ``by``; keeps the time to live, and of what the transaction itself wrote also tags and pin."""
        current = self.get(key, 0)
        for what, number in ((f"key {key!r} holds", current), ("by is", by)):
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"{what} {type(number).__name__}, and incr works on int")
        held = self._writes.get(key)
        if held is None:
            held = Held(0, self._left(key) if key in self else None)
        self.set(key, current + by, ttl=held.ttl, tags=held.tags, pin=held.pin)
        return current + by

    def _left(self, key: Any) -> float | None:
        try:
            return self._store.ttl(key)
        except KeyError:    # taken out meanwhile, which the commit will find
            return None


def place(key: Any) -> tuple[int, Any]:
    """What keys of several types are ordered by: as ``keys="any"`` has them, bytes, str, tuples, int, float."""
    for rank, kind in enumerate(((bytes, bytearray, memoryview), str, tuple)):
        if isinstance(key, kind):
            return rank, key
    return (4 if isinstance(key, float) else 3), key


def _begins(key: Any, prefix: Any) -> bool:
    if isinstance(prefix, tuple):
        return isinstance(key, tuple) and key[:len(prefix)] == prefix
    return isinstance(key, type(prefix)) and key.startswith(prefix)

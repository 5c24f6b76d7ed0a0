"""The base of stores that hand their calls on to others: every method of an engine, as a call of one of five kinds.

A subclass says where calls of each kind go. What a call returns for ``scan``, ``keys``, ``scan_packed`` and
``__iter__`` is an iterator that reads on while it is used, so its errors come later than the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from door43fast.arguments import pairs
from door43fast.contracts import Items, Progress, Seconds
from door43fast.errors import ClosedError
from door43fast.layers.planned import ByPlan
from door43fast.surface import StoreSurface
from door43fast.tagged import tags_of


class Call(NamedTuple):
    """One call of a method. ``keys`` are those that it concerns, None where it may concern any."""

    name: str
    keys: list[Any] | None = None
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}

    def on(self, store: Any) -> Any:
        """Carry it out on a store."""
        if self.name == "_tags_of":     # which stores of others need not have
            return tags_of(store, *self.args)
        return getattr(store, self.name)(*self.args, **self.options)


class Forwarding(ByPlan, StoreSurface):
    """A store that keeps nothing itself. A subclass defines ``capabilities``, ``closed``, ``_events``, ``_flights`` and

    - ``_ask_key(call)``: a read of one key,
    - ``_ask_keys(call)``: a read of a batch,
    - ``_ask_all(call)``: a read of what any key may be part of,
    - ``_change(call)``: a write,
    - ``_care(call)``: all else but ``close``.

    Iterables of keys and items are lists by then, so that a call may be carried out more than once.
    """

    __slots__ = ()

    def _ask_key(self, call: Call) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _ask_key(self, call)")

    def _ask_keys(self, call: Call) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _ask_keys(self, call)")

    def _ask_all(self, call: Call) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _ask_all(self, call)")

    def _change(self, call: Call) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _change(self, call)")

    def _care(self, call: Call) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _care(self, call)")

    # -- reads of one key ------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, or ``default``."""
        return self._ask_key(Call("get", [key], (key, default)))

    def __getitem__(self, key: Any) -> Any:
        return self._ask_key(Call("__getitem__", [key], (key,)))

    def __contains__(self, key: Any) -> bool:
        return self._ask_key(Call("__contains__", [key], (key,)))

    def ttl(self, key: Any) -> float | None:
        """Seconds that ``key`` has left, None if it does not expire; KeyError if it is not there."""
        return self._ask_key(Call("ttl", [key], (key,)))

    def _lookup(self, key: Any) -> tuple[int, Any]:
        return self._ask_key(Call("_lookup", [key], (key,)))

    def _read(self, key: Any) -> tuple[Any, Any]:
        return self._ask_key(Call("_read", [key], (key,)))

    # -- reads of many ---------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """The values under ``keys``, in their order, with ``default`` where there is none."""
        wanted = _listed(keys)
        return self._ask_keys(Call("get_many", wanted, (wanted, default)))

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        """For each of ``keys`` whether it is there."""
        wanted = _listed(keys)
        return self._ask_keys(Call("contains_many", wanted, (wanted,)))

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]:
        wanted = list(keys)
        return self._ask_keys(Call("_tags_of", wanted, (wanted,)))

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        """The values under ``keys`` in one ``Packed``."""
        wanted = _listed(keys)
        return self._ask_keys(Call("get_packed", wanted, (wanted,), {"out": out}))

    # -- reads of everything ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._ask_all(Call("__len__"))

    def __iter__(self) -> Iterator[Any]:
        return self._ask_all(Call("__iter__"))

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield ``(key, value)`` in the order of keys."""
        options = {"start": start, "stop": stop, "reverse": reverse, "limit": limit}
        return self._ask_all(Call("scan", None, (prefix,), options))

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]:
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records."""
        return self._ask_all(Call("scan_packed", None, (prefix, chunk)))

    def keys(self, prefix: Any = "") -> Iterator[Any]:
        """Yield the keys under ``prefix`` in order."""
        return self._ask_all(Call("keys", None, (prefix,)))

    def count(self, prefix: Any = "") -> int:
        """How many keys there are under ``prefix``."""
        return self._ask_all(Call("count", None, (prefix,)))

    def _snapshot(self) -> Any:
        return self._ask_all(Call("_snapshot"))

    def _changes(self, since: int) -> Iterator[Any]:
        return self._ask_all(Call("changes", None, (since,)))

    # -- writes ----------------------------------------------------------------------------------------------

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
            durable: bool = False) -> None:
        """Store ``value`` under ``key``."""
        options = {"ttl": ttl, "tags": tags if isinstance(tags, str) else tuple(tags), "pin": pin, "durable": durable}
        self._change(Call("set", [key], (key, value), options))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def delete(self, key: Any) -> bool:
        """Take ``key`` out. Returns whether it was there."""
        return self._change(Call("delete", [key], (key,)))

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def pop(self, key: Any, *default: Any) -> Any:
        """Take ``key`` out and return its value, or ``default``; without one a missing key is a KeyError."""
        return self._change(Call("pop", [key], (key, *default)))

    def touch(self, key: Any, ttl: Seconds | None) -> bool:
        """Give ``key`` a new time to live from now; None for none. Returns whether it was there."""
        return self._change(Call("touch", [key], (key, ttl)))

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        """Store ``value`` only if ``key`` is not there. Returns whether it was stored."""
        return self._change(Call("add", [key], (key, value), {"ttl": ttl}))

    def replace(self, key: Any, expected: Any, value: Any) -> bool:
        """Store ``value`` only if ``key`` holds what equals ``expected``. Returns whether it was stored."""
        return self._change(Call("replace", [key], (key, expected, value)))

    def incr(self, key: Any, by: int = 1) -> int:
        """Add ``by`` to the integer under ``key``, 0 where there is none. Returns the sum; keeps the expiry."""
        return self._change(Call("incr", [key], (key, by)))

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        """Store every pair of a mapping or an iterable of pairs; the last one of a key wins."""
        given = pairs(items)
        self._change(Call("set_many", [key for key, _ in given], (given,), {"ttl": ttl}))

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Take ``keys`` out. Returns how many were there."""
        wanted = _listed(keys)
        return self._change(Call("delete_many", wanted, (wanted,)))

    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        """Store the bytes ``data[offsets[i]:offsets[i + 1]]`` under ``keys[i]``."""
        wanted = _listed(keys)
        self._change(Call("set_packed", wanted, (wanted, data, offsets)))

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Any = ()) -> None:
        self._change(Call("_commit", list(writes), (reads, writes), {"ranges": ranges}))

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Any, stale: Any) -> Any:
        return self._change(Call("_publish", [key], (flight, key, value, ttl, stale)))

    def invalidate(self, tag: str) -> None:
        """Make every entry that carries ``tag`` missing, at once."""
        self._change(Call("invalidate", None, (tag,)))

    def clear(self, prefix: Any = "") -> None:
        """Take out everything, or what is under ``prefix``."""
        self._change(Call("clear", None, (prefix,)))

    def expire(self) -> int:
        """Take out everything that is past its time. Returns how many there were."""
        return self._change(Call("expire"))

    # -- care ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Sync what is below, and return when every listener has had what happened before this call."""
        self._care(Call("flush"))

    def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        """Check what is below."""
        return self._care(Call("verify", None, (), {"progress": progress}))

    def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        """Copy what is below to ``path`` while it is in use."""
        self._care(Call("backup", None, (path,), {"progress": progress}))

    def record_trace(self, path: Any, *, sample: float = 1.0) -> Any:
        """Record which keys are asked for into a file; see ``MemoryStore.record_trace``."""
        return self._care(Call("record_trace", None, (path,), {"sample": sample}))

    def stats(self) -> dict[str, Any]:
        """Counts since the store was opened."""
        return self._care(Call("stats"))

    def _served_stale(self) -> None:
        self._care(Call("_served_stale"))


class Wrapper(Forwarding):
    """A store around one other. A subclass overrides the kinds of call that concern it; all others go straight on.

    Parameters
    ----------
    slow : Store
        The store underneath. It belongs to this one from now on, and is closed with it.
    """

    def __init__(self, slow: Any) -> None:
        self.slow = slow
        self._shut = False

    @property
    def closed(self) -> bool:
        return self._shut

    @property
    def capabilities(self) -> Any:
        """What the store underneath can do."""
        return self.slow.capabilities

    @property
    def _events(self) -> Any:
        return self.slow._events

    @property
    def _flights(self) -> Any:
        return self.slow._flights

    def _watched(self) -> tuple[Any, ...]:
        """What a memory tier above looks at to know whether others have written: stores with the same keys."""
        return (self.slow,)

    def _below(self) -> Any:
        """The store underneath, while this one is open."""
        if self._shut:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self.slow

    def _pass(self, call: Call) -> Any:
        return call.on(self._below())

    _ask_key = _ask_keys = _ask_all = _change = _care = _pass

    def __getattr__(self, name: str) -> Any:
        # A memory tier above asks these of a store that has them: whether others have written, and what is left.
        if name in ("_epoch", "_with_deadlines") and "slow" in self.__dict__:
            found = getattr(self.slow, name)
            return found if name == "_epoch" else lambda keys: self._ask_keys(Call(name, list(keys), (list(keys),)))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self) -> None:
        """Close it and the store underneath. A second close does nothing."""
        if not self._shut:
            self._shut = True
            self.slow.close()


def _listed(keys: Iterable[Any]) -> Any:
    """Keys that may be read more than once: an array stays what it is, and so does a text, which a store may refuse."""
    return keys if hasattr(keys, "__len__") and hasattr(keys, "__getitem__") else list(keys)

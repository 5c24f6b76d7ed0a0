"""A fast store in front of a slow one, in plain Python.

The slow store is the truth. A write goes to it and then takes the key out of the fast store; only a read puts a
value there. Order alone would not keep the dead dead: a reader that missed may hold a value that a writer has
replaced meanwhile. So a promotion is a computation of the fast store, begun at the miss: taking the key out voids
it, and the fast store checks that and stores in one step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from door43fast.arguments import pairs
from door43fast.contracts import MISSING, Capabilities, Items, Seconds
from door43fast.compute import Computation, forget
from door43fast.errors import BudgetError

# What no caller can change under another; anything else is read from the slow store, afresh, every time.
IMMUTABLE = (bytes, str, int, float, complex, bool, type(None), date, datetime)


class CascadeEngine:
    """Reads fast to slow and promotes; writes through, and deletes from the slow layer up."""

    def __init__(self, fast: Any, slow: Any) -> None:
        self.fast = fast
        self.slow = slow

    @property
    def capabilities(self) -> Capabilities:
        return self.slow.capabilities._replace(traces=True)

    # -- reads -----------------------------------------------------------------------------------------------

    def _get(self, key: Any) -> Any:
        value = self.fast.get(key, MISSING)
        if value is MISSING:
            with _Promotion(self, [key]) as promote:
                value = self.slow.get(key, MISSING)
                promote(key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        value = self._get(key)
        return default if value is MISSING else value

    def __getitem__(self, key: Any) -> Any:
        value = self._get(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        keys = list(keys)
        values = self.fast.get_many(keys, MISSING)
        absent = [i for i, value in enumerate(values) if value is MISSING]
        with _Promotion(self, [keys[i] for i in absent]) as promote:
            for i, value in zip(absent, self.slow.get_many([keys[i] for i in absent], MISSING), strict=True):
                promote(keys[i], value)
                values[i] = default if value is MISSING else value
        return values

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        return self.slow.get_packed(keys, out=out)

    def __contains__(self, key: Any) -> bool:
        return key in self.slow

    def __len__(self) -> int:
        return len(self.slow)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.slow)

    def ttl(self, key: Any) -> float | None:
        return self.slow.ttl(key)

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        keys = list(keys)
        there = self.fast.contains_many(keys)
        absent = [i for i, one in enumerate(there) if not one]
        for i, one in zip(absent, self.slow.contains_many([keys[i] for i in absent]), strict=True):
            there[i] = one
        return there

    def scan(self, prefix: Any = "", **options: Any) -> Iterator[tuple[Any, Any]]:
        return self.slow.scan(prefix, **options)

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]:
        return self.slow.scan_packed(prefix, chunk)

    def keys(self, prefix: Any = "") -> Iterator[Any]:
        return self.slow.keys(prefix)

    def count(self, prefix: Any = "") -> int:
        return self.slow.count(prefix)

    # -- writes ----------------------------------------------------------------------------------------------

    def _through(self, keys: list[Any], method: str, *args: Any, **options: Any) -> Any:
        """Write to the slow store; whatever comes of it, the fast one then forgets the keys."""
        try:
            return getattr(self.slow, method)(*args, **options)
        finally:
            if not self.fast.closed:
                self.fast.delete_many(keys)

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
            durable: bool = False) -> None:
        self._through([key], "set", key, value, ttl=ttl, tags=tags, pin=pin, durable=durable)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._through([key], "set", key, value)

    def delete(self, key: Any) -> bool:
        return self._through([key], "delete", key)

    def __delitem__(self, key: Any) -> None:
        self._through([key], "__delitem__", key)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        return self._through([key], "pop", key, *(() if default is MISSING else (default,)))

    def touch(self, key: Any, ttl: Seconds | None) -> bool:
        return self._through([key], "touch", key, ttl)

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        return self._through([key], "add", key, value, ttl=ttl)

    def replace(self, key: Any, expected: Any, value: Any) -> bool:
        return self._through([key], "replace", key, expected, value)

    def incr(self, key: Any, by: int = 1) -> int:
        return self._through([key], "incr", key, by)

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        taken = pairs(items)
        self._through([key for key, _ in taken], "set_many", taken, ttl=ttl)

    def delete_many(self, keys: Iterable[Any]) -> int:
        keys = list(keys)
        return self._through(keys, "delete_many", keys)

    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        keys = list(keys)
        self._through(keys, "set_packed", keys, data, offsets)

    def invalidate(self, tag: str) -> None:
        try:
            self.slow.invalidate(tag)
        finally:    # what was promoted carries no tags
            self._forget("")

    def clear(self, prefix: Any = "") -> None:
        try:
            self.slow.clear(prefix)
        finally:    # one that failed may have taken out a part
            self._forget(prefix)

    def _forget(self, prefix: Any) -> None:
        if not self.fast.closed:
            self.fast.clear(prefix)

    def expire(self) -> int:
        self.fast.expire()
        return self.slow.expire()

    # -- care ------------------------------------------------------------------------------------------------

    def _served_stale(self) -> None:
        self.slow._served_stale()

    def stats(self) -> dict[str, Any]:
        fast, slow = self.fast.stats(), self.slow.stats()
        return {**slow, "hits": fast["hits"] + slow["hits"], "misses": slow["misses"], "layers": [fast, slow]}

    def record_trace(self, path: Any, *, sample: float = 1.0) -> Any:
        return self.fast.record_trace(path, sample=sample)

    def flush(self) -> None:
        self.slow.flush()

    def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        fast, slow = self.fast.verify(), self.slow.verify(progress=progress)
        return {"checked": fast["checked"] + slow["checked"], "errors": fast["errors"] + slow["errors"]}

    def _changes(self, since: int) -> Iterator[Any]:
        return self.slow.changes(since)

    def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        self.slow.backup(path, progress=progress)

    def close(self) -> None:
        self.slow.close()
        self.fast.close()

    @property
    def closed(self) -> bool:
        return self.slow.closed

    # -- for the shared surface ------------------------------------------------------------------------------

    @property
    def _flights(self) -> dict[Any, Any]:
        return self.slow._flights

    @property
    def _events(self) -> Any:
        return self.slow._events

    def _lookup(self, key: Any) -> tuple[int, Any]:
        value = self.fast.get(key, MISSING)
        return (1, value) if value is not MISSING else self.slow._lookup(key)

    def _read(self, key: Any) -> tuple[Any, Any]:
        return self.slow._read(key)

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> bool:
        return self._through([key], "_publish", flight, key, value, ttl, stale)

    def _snapshot(self) -> Any:
        return self.slow._snapshot()

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Any = ()) -> None:
        self._through(list(writes), "_commit", reads, writes, ranges=ranges)


class _Promotion:
    """Tickets for keys that the fast store missed; calling it promotes a value whose ticket still holds."""

    def __init__(self, cascade: CascadeEngine, keys: list[Any]) -> None:
        self.fast, self.slow = cascade.fast, cascade.slow
        self.tickets: dict[Any, Any] = {}
        for key in keys:
            ticket = Computation(self.fast, key)
            if self.fast._flights.setdefault(ticket.name, ticket) is ticket:
                ticket.token = self.fast._read(key)[0]
                self.tickets[key] = ticket

    def __enter__(self) -> _Promotion:
        return self

    def __call__(self, key: Any, value: Any) -> None:
        ticket = self.tickets.get(key)
        if ticket is None or type(value) not in IMMUTABLE:
            return
        try:
            left = self.slow.ttl(key)
            self.fast._publish(ticket, key, value, left, None)
        except (KeyError, BudgetError):     # gone meanwhile; or too big for the fast store, and read from the slow
            return

    def __exit__(self, *_: object) -> None:
        for ticket in self.tickets.values():
            forget(self.fast, ticket)

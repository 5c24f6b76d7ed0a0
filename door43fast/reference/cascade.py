"""A fast store in front of a slow one, in plain Python.

The slow store is the truth. A write goes to it and then takes the key out of the fast store; only a read puts a
value there. Order alone would not keep the dead dead: a reader that missed may hold a value that a writer has
replaced meanwhile. So a promotion is a computation of the fast store, begun at the miss: taking the key out voids
it, and the fast store checks that and stores in one step (promotion.py). A write never puts a value there itself, so
there is no choice of ``write`` here: it is always around.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from door43fast.arguments import pairs
from door43fast.contracts import MISSING, Capabilities, Found, Items, Progress, Seconds
from door43fast.errors import blames_layer
from door43fast.reference.promotion import NOTHING, Rules
from door43fast.reference.promotion import Promotion as _Promotion
from door43fast.tagged import tags_of


class CascadeEngine:
    """Reads fast to slow and promotes; writes through, and deletes from the slow layer up."""

    def __init__(self, fast: Any, slow: Any, *, promote: str = "always", negative: Seconds | None = None,
                 stale: Seconds | None = None, stale_on_error: Seconds | None = None) -> None:
        self.fast = fast
        self.slow = slow
        self._rules = Rules(fast, promote, negative, stale, stale_on_error)
        self._counts = {"negative": 0, "stale": 0, "done": 0, "failed": 0}
        self._renewing: dict[Any, threading.Thread] = {}

    @property
    def capabilities(self) -> Capabilities:
        return self.slow.capabilities._replace(traces=True)

    # -- reads -----------------------------------------------------------------------------------------------

    def _look(self, key: Any) -> Found:
        """What there is under ``key``: MISSING, or a value; ``left`` is of a stale one how long ago it ended."""
        value = self.fast.get(key, MISSING)
        if value is NOTHING:
            self._counts["negative"] += 1
            return Found(MISSING, "fresh", None)
        if value is not MISSING:
            return Found(value, "fresh", None)
        value, age = self._rules.past(key)
        if value is not MISSING and age < self._rules.stale:
            self._renew(key)
            return self._stale(value, age)
        try:
            return Found(self._fetch([key])[0], "fresh", None)
        except Exception as error:
            value, age = self._rules.past(key)      # anew: what was overwritten meanwhile is not there any more
            if value is MISSING or age >= self._rules.on_error or not blames_layer(error):
                raise
            return self._stale(value, age)

    def _stale(self, value: Any, age: float) -> Found:
        self._counts["stale"] += 1
        return Found(value, "stale", -age)

    def _fetch(self, keys: list[Any]) -> list[Any]:
        """What the slow store has; it goes up."""
        with _Promotion(self, keys) as promote:
            values = [self.slow.get(keys[0], MISSING)] if len(keys) == 1 else self.slow.get_many(keys, MISSING)
            for key, value in zip(keys, values, strict=True):
                promote(key, value)
        return values

    def _renew(self, key: Any) -> None:
        """Fetch ``key`` in a thread of its own, unless one does so already."""
        thread = threading.Thread(target=self._refresh, args=(key,), daemon=True)
        if self._renewing.setdefault(key, thread) is thread:
            thread.start()

    def _refresh(self, key: Any) -> None:
        try:
            self._fetch([key])
            self._counts["done"] += 1
        except Exception:       # the stale value stays until its window ends
            self._counts["failed"] += 1
        finally:
            self._renewing.pop(key, None)

    def find(self, key: Any) -> Found | None:
        found = self._look(key)
        if found.value is MISSING:
            return None
        if found.state == "fresh":
            with_left = self.fast if key in self.fast else self.slow
            return found._replace(left=with_left.ttl(key))
        return found

    def get(self, key: Any, default: Any = None) -> Any:
        value = self._look(key).value
        return default if value is MISSING else value

    def __getitem__(self, key: Any) -> Any:
        value = self._look(key).value
        if value is MISSING:
            raise KeyError(key)
        return value

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        keys = list(keys)
        values = self.fast.get_many(keys, MISSING)
        absent = []
        for i, value in enumerate(values):
            if value is NOTHING:
                self._counts["negative"] += 1
                values[i] = default
            elif value is MISSING:
                absent.append(i)
        if self._rules.window and absent:
            for i in absent:
                values[i] = self.get(keys[i], default)
        elif absent:
            for i, value in zip(absent, self._fetch([keys[i] for i in absent]), strict=True):
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

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]:
        return tags_of(self.slow, list(keys))

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        return self.slow.contains_many(keys)

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
        counts = self._counts
        return {**slow, "hits": fast["hits"] + slow["hits"] + counts["stale"] - counts["negative"],
                "misses": slow["misses"] + counts["negative"], "stale": slow["stale"] + counts["stale"],
                "negative": counts["negative"], "refreshes": {"done": counts["done"], "failed": counts["failed"]},
                "layers": [fast, slow]}

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
        for thread in list(self._renewing.values()):
            if thread is not threading.current_thread():
                thread.join(5.0)
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
        return (1, value) if value is not MISSING and value is not NOTHING else self.slow._lookup(key)

    def _read(self, key: Any) -> tuple[Any, Any]:
        return self.slow._read(key)

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> bool:
        return self._through([key], "_publish", flight, key, value, ttl, stale)

    def _snapshot(self) -> Any:
        return self.slow._snapshot()

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Any = ()) -> None:
        self._through(list(writes), "_commit", reads, writes, ranges=ranges)

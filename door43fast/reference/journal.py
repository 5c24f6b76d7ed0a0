"""The journal of the reference engine: every change in order, until it is pruned."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from door43fast.contracts import Change
from door43fast.errors import ConfigError, PrunedError

ENTRY = 21      # bytes of a change beside its key, as the native journal counts them


class Journal:
    """Changes are noted inside the section that makes them; ``prune`` follows each."""

    def __init__(self, wanted: bool | dict[str, Any], clock: Any, origin: str) -> None:
        bounds = wanted if isinstance(wanted, dict) else {}
        if unknown := set(bounds) - {"max_age", "max_bytes"}:
            raise ConfigError(f"journal= has no {sorted(unknown)}; it has max_age and max_bytes")
        self.max_age = bounds.get("max_age")
        self.max_bytes = bounds.get("max_bytes")
        self.clock = clock
        self.origin = origin
        self.last = 0
        self._bytes = 0
        self._changes: deque[tuple[float, Change]] = deque()

    def note(self, op: str, key: Any, version: int = 0, base: int = 0) -> None:
        """REQUIRES: the caller is in the section that makes the change."""
        self.last += 1
        change = Change(self.last, op, key, version, base, self.origin, time.time())
        self._changes.append((self.clock.seconds, change))
        self._bytes += _size(change)
        while len(self._changes) > 1 and self._beyond():
            self._bytes -= _size(self._changes.popleft()[1])

    def _beyond(self) -> bool:
        return (self.max_bytes is not None and self._bytes > self.max_bytes) or (
            self.max_age is not None and self.clock.seconds - self._changes[0][0] > self.max_age)

    def since(self, number: int) -> Iterator[Change]:
        """The changes after ``number``, with those that come while they are read."""
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"since= is the number of a change, not {type(number).__name__}")
        if not 0 <= number <= self.last:
            raise ValueError(f"since={number} is no change of this store, whose last is {self.last}")
        self._first(number)
        return self._walk(number)

    def _first(self, number: int) -> int:
        """How many of the changes that are kept come before the one after ``number``."""
        oldest = self._changes[0][1].seq if self._changes else 1
        if number + 1 < oldest:
            raise PrunedError(f"the changes after {number} are no longer all kept: the oldest is {oldest}. Read the "
                              f"store as it is, and go on with changes(since={oldest - 1}) or a later one", oldest)
        return number + 1 - oldest

    def _walk(self, number: int) -> Iterator[Change]:
        while number < self.last:
            at = self._first(number)
            change = next(itertools.islice(self._changes, at, None))[1]
            yield change
            number = change.seq


def _size(change: Change) -> int:
    return ENTRY + len(str(change.key).encode("utf-8", "surrogatepass"))

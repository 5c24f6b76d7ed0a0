"""Who listened to a store, or watched it, before it was there: what they asked for goes over to it when it arrives."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from door43fast.native.watches import EpochCell


class Told:
    """What those above look at who were there first: others may have written anything by the time it has arrived."""

    def __init__(self, absentee: Any) -> None:
        self._absentee = weakref.ref(absentee)
        self._tiers: list[tuple[str, Any]] = []
        self._asked: list[Callable[[], int]] | None = None

    def _epoch(self) -> int:
        return 0 if self._asked is None else 1 + sum(ask() for ask in self._asked)

    def _tells(self, tier: Any) -> None:
        self._stands("_tells", tier)

    def _stand_below(self, tier: Any) -> None:
        self._stands("_stand_below", tier)

    def _stands(self, method: str, tier: Any) -> None:
        absentee = self._absentee()
        if absentee is None:
            return
        with absentee._arrival:
            self._tiers.append((method, tier))
            if absentee.arrived:
                _tell([(method, tier)], absentee.slow)

    def receive(self, store: Any) -> None:
        """REQUIRES: the lock of the arrival."""
        _tell(self._tiers, store)
        self._asked = [ask for ask in map(_asking, leaves(store)) if ask is not None]


def _tell(tiers: Sequence[tuple[str, Any]], store: Any) -> None:
    for leaf in leaves(store):
        for method, tier in tiers:
            if hasattr(leaf, method):
                getattr(leaf, method)(tier)


def _asking(leaf: Any) -> Callable[[], int] | None:
    """What gives the number of a leaf that tells whether others have written."""
    return (lambda: leaf.number) if isinstance(leaf, EpochCell) else getattr(leaf, "_epoch", None)


class Early:
    """The listeners of a store that is not there yet, as its events."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._waiting: list[Waiting] = []
        self._store: Any = None

    def subscribe(self, pattern: str, callback: Any, **options: Any) -> Any:
        """As of any events; what is subscribed goes over to the store when that is there."""
        with self.lock:
            if self._store is None:
                if not callable(callback):
                    raise TypeError(f"a listener must be callable, not {type(callback).__name__}")
                self._waiting.append(Waiting(self, pattern, callback, options))
                return self._waiting[-1]
        return self._store._events.subscribe(pattern, callback, **options)

    def flush(self) -> None:
        """Nothing has happened yet."""
        if self._store is not None:
            self._store._events.flush()

    def receive(self, store: Any) -> None:
        with self.lock:
            for one in self._waiting:
                one.real = store._events.subscribe(one.pattern, one.callback, **one.options)
            self._waiting, self._store = [], store

    def cancel(self, waiting: Waiting) -> None:
        with self.lock:
            real, self._waiting = waiting.real, [one for one in self._waiting if one is not waiting]
        if real is not None:
            real.cancel()


class Waiting:
    """One subscription made before the store was there; ``real`` is the one that it has become."""

    def __init__(self, early: Early, pattern: str, callback: Any, options: dict[str, Any]) -> None:
        self.early, self.pattern, self.callback, self.options = early, pattern, callback, options
        self.real: Any = None

    def cancel(self) -> None:
        """Stop listening."""
        self.early.cancel(self)

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


def leaves(store: Any) -> Iterator[Any]:
    """What tells whether others have written to a store: of what it is made, the innermost."""
    if hasattr(store, "_watched"):
        for one in store._watched():
            yield from leaves(one)
    else:
        yield store

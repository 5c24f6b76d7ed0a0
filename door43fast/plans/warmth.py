"""A warm start: the keys that a memory tier would keep longest are kept beside its store, and read at the opening.

Keys only: their values are those that the store has then, and they go up as every read does, so nothing that was
overwritten, deleted or has expired comes back.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import ConfigError
from door43fast.layers import Cascade
from door43fast.layers.absentee import may_be_away
from door43fast.native.lmdb import LmdbEngine
from door43fast.native.memory import MemoryEngine
from door43fast.plans.hotlist import read, write

WITHIN, KEYS = 0.25, 100_000    # seconds, and keys, where nothing else is given
EVERY = 60.0                    # seconds between two times that the keys are written
SMALL, LARGE = 64, 2048         # keys of one batch, at first and at the most


def warmed(store: Any, within: float | None, most: int | None) -> None:
    """Have a cascade start warm: returns when its memory is filled, or after ``within`` seconds.

    Raises
    ------
    ConfigError
        If the store at the bottom is in no folder.
    """
    store.warmth = Warmth(store, WITHIN if within is None else within, KEYS if most is None else most)
    store.warmth.begin()


def _in_a_folder(store: Any) -> Any:
    """The lowest layer that is in a folder, None where there is none."""
    while hasattr(store, "slow"):
        below = _in_a_folder(store.slow)
        if below is not None or not hasattr(store, "fast"):
            return below
        store = store.fast
    return store if isinstance(store, LmdbEngine) or "path" in getattr(store, "_plan", {}) else None


class Warmth:
    """What a cascade holds for its warm start: it tells ``told()`` in its ``stats()``, and calls ``end()`` to close."""

    def __init__(self, store: Any, within: float, most: int) -> None:
        if not isinstance(store, Cascade):
            raise ConfigError(f"warm= fills a memory tier, and there is none at the top of this "
                              f"{type(store).__name__}: leave warm= out")
        if may_be_away(store):
            raise ConfigError("warm= reads at the opening, when a layer with absent='wait' may not be there yet: leave "
                              "one of them out")
        beside = _in_a_folder(store)
        if beside is None:
            raise ConfigError(f"warm= keeps its keys beside a store, and no layer of this {type(store).__name__} is in "
                              "a folder: leave warm= out")
        native = isinstance(beside, LmdbEngine)
        path = beside.path if native else beside._plan["path"]
        self.path = os.path.join(path, "warm") if native else f"{path}.warm"
        self.encoded = native and beside.plan["keys"] == "any"      # then a memory tier over it has encoded keys
        self.within, self.most = within, most
        self.asked = self.found = self.remembered = 0
        self.seconds = 0.0
        self.note: str | None = None
        self.pid = os.getpid()
        self._store = weakref.ref(store)
        self._rest: list[Any] = []          # what was not yet read of the keys that were remembered
        self._filled, self._ended = threading.Event(), threading.Event()
        self._writing = threading.Lock()

    def begin(self) -> None:
        """Read what was remembered, for as long as ``within``; what is under way then goes on for one batch."""
        self._rest, self.note = read(self.path, self.most)
        threading.Thread(target=_keep, args=(weakref.ref(self), self._filled, self._ended), name="door43fast-warmth",
                         daemon=True).start()
        self._filled.wait(self.within)

    def fill(self) -> None:
        """One batch after the other, the hottest first, until the time is over or something must make room."""
        began = time.monotonic()
        size = SMALL
        try:
            while self._rest and time.monotonic() - began < self.within:
                store = self._store()
                if store is None or store.closed or self._ended.is_set():
                    break
                evictions = store.fast.stats()["evictions"]
                batch, self._rest = self._rest[:size], self._rest[size:]
                self.asked += len(batch)
                values = store.get_many(batch, MISSING)
                found = [key for key, value in zip(batch, values, strict=True) if value is not MISSING]
                self.found += len(found)
                if found and not self.encoded and not any(store.fast.contains_many(found)):
                    self._fill_singly(store, found, began)      # of some layers no batch goes up
                if store.fast.stats()["evictions"] > evictions:     # the memory is smaller than it was
                    self._rest = []
                size = min(size * 2, LARGE)
        except Exception as error:      # the store is open all the same, and cold
            self.note = f"the keys in {self.path!r} could not be read: {error}"
        self.seconds = time.monotonic() - began

    def _fill_singly(self, store: Any, keys: list[Any], began: float) -> None:
        for i, key in enumerate(keys):
            if time.monotonic() - began >= self.within:
                self._rest = keys[i:] + self._rest
                break
            store.get(key)

    def remember(self) -> None:
        """Write the keys that are hot now, and behind them those that there was no time to read."""
        store = self._store()
        if store is None or store.closed or not store.capabilities.writes or os.getpid() != self.pid:
            return
        with self._writing:
            try:
                self.remembered = write(self.path, [*self._hot(store), *self._rest][:self.most])
            except OSError as error:
                self.note = f"the keys could not be written to {self.path!r}: {error}"
                warnings.warn(self.note, RuntimeWarning, stacklevel=4)

    def _hot(self, store: Any) -> list[Any]:
        """The keys of all memory tiers, the upper ones first."""
        keys: dict[Any, None] = {}
        while hasattr(store, "fast") and len(keys) < self.most:
            if isinstance(store.fast, MemoryEngine):
                keys.update(dict.fromkeys(store.fast._hot(self.most)))
            store = store.slow
        if self.encoded:
            from door43fast.native.keys import KeyCodec

            decode = KeyCodec("any").decode
            return [decode(key) if type(key) is bytes else key for key in keys]
        return list(keys)

    def end(self) -> None:
        """The cascade is about to be closed."""
        if os.getpid() == self.pid:     # a child of a fork has not the thread, and leaves the keys to its parent
            self._ended.set()
            self.remember()

    def told(self) -> dict[str, Any]:
        """How many keys were ``asked`` for at the opening and ``found``, in how many ``seconds``; how many were
        ``remembered`` last; and a ``note`` where something stood in the way."""
        return {"asked": self.asked, "found": self.found, "seconds": self.seconds, "remembered": self.remembered,
                "note": self.note}


def _keep(warmth: weakref.ref[Warmth], filled: threading.Event, ended: threading.Event) -> None:
    """The thread: fills, and then remembers every so often. It keeps no store alive that nobody uses."""
    one = warmth()
    if one is not None:
        one.fill()
    filled.set()
    del one
    while not ended.wait(EVERY):
        one = warmth()
        if one is None:
            return
        one.remember()
        del one

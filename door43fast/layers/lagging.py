"""Writes that nobody waits for any more and that go on all the same: until they end, their keys take no other write.

Else a late write could land on a newer one that was acknowledged. What it changes in the end is told to the memory
above by a cell, which is raised when it has ended.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

from door43fast.contracts import MISSING
from door43fast.native.watches import EpochCell


class Write:
    """One write under way. ``keys`` is None where it may concern any."""

    __slots__ = ("keys", "late", "over")

    def __init__(self, keys: Iterable[Any] | None) -> None:
        self.keys = None if keys is None else list(keys)
        self.late = self.over = False


class Lagging:
    """The writes of one layer that are late."""

    def __init__(self) -> None:
        self.cell = EpochCell()
        self.anew()

    def anew(self) -> None:
        """With none, as after a fork: the threads that carry them out are the parent's."""
        self._lock = threading.RLock()    # a key's own comparison may come back here
        self._keys: Counter[Any] = Counter()
        self._wide = 0

    def in_the_way(self, keys: Iterable[Any] | None) -> Any:
        """A key that a write of ``keys`` would have to wait for, None for one that may be any; MISSING for none."""
        if not self._keys and not self._wide:
            return MISSING
        with self._lock:
            if self._wide or keys is None:
                return None if self._wide or self._keys else MISSING
            return next((key for key in keys if key in self._keys), MISSING)

    def left(self, write: Write) -> None:
        """Nobody waits for it any more; it may have ended."""
        with self._lock:
            if write.over:
                return
            write.late = True
            if write.keys is None:
                self._wide += 1
            else:
                self._keys.update(write.keys)

    def ended(self, write: Write) -> None:
        """What its thread says at its end, whatever that was."""
        with self._lock:
            write.over = True
            if not write.late:
                return
            self.cell.bump()
            if write.keys is None:
                self._wide -= 1
                return
            self._keys.subtract(write.keys)
            for key in write.keys:
                if not self._keys[key]:
                    del self._keys[key]

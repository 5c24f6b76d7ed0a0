"""Sections: writes of one key through several layers are made one after another, so that all see the same order.

A key belongs to one of 64 stripes, each with a lock that its thread may take again. A batch takes its stripes in order,
so two batches never wait for each other. No listener runs in a section. What is being written is noted, so that the
child of a fork, in which the other threads are not, knows where layers may differ.

What a write leaves owed is decided under one lock for all keys, ``reckoning``, since a layer that owes too many keys is
not believed for any: it must not happen between two looks of another write that only this layer has taken.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

STRIPES = 64


class Stripes:
    """The sections of one store."""

    def __init__(self) -> None:
        self.anew()

    def anew(self) -> None:
        """New locks, and nothing under way: after a fork."""
        self._locks = [threading.RLock() for _ in range(STRIPES)]
        self.reckoning = threading.RLock()      # taken in a section, and no section in it
        self._under_way: dict[int, list[Any]] = {}

    @contextmanager
    def section(self, keys: Sequence[Any] | None) -> Iterator[None]:
        """Nobody else writes ``keys`` in it, or anything if that is None."""
        places = range(STRIPES) if keys is None else sorted({hash(key) % STRIPES for key in keys})
        locks = self._locks
        thread = threading.get_ident()
        taken = 0
        try:
            for place in places:
                locks[place].acquire()
                taken += 1
            self._under_way.setdefault(thread, []).append(keys)
            try:
                yield
            finally:
                under_way = self._under_way.get(thread)     # gone where the process was forked meanwhile
                if under_way is not None:
                    under_way.pop()
                    if not under_way:
                        del self._under_way[thread]
        finally:
            for place in list(places)[:taken]:
                locks[place].release()

    def inside(self) -> bool:
        """Whether this thread is in a section."""
        return threading.get_ident() in self._under_way

    def others(self) -> list[Sequence[Any] | None]:
        """The keys that other threads are writing."""
        me = threading.get_ident()
        return [keys for thread, all in list(self._under_way.items()) if thread != me for keys in all]

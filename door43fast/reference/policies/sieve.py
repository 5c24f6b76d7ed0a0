"""SIEVE (Zhang, Yang, Yue, Vigfusson and Rashmi, NSDI 2024)."""

from __future__ import annotations

from collections.abc import Hashable


class Sieve:
    """One queue; a hand goes through it from old to new, and takes the first that was not used since it came by."""

    def __init__(self, entries: int, weight: int) -> None:
        self.queue: list[Hashable] = []     # the oldest first
        self.used: set[Hashable] = set()
        self.hand: Hashable | None = None   # where it goes on; None for the oldest

    def __len__(self) -> int:
        return len(self.queue)

    def add(self, name: Hashable, weight: int = 0) -> None:
        self.queue.append(name)

    def hit(self, name: Hashable) -> None:
        self.used.add(name)

    def remove(self, name: Hashable) -> None:
        place = self.queue.index(name)
        if name == self.hand:
            self.hand = self.queue[place + 1] if place + 1 < len(self.queue) else None
        del self.queue[place]
        self.used.discard(name)

    def reweigh(self, name: Hashable, weight: int) -> None:
        """A name's weight does not matter here."""

    def victim(self) -> Hashable:
        place = 0 if self.hand is None else self.queue.index(self.hand)
        while self.queue[place] in self.used:
            self.used.remove(self.queue[place])
            place = (place + 1) % len(self.queue)
        self.hand = self.queue[place]
        return self.hand

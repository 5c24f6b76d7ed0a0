"""Strict least recently used."""

from __future__ import annotations

from collections.abc import Hashable

from door43fast.reference.policies.queue import Queue


class Lru(Queue):
    """The one that was not used for the longest time makes room."""

    def __init__(self, entries: int, weight: int) -> None:
        super().__init__()

    def add(self, name: Hashable, weight: int = 0) -> None:
        self[name] = weight

    def hit(self, name: Hashable) -> None:
        self.move_to_end(name)

    def remove(self, name: Hashable) -> None:
        del self[name]

    def reweigh(self, name: Hashable, weight: int) -> None:
        self[name] = weight

    def victim(self) -> Hashable:
        return self.oldest

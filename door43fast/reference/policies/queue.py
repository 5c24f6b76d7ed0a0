"""A queue of names with their weights, under bounds in entries and in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

UNBOUNDED = 1 << 62


def share(whole: int, parts: int, of: int) -> int:
    """``parts / of`` of a budget, at least 1; no bound where there is no budget."""
    return max(whole * parts // of, 1) if whole else UNBOUNDED


class Queue(OrderedDict[Hashable, int]):
    """Names in the order in which they came, the oldest first, each with its weight."""

    def __init__(self, entries: int = UNBOUNDED, weight: int = UNBOUNDED) -> None:
        super().__init__()
        self.entries = entries
        self.weight = weight

    @property
    def full(self) -> bool:
        """There is no room for one more."""
        return len(self) >= self.entries or sum(self.values()) >= self.weight if self.weight < UNBOUNDED else len(
            self) >= self.entries

    @property
    def over(self) -> bool:
        """There are more than there is room for."""
        return len(self) > self.entries or (self.weight < UNBOUNDED and sum(self.values()) > self.weight)

    @property
    def oldest(self) -> Hashable:
        return next(iter(self))

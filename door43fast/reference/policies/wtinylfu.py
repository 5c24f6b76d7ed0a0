"""W-TinyLFU (Einziger, Friedman and Manes, 2017): a small window of the newest, then a segmented LRU behind a filter
that lets in only what was used more often of late than what it would replace."""

from __future__ import annotations

from collections.abc import Hashable

from door43fast.reference.policies.queue import UNBOUNDED, Queue, share

GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def mixed(name: Hashable) -> int:
    """The 32 bits of Python's hash by which the native engine knows a name."""
    x = hash(name) & WORD
    return ((x ^ x >> 32) * GOLDEN & WORD) >> 32


class Sketch:
    """A count-min sketch of 4-bit counters that are halved from time to time, in blocks of four rows of 32."""

    FIRST = 8               # blocks
    ENTRIES_A_BLOCK = 16
    LEAST = 16              # entries as of which it counts its time

    def __init__(self) -> None:
        self.blocks = [[[0] * 32 for _ in range(4)] for _ in range(self.FIRST)]
        self.added = 0

    def counters(self, number: int) -> list[tuple[list[int], int]]:
        """The four counters of a name that is mixed to ``number``, each as its row and place."""
        spread = number * GOLDEN & WORD
        block = self.blocks[(spread >> 12) % len(self.blocks)]
        return [(block[row], (spread >> (44 + 5 * row)) & 31) for row in range(4)]

    def estimate(self, number: int) -> int:
        return min(row[place] for row, place in self.counters(number))

    def raised(self, number: int) -> list[tuple[list[int], int]]:
        """The counters that a use of the name raises, where they are not at their most."""
        return self.counters(number)

    def count(self, number: int, entries: int) -> None:
        while entries > self.ENTRIES_A_BLOCK * len(self.blocks):
            self.blocks += [[list(row) for row in block] for block in self.blocks]
        changed = False
        for row, place in self.raised(number):
            if row[place] < 15:
                row[place] += 1
                changed = True
        self.added += changed
        if changed and self.added >= 10 * max(entries, self.LEAST):
            self.blocks = [[[counter // 2 for counter in row] for row in block] for block in self.blocks]
            self.added //= 2


class WTinyLfu:
    """Window (a hundredth), probation, and protected (four fifths of the rest): each in the order of use."""

    def __init__(self, entries: int, weight: int) -> None:
        self.window = Queue(share(entries, 1, 100), share(weight, 1, 100))
        self.probation = Queue()
        self.protected = Queue(share(entries - self.window.entries, 4, 5) if entries else UNBOUNDED,
                               share(weight - self.window.weight, 4, 5) if weight else UNBOUNDED)
        self.sketch = Sketch()

    def __len__(self) -> int:
        return len(self.window) + len(self.probation) + len(self.protected)

    def _queue(self, name: Hashable) -> Queue:
        return next(queue for queue in (self.window, self.probation, self.protected) if name in queue)

    def add(self, name: Hashable, weight: int = 0) -> None:
        self.window[name] = weight
        self.sketch.count(mixed(name), len(self))
        while self.window.over and len(self.window) > 1:
            oldest, weight = self.window.popitem(last=False)
            self.probation[oldest] = weight

    def hit(self, name: Hashable) -> None:
        self.sketch.count(mixed(name), len(self))
        if name in self.window:
            self.window.move_to_end(name)
            return
        queue = self._queue(name)
        self.protected[name] = queue.pop(name)
        while self.protected.over and len(self.protected) > 1:
            oldest, weight = self.protected.popitem(last=False)
            self.probation[oldest] = weight

    def remove(self, name: Hashable) -> None:
        del self._queue(name)[name]

    def reweigh(self, name: Hashable, weight: int) -> None:
        self._queue(name)[name] = weight

    def victim(self) -> Hashable:
        queue = self.probation or self.protected
        if not queue:
            return self.window.oldest
        victim = queue.oldest
        if not self.window.full:
            return victim
        candidate = self.window.oldest
        if self.sketch.estimate(mixed(candidate)) <= self.sketch.estimate(mixed(victim)):
            return candidate
        self.probation[candidate] = self.window.pop(candidate)
        return victim

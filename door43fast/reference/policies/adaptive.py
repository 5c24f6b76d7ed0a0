"""W-TinyLFU whose window is that of the best of three small shadow caches, which follow a sample of the keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from door43fast.reference.policies.queue import Queue, share
from door43fast.reference.policies.wtinylfu import Sketch, mixed

SHARES = (1, 10, 100)   # of the budget that the window may have, in hundredths
MARGIN = 1              # by how much a newcomer must have been used more often than what it replaces
MOST = 512              # keys in a shadow; twice as many halve the sample
CREDIT = 1024           # most hits that are counted between two new names
STEPS = 8               # most names that one call moves to where they belong by a new window


class Careful(Sketch):
    """A larger sketch that raises only the least of a name's counters, and counts its time as of 256 entries."""

    FIRST, ENTRIES_A_BLOCK, LEAST = 64, 8, 256

    def raised(self, number: int) -> list[tuple[list[int], int]]:
        least = self.estimate(number)
        return [(row, place) for row, place in self.counters(number) if row[place] == least]


class Segments:
    """Window, probation and guarded names, each in the order of use."""

    def __init__(self) -> None:
        self.window = Queue()
        self.probation = Queue()
        self.guarded = Queue()

    def __len__(self) -> int:
        return len(self.window) + len(self.probation) + len(self.guarded)

    def __contains__(self, name: object) -> bool:
        return name in self.window or name in self.probation or name in self.guarded

    def queue(self, name: Hashable) -> Queue:
        return next(queue for queue in (self.window, self.probation, self.guarded) if name in queue)

    def use(self, name: Hashable, steps: int) -> None:
        if name in self.window:
            self.window.move_to_end(name)
            return
        self.guarded[name] = self.queue(name).pop(name)
        self.guarded.move_to_end(name)
        self.spill(self.guarded, steps)

    def spill(self, queue: Queue, steps: int) -> None:
        """What a queue has no room for goes on probation."""
        for _ in range(steps):
            if len(queue) <= 1 or not queue.over:
                break
            name, weight = queue.popitem(last=False)
            self.probation[name] = weight

    uses: Callable[[Any], int]      # how often a name was used of late

    def victim(self) -> Hashable:
        queue = self.probation or self.guarded
        if not queue:
            return self.window.oldest
        victim = queue.oldest
        if not self.window.full:
            return victim
        candidate = self.window.oldest
        if self.uses(candidate) > self.uses(victim) + MARGIN:
            self.probation[candidate] = self.window.pop(candidate)
            return victim
        self.probation[victim] = queue.pop(victim)
        self.probation.move_to_end(victim)
        return candidate


class Shadow(Segments):
    """A small cache of mixed names that shows how often a window of so many hundredths would hit."""

    def __init__(self, hundredths: int, uses: Callable[[int], int]) -> None:
        super().__init__()
        self.hundredths = hundredths
        self.uses = uses
        self.hits = 0

    def see(self, name: int, room: int) -> None:
        self.window.entries = max(room * self.hundredths // 100, 1)
        self.guarded.entries = max((room - self.window.entries) * 4 // 5, 1)
        if name in self:
            self.hits += 1
            self.use(name, room)
            return
        while len(self) >= room:
            victim = self.victim()
            del self.queue(victim)[victim]
        self.window[name] = 0
        self.spill(self.window, room)


class Adaptive(Segments):
    """The store's own queues. Nothing is counted before it is a quarter full."""

    def __init__(self, entries: int, weight: int) -> None:
        super().__init__()
        self.budget = (entries, weight)
        self.sketch = Careful()
        self.shadows = [Shadow(hundredths, self.sketch.estimate) for hundredths in SHARES]
        self.chosen = 0
        self.awake = self.evicted = False
        self.credit = 0         # hits that are still counted before the next name comes
        self.expected = 0       # entries of the full store, before it is full
        self.shift = 0          # one name of 2 ** shift is of the sample
        self.seen = 0
        self.lead(0)

    def lead(self, chosen: int) -> None:
        """Take over the window of a shadow."""
        self.chosen = chosen
        entries, weight = self.budget
        self.window.entries = share(entries, SHARES[chosen], 100)
        self.window.weight = share(weight, SHARES[chosen], 100)
        self.guarded.entries = share(max(entries - self.window.entries, 1) if entries else 0, 4, 5)
        self.guarded.weight = share(max(weight - self.window.weight, 1) if weight else 0, 4, 5)

    def learn(self, name: Hashable) -> None:
        number = mixed(name)
        self.sketch.count(number, len(self))
        if number >> (32 - self.shift):
            return
        entries = len(self) if self.evicted else max(len(self), self.expected)
        while entries >> self.shift >= 2 * MOST:
            self.shift += 1
            for shadow in self.shadows:
                for queue in (shadow.window, shadow.probation, shadow.guarded):
                    queue.clear()
        room = max(entries >> self.shift, 1)
        for shadow in self.shadows:
            shadow.see(number, room)
        self.seen += 1
        if self.seen < 4 * max(room, 64):
            return
        self.seen = 0
        hits = [shadow.hits for shadow in self.shadows]
        best = hits.index(max(hits))
        if hits[best] * 100 > hits[self.chosen] * 101:
            self.lead(best)
        for shadow in self.shadows:
            shadow.hits //= 2

    def wake(self) -> None:
        entries, weight = self.budget
        held = sum(sum(queue.values()) for queue in (self.window, self.probation, self.guarded)) if weight else 0
        if len(self) * 4 >= entries > 0 or held * 4 >= weight > 0:
            self.awake = True
            self.expected = len(self) * 4
            while self.expected >> self.shift > MOST:
                self.shift += 1

    def add(self, name: Hashable, weight: int = 0) -> None:
        self.window[name] = weight
        if not self.awake:
            self.wake()
        if self.awake:
            self.credit = CREDIT
            self.learn(name)
        self.spill(self.window, STEPS)

    def hit(self, name: Hashable) -> None:
        if self.credit:
            self.credit -= 1
            self.learn(name)
        self.use(name, STEPS)

    def remove(self, name: Hashable) -> None:
        del self.queue(name)[name]

    def reweigh(self, name: Hashable, weight: int) -> None:
        self.queue(name)[name] = weight

    def uses(self, name: Any) -> int:
        return self.sketch.estimate(mixed(name))

    def victim(self) -> Hashable:
        self.evicted = True
        return super().victim()

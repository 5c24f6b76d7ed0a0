"""S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023), as libCacheSim has it: two hits lead out of the small queue,
and a store that was never full yet puts what the small queue has no room for into the main one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from door43fast.reference.policies.queue import Queue, share


def places(room: int) -> int:
    return room + max(room // 4, min(room, 16384))


class Ghost:
    """Hashes of names that were evicted not long ago. The places of those that were taken out are used again only as
    a ring with more places than names comes round."""

    def __init__(self) -> None:
        self.names: OrderedDict[int, int] = OrderedDict()   # each with the number of its place
        self.places = 0
        self.begin = self.end = 0       # numbers of the places that are in use

    def remove(self, name: int) -> bool:
        return self.names.pop(name, None) is not None

    def add(self, name: int, room: int) -> None:
        if room == 0:
            return
        self.remove(name)
        while self.names and len(self.names) >= room:
            self.begin = next(iter(self.names.values()))
            self.names.popitem(last=False)
            self.begin += 1
        if places(room) > self.places:
            self.places = places(max(room, 2 * len(self.names), 8))
            self.begin, self.end = 0, len(self.names)       # they are written anew, without gaps
            self.names = OrderedDict((kept, place) for place, kept in enumerate(self.names))
        while self.end - self.begin >= self.places:
            first = next(iter(self.names.items()), None)
            if first is not None and first[1] == self.begin:
                self.names.popitem(last=False)
            self.begin += 1
        self.names[name] = self.end
        self.end += 1


class S3Fifo:
    """New names pass through a small queue, and only those that prove themselves come into the main one."""

    def __init__(self, entries: int, weight: int) -> None:
        self.small = Queue(share(entries, 1, 10), share(weight, 1, 10))
        self.main = Queue()
        self.ghost = Ghost()
        self.hits: dict[Hashable, int] = {}     # up to 3
        self.evicted = False

    def __len__(self) -> int:
        return len(self.hits)

    def add(self, name: Hashable, weight: int = 0) -> None:
        known = self.ghost.remove(hash(name))
        queue = self.main if known or (not self.evicted and self.small.full) else self.small
        queue[name] = weight
        self.hits[name] = 0

    def hit(self, name: Hashable) -> None:
        self.hits[name] = min(self.hits[name] + 1, 3)

    def remove(self, name: Hashable) -> None:
        del (self.small if name in self.small else self.main)[name]
        del self.hits[name]

    def reweigh(self, name: Hashable, weight: int) -> None:
        (self.small if name in self.small else self.main)[name] = weight

    def victim(self) -> Hashable:
        self.evicted = True
        while True:
            if self.main and (not self.small or not self.small.full):
                name = self.main.oldest
                if self.hits[name] == 0:
                    return name
                self.hits[name] -= 1
                self.main.move_to_end(name)
            else:
                name = self.small.oldest
                if self.hits[name] < 2:
                    self.ghost.add(hash(name), len(self) * 9 // 10)
                    return name
                self.main[name] = self.small.pop(name)
                self.hits[name] = 0

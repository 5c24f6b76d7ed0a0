"""The eviction policies in plain Python, one module each: slow, short, and plainly right.

They are the judges of the native ones, and what the reference engine evicts by. A policy keeps names (anything
hashable) and knows nothing of values. ``add`` is told of a new name, ``hit`` of one that was read or rewritten,
``remove`` of one that goes for whatever reason, ``reweigh`` of another weight; ``victim`` says which must go now, and
the caller then removes it. Queues are measured in entries where there is a budget of entries, in bytes where there is
one of bytes, and by either where there are both.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from door43fast.reference.policies.adaptive import Adaptive
from door43fast.reference.policies.lru import Lru
from door43fast.reference.policies.s3fifo import S3Fifo
from door43fast.reference.policies.sieve import Sieve
from door43fast.reference.policies.wtinylfu import WTinyLfu


class Policy(Protocol):
    """What every policy answers to."""

    def add(self, name: Hashable, weight: int = 0) -> None: ...
    def hit(self, name: Hashable) -> None: ...
    def remove(self, name: Hashable) -> None: ...
    def reweigh(self, name: Hashable, weight: int) -> None: ...
    def victim(self) -> Hashable: ...
    def __len__(self) -> int: ...


POLICIES: dict[str, Callable[[int, int], Policy]] = {
    "lru": Lru, "sieve": Sieve, "s3fifo": S3Fifo, "wtinylfu": WTinyLfu, "adaptive": Adaptive}


def hits(policy: str, trace: list[int], entries: int) -> int:
    """How many of the reads of a trace a store of ``entries`` answers, where each that misses is followed by a set."""
    judge = POLICIES[policy](entries, 0)
    held: set[int] = set()
    count = 0
    for name in trace:
        if name in held:
            judge.hit(name)
            count += 1
            continue
        if len(held) == entries:
            victim = judge.victim()
            judge.remove(victim)
            held.remove(victim)
        judge.add(name)
        held.add(name)
    return count

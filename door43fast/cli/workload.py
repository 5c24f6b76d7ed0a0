"""What the demo and the bench read: the same keys, in the same order, for every store that takes part."""

from __future__ import annotations

import random
from typing import NamedTuple

SEED = 43


class Workload(NamedTuple):
    """Keys to read one by one, keys to read in batches, and prefixes to read whole."""

    single: list[str]
    batches: list[list[str]]
    prefixes: list[str]


def draw(
    keys: list[str],
    prefixes: list[str],
    *,
    single: int = 20_000,
    batches: int = 20,
    batch: int = 1000,
    scanned: int = 100,
) -> Workload:
    """A workload of seeded random keys; fewer where there are fewer. No key is the very object that a store holds."""
    dice = random.Random(SEED)

    def some(count: int) -> list[str]:
        # A copy by way of bytes: a store that has seen the same object before would find it without comparing.
        return [key.encode().decode() for key in dice.choices(keys, k=count)]

    return Workload(
        some(single),
        [some(batch) for _ in range(batches)],
        [dice.choice(prefixes) for _ in range(min(scanned, len(prefixes) * 4))],
    )

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
    """A workload of seeded random keys; less of it where there are fewer keys or prefixes."""
    dice = random.Random(SEED)
    return Workload(
        dice.choices(keys, k=single),
        [dice.choices(keys, k=batch) for _ in range(batches)],
        [dice.choice(prefixes) for _ in range(min(scanned, len(prefixes) * 4))],
    )


def copied(work: Workload) -> Workload:
    """The same with fresh key objects, as a program has them that gets its keys from outside.

    A store that has seen the very object before would find it without comparing, and its hash is kept in it.
    """

    def fresh(keys: list[str]) -> list[str]:
        return [key.encode().decode() for key in keys]

    return Workload(fresh(work.single), [fresh(batch) for batch in work.batches], work.prefixes)

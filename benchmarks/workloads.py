"""Keys, values and orders of access, the same in every run: each is a function of its arguments and a seed."""

from __future__ import annotations

import random

SEED = 20_261_123


def keys(count: int) -> list[str]:
    """``count`` keys in ascending order. Every call makes other objects, equal to those of the last."""
    return [f"k{number:08d}" for number in range(count)]


def absent(count: int) -> list[str]:
    """Keys that are in none of the stores filled from :func:`keys`."""
    return [f"absent{number:08d}" for number in range(count)]


def shuffled(items: list[str], seed: int = SEED) -> list[str]:
    """A copy in random order."""
    items = list(items)
    random.Random(seed).shuffle(items)
    return items


def drawn(count: int, below: int, seed: int = SEED) -> list[str]:
    """``count`` keys of the first ``below``, drawn at random with repetition; each is an object of its own."""
    draw = random.Random(seed).randrange
    return [f"k{draw(below):08d}" for _ in range(count)]


def values(count: int, size: int, seed: int = SEED) -> list[bytes]:
    """``count`` different values of ``size`` bytes that do not compress."""
    data = random.Random(seed).randbytes(count * size)
    return [data[at:at + size] for at in range(0, count * size, size)]


def operations(count: int, below: int, reads: float, seed: int = SEED) -> list[tuple[bool, str]]:
    """A mix of reads (True) and writes (False) over the first ``below`` keys."""
    source = random.Random(seed)
    return [(source.random() < reads, f"k{source.randrange(below):08d}") for _ in range(count)]

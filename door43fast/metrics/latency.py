"""Histograms of how long calls took: buckets of a sixteenth of a power of two, and what can be said from them.

A bucket is known to one part in 16, so a quantile, the middle of its bucket, is at most 3.2 % off. The native
histogram (``d43_meter.h``) has the same buckets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

STEPS = 16                      # buckets to a power of two
BUCKETS = STEPS * 38            # up to 2**41 ns, some 36 minutes; what is longer is in the last


class Latency(NamedTuple):
    """How long one kind of call took, in seconds.

    One in ``every`` calls was measured, ``measured`` in all. ``total`` is their sum, ``counts`` those in each bucket.
    """

    measured: int
    every: int
    p50: float
    p95: float
    p99: float
    least: float
    most: float
    total: float
    counts: tuple[int, ...]


def bucket_of(ns: int) -> int:
    """The bucket of a span of ``ns`` nanoseconds."""
    if ns < STEPS:
        return max(ns, 0)
    exponent = ns.bit_length() - 1
    return min((exponent - 3) * STEPS + (ns >> (exponent - 4) & (STEPS - 1)), BUCKETS - 1)


def lower_bound(bucket: int) -> int:
    """The least span of a bucket, in nanoseconds."""
    if bucket < STEPS:
        return bucket
    exponent, step = bucket // STEPS + 3, bucket % STEPS
    return (STEPS + step) << (exponent - 4)


def quantile(counts: Sequence[int], share: float) -> float:
    """The span, in seconds, that ``share`` of what was counted does not exceed: the middle of its bucket."""
    left = share * sum(counts)
    for bucket, count in enumerate(counts):
        left -= count
        if count and left <= 0:
            return (lower_bound(bucket) + lower_bound(bucket + 1) - (bucket >= STEPS)) / 2e9
    return 0.0


def summary(every: int, total: int, least: int, most: int, counts: Sequence[int]) -> Latency:
    """What is said of a histogram, given in nanoseconds."""
    measured = sum(counts)
    p50, p95, p99 = (min(max(quantile(counts, share), least / 1e9), most / 1e9) if measured else 0.0
                     for share in (0.5, 0.95, 0.99))
    return Latency(measured, every, p50, p95, p99, least / 1e9 if measured else 0.0, most / 1e9, total / 1e9,
                   tuple(counts))


def up_to(latency: Latency, ns: int) -> int:
    """How many of what was measured took less than ``ns``, which must be a power of two."""
    return sum(latency.counts[:bucket_of(ns)])


class Gauge:
    """What is measured of one kind of call of a store in Python."""

    __slots__ = ("counts", "errors", "every", "least", "left", "most", "total")

    def __init__(self, every: int) -> None:
        self.every = self.left = every
        self.errors = self.total = self.most = 0
        self.least = 1 << 62
        self.counts = [0] * BUCKETS

    def add(self, ns: int) -> None:
        self.counts[bucket_of(ns)] += 1
        self.total += ns
        self.least = min(self.least, ns)
        self.most = max(self.most, ns)

"""What each policy would hit at each size on a trace: the work behind ``door43fast simulate``.

A trace of a sample of the keys is replayed through stores scaled down alike (Waldspurger, Park, Garthwaite and Ahmad,
"SHARDS", FAST 2015, and Waldspurger, Saemundsson, Ahmad and Park, "miniature simulations", ATC 2017).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event, Lock
from typing import Any, NamedTuple

from door43fast.errors import ConfigError, did_you_mean
from door43fast.native.memory import POLICIES as KINDS
from door43fast.native.replay import Replay, number
from door43fast.traces import Trace

POLICIES = tuple(kind for kind in KINDS if kind != "none")
STEP = 1 << 20          # reads that a replay makes before it tells how far it is
WORKERS = 4             # replays at a time, each of which has a table of all keys
ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
FEW = 100               # entries of a store scaled down, below which a figure says little


class Point(NamedTuple):
    """The hit ratio of one policy at one size."""

    policy: str
    entries: int
    ratio: float | None     # None: the sample is too small for a store of this size
    error: float            # about two standard errors; 0 where the trace is no sample
    simulated: int          # entries of the store that was simulated


class Result(NamedTuple):
    """What was found, by sizes and then by policies."""

    points: list[Point]
    reads: int
    distinct: int
    most: float             # no store hits more than this: the first read of a key always misses

    def at(self, entries: int) -> list[Point]:
        return [point for point in self.points if point.entries == entries]

    def best(self, entries: int) -> list[str]:
        """The policies that nobody surpasses at this size by what is shown, a hundredth of a per cent."""
        ratios = {point.policy: round(point.ratio, 4) for point in self.at(entries) if point.ratio is not None}
        return [policy for policy, ratio in ratios.items() if ratio == max(ratios.values())]


def ladder(distinct: int) -> list[int]:
    """Sizes for a trace of so many keys: up to eight round numbers, from a thousandth of them to all but all."""
    sizes = []
    for share in (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8):
        size = distinct * share
        if size >= 9.5:
            unit = 10 ** (len(str(int(size))) - 1)
            sizes.append(int(min(ROUND, key=lambda one: abs(one * unit - size)) * unit))
    return sorted(set(sizes)) or [max(distinct // 2, 1)]


def checked_policies(policies: Sequence[str]) -> list[str]:
    for policy in policies:
        if policy not in POLICIES:
            raise ConfigError(f"policy {policy!r} is unknown: {did_you_mean(policy, POLICIES)}")
    return list(dict.fromkeys(policies))


def simulate(trace: Trace, sizes: Sequence[int] | None = None, policies: Sequence[str] = POLICIES,
             tell: Callable[[int, int, str], None] | None = None) -> Result:
    """Replay a trace through a store of each size with each policy, each read that misses followed by a set.

    Parameters
    ----------
    trace : Trace
        What ``door43fast.traces.load`` gives.
    sizes : sequence of int, optional
        In entries; ``ladder`` of the distinct keys if not given.
    policies : sequence of str
        Those of ``MemoryStore``, without "none".
    tell : callable, optional
        ``tell(done, total, name)`` is called now and then, with reads replayed, from several threads by turns.

    Raises
    ------
    ConfigError
        A policy is unknown, a size is below 1, or there are no reads.
    """
    import numpy

    policies = checked_policies(policies)
    reads = len(trace.keys)
    if not reads and not trace.whole:
        raise ConfigError("the recording was not ended and holds no whole block of reads: end it by stop(), or record "
                          "for longer")
    if not reads:
        raise ConfigError("the trace holds no reads: record for longer, or follow a larger sample")
    keys = numpy.ascontiguousarray(trace.keys, dtype=numpy.uint64)
    numbers = numpy.empty(reads, numpy.uint32)
    distinct = number(keys, numbers)
    # By which the policies know them: what was recorded is that, and other numbers are hashed as Python hashes an int.
    hashes = keys if trace.form == "recorded" else keys % numpy.uint64((1 << 61) - 1)
    counts = numpy.bincount(numbers, minlength=distinct)
    everything = round(distinct / trace.sample)
    wanted = sorted(set(ladder(everything) if sizes is None else sizes))
    if not wanted or wanted[0] < 1:
        raise ConfigError(f"sizes={sizes!r} must be whole numbers of 1 or more")
    runs = [(policy, size) for size in wanted for policy in policies]
    total, done, lock, stopped = reads * len(runs), 0, Lock(), Event()

    def replay(policy: str, size: int) -> Point:
        nonlocal done
        room = size if trace.sample == 1 else int(size * trace.sample + 0.5)
        if room < 1:
            return Point(policy, size, None, 0.0, 0)
        store = Replay(policy, room, distinct)
        for start in range(0, reads, STEP):
            if stopped.is_set():
                break
            store.run(numbers[start:start + STEP], hashes[start:start + STEP])
            with lock:
                done += min(STEP, reads - start)
                if tell is not None:
                    tell(done, total, policy)
        return Point(policy, size, *estimate(trace, store, counts), room)

    found: dict[tuple[str, int], Point] = {}
    with ThreadPoolExecutor(min(len(runs), os.cpu_count() or 1, WORKERS)) as pool:
        waiting: dict[Future[Point], tuple[str, int]] = {
            # The largest stores take longest: they begin first, so that no thread is left alone with one.
            pool.submit(replay, policy, size): (policy, size) for policy, size in reversed(runs)}
        try:
            for future in as_completed(waiting):
                found[waiting[future]] = future.result()
        except BaseException:
            stopped.set()
            raise
    return Result([found[policy, size] for policy, size in runs], reads, distinct, most(trace, distinct))


def most(trace: Trace, distinct: int) -> float:
    """The hit ratio that no store surpasses: all reads but the first of each key."""
    reads = len(trace.keys) if trace.sample == 1 else trace.asked * trace.sample
    return max(1 - distinct / reads, 0.0)


def estimate(trace: Trace, store: Replay, counts: Any) -> tuple[float, float]:
    """The hit ratio, and about two standard errors of it where only a sample of the keys was followed.

    Which keys are followed is chance, and a few of them may have most of the reads. So the sum of hits is corrected by
    how many more or fewer reads were followed than their share, as far as hits go with reads: the regression estimator
    of surveys, of which SHARDS' own correction is the case that every such read hits. That the hits of a key also
    depend on which others are followed is left out of the error.
    """
    import numpy

    reads = len(trace.keys)
    if trace.sample == 1:
        return store.hits / reads, 0.0
    hits = numpy.empty(len(counts), numpy.uint32)
    store.hits_by_key(hits)
    counts = counts.astype(numpy.float64)
    expected = trace.asked * trace.sample
    slope = float((hits * counts).sum() / (counts * counts).sum())
    left = hits - slope * counts
    ratio = (store.hits + slope * (expected - reads)) / expected
    error = 2 * float(numpy.sqrt((left * left).sum() * (1 - trace.sample))) / expected
    return min(max(ratio, 0.0), most(trace, len(counts))), error

"""Reads and writes of the memory store beside a dict and other caches."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable
from typing import Any

import door43fast as d43

from benchmarks.compare.caches import available, make, setter
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import absent, drawn, keys, values

CAPACITY = 10_000


def _filled(name: str) -> Any:
    cache = make(name, CAPACITY)
    for key, value in zip(keys(CAPACITY), values(CAPACITY, 32), strict=True):
        cache[key] = value
    return cache


def _reads(case: str, wanted: list[str], rounds: int, skip: tuple[str, ...] = ()) -> Result:
    """One ``get`` a key, called from C (``map``), so that the loop costs next to nothing."""
    there, missing = available()
    contenders = [Contender(name, lambda get: deque(map(get, wanted), 0), lambda get=_filled(name).get: get)
                  for name in there if name not in skip]
    return interleave(case, contenders, len(wanted), rounds, missing)


def hit(quick: bool) -> Result:
    """1,000 keys out of 10,000, read over and over: everything is in the processor's cache."""
    return _reads("memory get, hit, hot", keys(1000) * 20, 9 if quick else 41)


def hit_many(quick: bool) -> Result:
    """100,000 keys in random order out of as many: the processor's nearer caches do not hold them."""
    there, missing = available()
    held = 10_000 if quick else 100_000
    wanted = drawn(held, held)
    contenders = []
    for name in there:
        if name in (CONTROL, OURS, "cachebox", "lru-dict"):
            cache = make(name, held)
            for key, value in zip(keys(held), values(held, 32), strict=True):
                cache[key] = value
            contenders.append(Contender(name, lambda get: deque(map(get, wanted), 0), lambda get=cache.get: get))
    return interleave(f"memory get, hit, {held:,} keys", contenders, len(wanted), 7 if quick else 21, missing)


def hit_with_ttl(quick: bool) -> Result:
    """The same as ``hit``, where every entry has a time to live."""
    wanted = keys(1000) * 20
    contenders = [Contender(CONTROL, lambda get: deque(map(get, wanted), 0), lambda get=_filled(CONTROL).get: get)]
    for name, ttl in (("without", None), (OURS, 3600)):
        store = d43.MemoryStore(max_entries=CAPACITY, ttl=ttl)
        store.set_many(zip(keys(CAPACITY), values(CAPACITY, 32), strict=True))
        contenders.append(Contender(name, lambda get: deque(map(get, wanted), 0), lambda get=store.get: get))
    return interleave("memory get, hit, with a time to live", contenders, len(wanted), 9 if quick else 41)


def hit_recorded(quick: bool) -> Result:
    """The same as ``hit``, while the reads are recorded into a file."""
    wanted = keys(1000) * 20
    contenders = [Contender(CONTROL, lambda get: deque(map(get, wanted), 0), lambda get=_filled(CONTROL).get: get)]
    with tempfile.TemporaryDirectory() as folder:
        plain, recorded = _filled(OURS), _filled(OURS)
        with recorded.record_trace(os.path.join(folder, "reads.trace")):
            for name, store in (("without", plain), (OURS, recorded)):
                contenders.append(Contender(name, lambda get: deque(map(get, wanted), 0), lambda get=store.get: get))
            return interleave("memory get, hit, reads recorded", contenders, len(wanted), 9 if quick else 41)


def miss(quick: bool) -> Result:
    # lru_cache has no read that misses and does not write.
    return _reads("memory get, miss", absent(1000) * 20, 9 if quick else 41, ("lru_cache",))


def _write(assign: Callable[[Any, Any], Any] | None, cache: Any, wanted: list[str], value: bytes) -> None:
    if assign is not None:
        for key in wanted:
            assign(key, value)
    else:
        for key in wanted:
            cache[key] = value


def evict(quick: bool) -> Result:
    """20,000 keys in turn through room for 10,000: every set is of a new key and evicts another (not in the dict)."""
    there, missing = available()
    wanted = keys(2 * CAPACITY)
    value = b"x" * 32
    contenders = []
    for name in there:
        cache = _filled(name)
        contenders.append(Contender(
            name, lambda held: _write(held[0], held[1], wanted, value),
            lambda held=(setter(name, cache), cache): held))
    return interleave("memory set with eviction", contenders, len(wanted), 7 if quick else 25, missing)


def batches(count: int) -> Callable[[bool], Result]:
    def batch(quick: bool) -> Result:
        """Random keys, equal to the stored ones but other objects, whose hashes are known after the first turn."""
        held = count // 20 if quick and count > 1000 else count
        stored, kept = keys(held), values(held, 32)
        wanted = drawn(held, held)
        plain = dict(zip(stored, kept, strict=True))
        store = d43.MemoryStore(max_entries=held)
        store.set_many(plain)
        contenders = [Contender(CONTROL, lambda _: [plain[key] for key in wanted]),
                      Contender(OURS, lambda _: store.get_many(wanted))]
        assert store.get_many(wanted) == [plain[key] for key in wanted]
        return interleave(f"memory get_many, {held:,} random keys", contenders, held,
                          5 if quick or held > 500_000 else 25)

    return batch


CASES: dict[str, Callable[[bool], Result]] = {
    "memory_hit": hit,
    "memory_hit_100k": hit_many,
    "memory_hit_ttl": hit_with_ttl,
    "memory_hit_recorded": hit_recorded,
    "memory_miss": miss,
    "memory_evict": evict,
    "memory_get_many_1k": batches(1000),
    "memory_get_many_100k": batches(100_000),
    "memory_get_many_1m": batches(1_000_000),
    "memory_get_many_4m": batches(4_000_000),
}

"""What a cache costs beyond its keys and values, and its longest single set while it grows: a process for each.

Run as ``python -m benchmarks.compare.growth footprint|longest NAME COUNT`` it measures one cache and prints one number;
as ``... resident KIND BYTES`` it fills a store of ours and prints its resident size as a share of ``max_bytes``.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import door43fast as d43

from benchmarks.compare.caches import available, make
from benchmarks.interleave import OURS, Result
from benchmarks.workloads import SEED, keys

RUNS = 3


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as line:
        return int(line.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _new(name: str, count: int) -> Any:
    """A cache with all that the goal speaks of: ours with recency and time to live."""
    return d43.MemoryStore(max_entries=count, ttl=86_400) if name == OURS else make(name, count)


def footprint(name: str, count: int) -> float:
    """Resident bytes an entry, with keys and values made before."""
    held = keys(count)
    value = b"x" * 32
    cache = _new(name, count)
    cache["first"] = value
    gc.collect()
    before = resident()
    for key in held:
        cache[key] = value
    gc.collect()
    return (resident() - before) / count


def longest(name: str, count: int) -> float:
    """Nanoseconds of the slowest ``cache[key] = value`` on the way to ``count`` entries.

    In time of the thread, page faults included: what the machine gave to others meanwhile is not the cache's doing.
    """
    held = keys(count)
    value = b"x" * 32
    cache = _new(name, count)
    clock = time.thread_time_ns
    slowest = 0
    gc.collect()
    gc.freeze()
    gc.disable()
    for key in held:
        start = clock()
        cache[key] = value
        spent = clock() - start
        if spent > slowest:
            slowest = spent
    return slowest


def filled(kind: str, budget: int) -> float:
    """Resident bytes of a store that is full to ``max_bytes`` with values of one kind, as a share of ``max_bytes``."""
    draw = random.Random(SEED).randrange
    if kind == "arrays":
        import numpy

        make_value: Callable[[int], Any] = lambda n: numpy.zeros(draw(1, 500))
    else:
        make_value = {
            "bytes": lambda n: bytes(draw(1, 2000)), "str": lambda n: "x" * draw(1, 2000),
            "numbers": lambda n: n + 1000,
            "dicts": lambda n: {"id": n, "name": f"name {n}", "tags": [f"a{n}", "b"], "score": n / 3}}[kind]
    store = d43.MemoryStore(max_bytes=budget)
    store["first"] = b"x"
    gc.collect()
    before = resident()
    number = 0
    while store.stats()["evictions"] == 0:
        store[f"key{number:09d}"] = make_value(number)
        number += 1
    return (resident() - before) / budget


def _in_process(what: str, name: str, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.compare.growth", what, name, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _case(title: str, what: str, unit: str, count: int, peers: tuple[str, ...], runs: int) -> Result:
    there, missing = available()
    result = Result(title, unit, missing=[name for name in missing if name in peers])
    for name in (name for name in there if name in peers):
        samples = [_in_process(what, name, count) for _ in range(runs)]
        # Of the longest sets the least counts: a pause of the structure's own comes in every run, and one that the
        # operating system made does not.
        result.samples[name] = [min(samples)]
    return result


def footprints(quick: bool) -> Result:
    count = 100_000 if quick else 1_000_000
    return _case(f"bookkeeping an entry at {count:,}", "footprint", "bytes", count,
                 ("dict", OURS, "cachebox", "lru-dict", "cachetools", "moka-py"), 1)


def pauses(quick: bool) -> Result:
    count = 400_000 if quick else 4_000_000
    return _case(f"longest set while growing to {count:,}", "longest", "ns", count, ("dict", OURS, "cachebox"), RUNS)


def worst_footprints(quick: bool) -> Result:
    """At the count where the index has just begun to double, and the old one still stands."""
    count = 147_500 if quick else 1_179_700
    return _case(f"bookkeeping an entry at {count:,}, just doubling", "footprint", "bytes", count,
                 ("dict", OURS, "cachebox", "lru-dict"), 1)


def residents(quick: bool) -> Result:
    budget = 64_000_000 if quick else 1_000_000_000
    result = Result(f"resident size of a store full to max_bytes={budget:,}", "× max_bytes")
    for kind in ("bytes", "str", "numbers", "dicts", "arrays"):
        result.samples[kind] = [_in_process("resident", kind, budget)]
    return result


CASES: dict[str, Callable[[bool], Result]] = {
    "footprint": footprints, "footprint_worst": worst_footprints, "longest_set": pauses, "resident_size": residents}

if __name__ == "__main__":
    measure = {"footprint": footprint, "longest": longest, "resident": filled}[sys.argv[1]]
    print(measure(sys.argv[2], int(sys.argv[3])))

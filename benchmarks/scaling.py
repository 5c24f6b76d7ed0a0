"""How reads of one memory store scale over threads: ``python -m benchmarks.scaling``, on a free-threaded CPython.

Each thread reads keys of its own, by a method that it has bound itself: a method looked up on an object that all
threads share costs a count of references that they wrest from one another, a dict's as well as ours. The time of the
thread itself is measured beside the time on the clock: it holds what threads cost one another on a machine that others
use too, but not the waiting for a lock.
"""

from __future__ import annotations

import functools
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import door43fast as d43
from benchmarks import machine

KEYS = 20_000
TURNS = 20          # each thread reads its keys so many times in a run
ROUNDS = 9


def run(threads: int, bind: Callable[[], Callable[[str], Any]], shares: list[list[str]]) -> tuple[float, float]:
    """Nanoseconds a read, by the clock and of the thread, where ``threads`` read at the same time."""
    gate = threading.Barrier(threads)
    taken: list[tuple[float, float, float]] = []

    def work(mine: list[str]) -> None:
        read = bind()
        gate.wait()
        clock, own = time.perf_counter(), time.thread_time()
        for _ in range(TURNS):
            for key in mine:
                read(key)
        taken.append((clock, time.perf_counter(), time.thread_time() - own))

    workers = [threading.Thread(target=work, args=(shares[i],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    reads = TURNS * len(shares[0])
    clock = max(end for _, end, _ in taken) - min(begin for begin, _, _ in taken)
    return clock / reads * 1e9, max(own for _, _, own in taken) / reads * 1e9


def contenders(keys: list[str]) -> dict[str, Any]:
    held: dict[str, Any] = {
        "dict": {},
        "MemoryStore()": d43.MemoryStore(),
        "MemoryStore(max_entries=...), lru": d43.MemoryStore(max_entries=2 * len(keys)),
        "MemoryStore(max_entries=...), s3fifo": d43.MemoryStore(max_entries=2 * len(keys), policy="s3fifo")}
    for mapping in held.values():
        for key in keys:
            mapping[key] = object()
    return held


def main(threads: int = 2) -> None:
    if not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled():
        sys.exit("the GIL is on here, so threads cannot read at the same time: run this with a free-threaded CPython "
                 "(python3.13t or later)")
    keys = [f"key {n}" for n in range(KEYS)]
    shares = [[f"key {n}" for n in range(i, KEYS, threads)] for i in range(threads)]
    print(machine.line())
    print(f"| read by key | 1 thread | {threads} threads | scales, by the clock | by time of the thread |\n"
          "|---|--:|--:|--:|--:|")
    for name, mapping in contenders(keys).items():
        # dict.get takes the lock of the dict twice in CPython 3.13, which costs 80 microseconds: d[key] does not
        method = "__getitem__" if name == "dict" else "get"
        bind = functools.partial(getattr, mapping, method)
        run(1, bind, shares)
        pairs = [(run(1, bind, shares), run(threads, bind, shares)) for _ in range(ROUNDS)]
        alone, together = (statistics.median(pair[i][1] for pair in pairs) for i in range(2))
        scales = [statistics.median(threads * one[i] / many[i] for one, many in pairs) for i in range(2)]
        print(f"| {name} | {alone:.0f} ns | {together:.0f} ns | {scales[0]:.2f}x | {scales[1]:.2f}x |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

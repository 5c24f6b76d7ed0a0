"""The forms in which a store on disk may be read, under mixes of reads and writes: a table in Markdown.

Run ``python -m benchmarks.forms``, with ``--quick`` for small data: through the key index, down the tree
(``index_bytes=0``), and py-lmdb down its tree, with small and large values, in one process and in four. Run with
``NAME PATH READS HELD SIZE SEED`` it is one of those processes: it opens the store, says ``ready``, and for each line
that it reads does its share and says how many nanoseconds an operation took.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import door43fast as d43

from benchmarks.compare.mixes import STORES, share
from benchmarks.workloads import keys, operations, values

ROUNDS = 5
Pair = tuple[Callable[[str], Any], Callable[[str, bytes], Any], Callable[[], None]]


def _plain(path: Path) -> Pair:
    store = d43.LmdbStore(path, durability="batch", index_bytes=0)
    return store.get, store.set, store.close


FORMS: dict[str, Callable[[Path], Pair]] = {
    "key index": STORES["door43fast"], "down the tree": _plain, "py-lmdb": STORES["py-lmdb"]}


def work(name: str, path: Path, reads: float, held: int, size: int, seed: int) -> None:
    pair = FORMS[name](path)
    mine = operations(held // 2, held, reads, seed)
    value = values(1, size)[0]
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter_ns()
        share(pair, mine, value)
        print((time.perf_counter_ns() - start) / len(mine), flush=True)
    pair[2]()


def _start(name: str, path: Path, processes: int, rest: list[str]) -> list[subprocess.Popen[str]]:
    pair = FORMS[name](path)
    for key in keys(int(rest[1])):
        pair[1](key, values(1, int(rest[2]))[0])
    pair[2]()
    workers = [subprocess.Popen([sys.executable, "-m", "benchmarks.forms", name, str(path), *rest, str(seed)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for seed in range(processes)]
    for worker in workers:
        if worker.stdout.readline() != "ready\n":
            raise RuntimeError(f"a process of the benchmark ended early, with code {worker.wait()}: {worker.args}")
    return workers


def measure(processes: int, reads: float, held: int, size: int) -> dict[str, float]:
    """Microseconds an operation and process, by form: the median of rounds in which the forms take turns."""
    samples: dict[str, list[float]] = {name: [] for name in FORMS}
    running: dict[str, list[subprocess.Popen[str]]] = {}
    with tempfile.TemporaryDirectory(prefix="door43fast-bench-") as base:
        try:
            for name in FORMS:
                running[name] = _start(name, Path(base) / name.replace(" ", "-"), processes,
                                       [str(reads), str(held), str(size)])
            for turn in range(ROUNDS + 1):
                for name, workers in running.items():
                    for worker in workers:
                        worker.stdin.write("go\n")
                        worker.stdin.flush()
                    spent = [float(worker.stdout.readline()) for worker in workers]
                    if turn:            # the first warms caches
                        samples[name].append(statistics.mean(spent) / 1000)
        finally:
            for worker in (worker for workers in running.values() for worker in workers):
                worker.stdin.close()
                worker.wait(60)
    return {name: statistics.median(found) for name, found in samples.items()}


def main(quick: bool) -> None:
    print("| reads | values | processes | " + " | ".join(f"{name}, µs" for name in FORMS) + " |")
    print("|---|---|--:|" + "--:|" * len(FORMS), flush=True)
    for size, held in ((128, 2000 if quick else 20_000), (16_384, 200 if quick else 2000)):
        for processes in (1, 4):
            for reads in (1.0, 0.95, 0.5):
                found = measure(processes, reads, held, size)
                print(f"| {reads:.0%} | {size:,} bytes | {processes} | "
                      + " | ".join(f"{taken:.2f}" for taken in found.values()) + " |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        work(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:]))
    else:
        main("--quick" in sys.argv[1:])

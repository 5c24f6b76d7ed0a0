"""The mixes in four processes at once on one store. rocksdict is not among them: it opens in one process alone.

Run as ``python -m benchmarks.compare.processes PROMISE NAME PATH READS HELD SEED`` it is one of the four: it opens the
store, says ``ready``, and for each line that it reads does its share and says ``done``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.compare.lmdb import SIZE, directory
from benchmarks.compare.mixes import STORES, UNSYNCED, share
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, operations, values

PROCESSES = 4
SETS = {"batch": STORES, "none": UNSYNCED}
NAMES = {"batch": [CONTROL, OURS, "py-lmdb", "diskcache"], "none": [CONTROL, OURS, "py-lmdb"]}


def work(promise: str, name: str, path: Path, reads: float, held: int, seed: int) -> None:
    pair = SETS[promise][name](path)
    mine = operations(held // 4, held, reads, seed)
    value = values(1, SIZE)[0]
    if name == CONTROL:
        for key in keys(held):
            pair[1](key, value)
    print("ready", flush=True)
    for _ in sys.stdin:
        share(pair, mine, value)
        print("done", flush=True)
    pair[2]()


def _said(worker: subprocess.Popen[str], word: str) -> None:
    if worker.stdout.readline().strip() != word:
        raise RuntimeError(f"a process of the benchmark ended early, with code {worker.wait()}: {worker.args}")


def _start(promise: str, name: str, path: Path, reads: float, held: int) -> list[subprocess.Popen[str]]:
    workers = [subprocess.Popen(
        [sys.executable, "-m", "benchmarks.compare.processes", promise, name, str(path), str(reads), str(held),
         str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for seed in range(PROCESSES)]
    for worker in workers:
        _said(worker, "ready")
    return workers


def _turn(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _said(worker, "done")


def mix(reads: float, promise: str = "batch") -> Callable[[bool], Result]:
    def case(quick: bool) -> Result:
        held = 2000 if quick else 20_000
        missing: list[str] = []
        contenders: list[Contender] = []
        running: list[subprocess.Popen[str]] = []
        with directory() as base:
            try:
                for name in NAMES[promise]:
                    try:
                        pair = SETS[promise][name](base / name)
                    except ImportError:
                        missing.append(name)
                        continue
                    for key in keys(held):
                        pair[1](key, values(1, SIZE)[0])
                    pair[2]()
                    workers = _start(promise, name, base / name, reads, held)
                    running += workers
                    contenders.append(Contender(name, _turn, lambda workers=workers: workers))
                return interleave(f"mix of {reads:.0%} reads, {PROCESSES} processes, {promise}", contenders,
                                  PROCESSES * (held // 4), 5, missing)
            finally:
                for worker in running:
                    worker.stdin.close()
                for worker in running:
                    worker.wait(60)

    return case


CASES: dict[str, Callable[[bool], Result]] = {
    "mix_95_processes": mix(0.95), "mix_50_processes": mix(0.5),
    "mix_95_processes_none": mix(0.95, "none"), "mix_50_processes_none": mix(0.5, "none")}

if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))

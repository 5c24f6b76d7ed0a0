"""Prints what replication costs: a set under each consistency, the lag under load, and how fast a replica catches up.

Run ``python -m benchmarks.replication``; ``--quick`` for fewer records.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import door43fast as d43
from benchmarks import machine
from door43fast.testing.redis_servers import redis_server

VALUE = b"x" * 100
Maker = Callable[[ExitStack], list[Any]]


def disk(stack: ExitStack, journal: bool = False) -> Any:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return d43.LmdbStore(folder, durability="none", journal=journal or None)


def redis(stack: ExitStack) -> Any:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return d43.open(stack.enter_context(redis_server(folder)).url)


MEMBERS: dict[str, Maker] = {
    "memory, and memory": lambda stack: [d43.MemoryStore(), d43.MemoryStore()],
    "LMDB with a journal, and LMDB": lambda stack: [disk(stack, True), disk(stack)],
    "LMDB with a journal, LMDB and Redis": lambda stack: [disk(stack, True), disk(stack), redis(stack)],
}


@contextmanager
def opened(members: Maker, consistency: str) -> Iterator[Any]:
    with ExitStack() as stack:
        primary, *replicas = members(stack)
        store = stack.enter_context(d43.replicated(primary, replicas, consistency, timeout=60, close_timeout=60))
        store["first"] = VALUE
        store.wait_for(timeout=20)
        yield store


def single_sets(store: Any, count: int) -> float:
    """Microseconds of a set, the median of single ones."""
    taken = []
    for i in range(count):
        begun = time.perf_counter()
        store.set(f"k{i:07}", VALUE)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


def lag(store: Any, count: int) -> tuple[float, int]:
    """Under a writer that never rests: milliseconds until what was just written is everywhere, and changes behind."""
    waits, behind = [], []
    for i in range(count):
        store.set(f"k{i % 5000:07}", VALUE)
        if i % (count // 50) == 0:
            behind.append(max(row["lag"]["changes"] for row in store.stats()["replication"]["replicas"]))
            begun = time.perf_counter()
            store.wait_for(timeout=60)
            waits.append(time.perf_counter() - begun)
    return statistics.median(waits) * 1e3, max(behind)


def caught_up(members: Maker, count: int, copies: bool) -> float:
    """Records a second that a replica takes which was away: by the log, or by a copy."""
    with ExitStack() as stack:
        primary, *replicas = members(stack)
        store = d43.replicated(primary, replicas, "eventual", queue=10 * count, timeout=600)
        store.wait_for(timeout=20)
        one = store._lineup.replicas[-1]
        with one.busy:      # it is away
            for i in range(0, count, 1000):
                store.set_many({f"k{j:07}": VALUE for j in range(i, i + 1000)})
            if copies:
                one.head = None
                one.place.put(one.place.read()[1].but(mark="of another", log="another"))
                one.claimed = ""
            begun = time.perf_counter()
        store.wait_for(timeout=600)
        taken = time.perf_counter() - begun
        store.close()
        return count / taken


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    count = 2_000 if arguments.parse_args().quick else 20_000
    print(machine.line())
    print("\n| primary, and replicas | set, strong | quorum | eventual | until it is everywhere "
          "| changes behind at most | catch-up by log | by copy |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, members in MEMBERS.items():
        cells = []
        for consistency in ("strong", "quorum", "eventual"):
            with opened(members, consistency) as store:
                cells.append(f"{single_sets(store, count):,.0f} µs")
        with opened(members, "eventual") as store:
            waited, behind = lag(store, count * 2)
            cells += [f"{waited:.1f} ms", f"{behind:,}"]
        for copies in (False, True):
            cells.append(f"{caught_up(members, count * 5, copies):,.0f}/s")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""Prints what replication costs: a set under each consistency beside one without replicas, the lag under load, and how
fast a replica catches up beside plain writes into it, each measured in turns.

Run ``python -m benchmarks.replication``; ``--quick`` for fewer records.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import door43fast as d43
from benchmarks import machine
from benchmarks.interleave import Contender, Result, interleave
from benchmarks.workloads import keys
from door43fast.testing.redis_servers import redis_server

VALUE = b"x" * 100
ALONE = "primary alone"
CONSISTENCIES = ("strong", "quorum", "eventual")
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


def single_sets(members: Maker, count: int, rounds: int) -> Result:
    """Sets of one record each by one thread, in turns: into the primary alone, and under each consistency."""
    with ExitStack() as stack:
        stores = {ALONE: members(stack)[0], **{consistency: stack.enter_context(opened(members, consistency))
                                               for consistency in CONSISTENCIES}}
        names = keys(count)

        def sets(store: Any) -> None:
            deque((store.set(key, VALUE) for key in names), 0)

        def rest(store: Any) -> Any:
            if store is not stores[ALONE]:
                store.wait_for(timeout=60)      # so that nobody works in the turn of another
            return store
        return interleave("single sets", [
            Contender(name, lambda prepared: sets(prepared), lambda store=store: rest(store))
            for name, store in stores.items()], count, rounds)


def lag(store: Any, count: int) -> tuple[float, int]:
    """Milliseconds until what was just written is everywhere, the median, and the changes that a replica is behind at
    the most; both under a writer that never rests."""
    waits, behind = [], []
    for i in range(count):
        store.set(f"k{i % 5000:07}", VALUE)
        if i % 100 == 0:
            behind.append(max(row["lag"]["changes"] for row in store.stats()["replication"]["replicas"]))
    for i in range(count // 10):
        store.set(f"k{i % 5000:07}", VALUE)
        if i % (count // 500) == 0:
            begun = time.perf_counter()
            store.wait_for(timeout=60)
            waits.append(time.perf_counter() - begun)
    return statistics.median(waits) * 1e3, max(behind)


def catching_up(members: Maker, count: int, rounds: int) -> Result:
    """Records that the last replica takes which was away, in turns: by the log, by a copy, and into it by set_many."""
    chunks = [{f"k{j:07}": VALUE for j in range(i, i + 1000)} for i in range(0, count, 1000)]

    def write(store: Any) -> None:
        for chunk in chunks:
            store.set_many(chunk)

    def away(copies: bool) -> Any:
        stack = ExitStack()
        primary, *replicas = members(stack)
        store = d43.replicated(primary, replicas, "eventual", queue=10 * count, timeout=600)
        stack.callback(store.close)
        store.wait_for(timeout=20)
        one = store._lineup.replicas[-1]
        one.busy.acquire()
        write(store)
        if copies:
            one.head = None
            one.place.put(one.place.read()[1].but(mark="of another", log="another"))
            one.claimed = ""
        return stack, store, one

    def back(prepared: Any) -> None:
        _, store, one = prepared
        one.busy.release()
        store.wait_for(timeout=600)

    def alone() -> Any:
        stack = ExitStack()
        *others, last = members(stack)
        for store in (*others, last):
            stack.callback(store.close)
        return stack, last

    def end(prepared: Any) -> None:
        prepared[0].close()
    return interleave("catching up", [
        Contender("set_many", lambda prepared: write(prepared[1]), alone, end),
        Contender("by log", back, lambda: away(False), end), Contender("by copy", back, lambda: away(True), end)],
        count, rounds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    count, rounds = (500, 3) if quick else (2_000, 9)
    print(machine.line())
    print("\nA set, and how many times that of the primary alone; then how far replicas are behind a writer that never "
          "rests.\n\n| primary, and replicas | primary alone | strong | quorum | eventual | until it is everywhere "
          "| changes behind at most |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, members in MEMBERS.items():
        result = single_sets(members, count, rounds)
        cells = [f"{result.median(ALONE) / 1e3:,.1f} µs", *(
            f"{result.median(consistency) / 1e3:,.1f} µs, {result.ratio(consistency, ALONE):,.1f}×"
            for consistency in CONSISTENCIES)]
        with opened(members, "eventual") as store:
            waited, behind = lag(store, count * 20)
        print(f"| {name} | {' | '.join(cells)} | {waited:.1f} ms | {behind:,} |", flush=True)
    print("\nRecords a second that a replica takes which was away, and its share of what `set_many` writes into it."
          "\n\n| primary, and replicas | set_many | by log | by copy |\n|---|--:|--:|--:|")
    for name, members in MEMBERS.items():
        result = catching_up(members, count * 25, 3 if quick else 5)
        print(f"| {name} | {1e9 / result.median('set_many'):,.0f}/s | " + " | ".join(
            f"{1e9 / result.median(how):,.0f}/s, {1 / result.ratio(how, 'set_many'):.2f}×"
            for how in ("by log", "by copy")) + " |", flush=True)


if __name__ == "__main__":
    main()

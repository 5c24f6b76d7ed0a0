"""Redis: batches beside single calls, a memory tier over it, and for how long that tier is stale.

The server is one of the benchmark's own, on this machine; over a network each round trip costs more, and batches win
more.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import door43fast as d43
from door43fast.testing.redis_servers import RedisServer, redis_server

from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, values

ROUNDS, CHANGES = 9, 3000
# Another process, so that its interpreter does not wait for this one's: it sets the key to the time, again and again.
WRITER = """
import sys, time
import door43fast as d43
with d43.open(sys.argv[1]) as store:
    for i in range(int(sys.argv[2])):
        store["k"] = (i, time.monotonic_ns())
        time.sleep(0.001)
"""


@contextmanager
def server() -> Iterator[RedisServer | None]:
    """A server of our own, None where redis-server is not installed."""
    if shutil.which("redis-server") is None:
        yield None
        return
    folder = tempfile.mkdtemp()
    try:
        with redis_server(Path(folder)) as one:
            yield one
    finally:
        shutil.rmtree(folder)


def missing(case: str) -> Result:
    return Result(case, missing=["redis-server"])


def get_many(quick: bool) -> Result:
    """4,096 random keys of 20,000: in one batch, and one by one over the same connection."""
    case = "Redis get_many, 4,096 random keys"
    names = keys(20_000)
    items = dict(zip(names, map(str, values(20_000, 32)), strict=True))
    wanted = [names[i * 7919 % 20_000] for i in range(4096)]
    with server() as one:
        if one is None:
            return missing(case)
        with d43.open(one.url) as store:
            store.set_many(items)
            return interleave(case, [
                Contender(CONTROL, lambda _: deque(map(items.get, wanted), 0)),
                Contender(OURS, lambda _: store.get_many(wanted)),
                Contender("loop", lambda _: deque(map(store.get, wanted), 0))], len(wanted), 3 if quick else ROUNDS)


def set_many(quick: bool) -> Result:
    """4,096 records: all or nothing in one batch, and one by one; with a time to live and without."""
    case = "Redis set_many, 4,096 keys"
    items = dict(zip(keys(4096), map(str, values(4096, 32)), strict=True))
    held: dict[Any, Any] = {}
    with server() as one:
        if one is None:
            return missing(case)
        with d43.open(one.url) as store:
            def loop(ttl: float | None) -> None:
                for name, value in items.items():
                    store.set(name, value, ttl=ttl)
            return interleave(case, [
                Contender(CONTROL, lambda _: held.update(items)),
                Contender(OURS, lambda _: store.set_many(items)),
                Contender("with a TTL", lambda _: store.set_many(items, ttl=600)),
                Contender("loop", lambda _: loop(None)),
                Contender("loop with a TTL", lambda _: loop(600))], len(items), 3 if quick else ROUNDS)


def tier(quick: bool) -> Result:
    """1,000 reads of hot keys: from Redis, and from a memory tier that asks before each whether it may serve it."""
    case = "memory over Redis, hit"
    names = keys(100)
    wanted = names * 10
    items = dict.fromkeys(names, "value")
    with server() as one:
        if one is None:
            return missing(case)
        with d43.open(one.url) as store, d43.open(one.url, memory="16MB") as cached:
            store.set_many(items)
            while not cached.slow._listener.hears:
                cached.get(names[0])
            cached.get_many(names)
            return interleave(case, [
                Contender(CONTROL, lambda _: deque(map(items.get, wanted), 0)),
                Contender(OURS, lambda _: deque(map(cached.get, wanted), 0)),
                Contender("Redis", lambda _: deque(map(store.get, wanted), 0))], len(wanted), 3 if quick else ROUNDS)


def staleness(quick: bool) -> Result:
    """For how long a memory tier gives what another process has overwritten: each sample is one change.

    From the moment before the write is sent to the moment at which the tier no longer has the value; what is given is
    an upper bound, since the write itself is in it. The same moment for a reader that always asks Redis is the other
    contender: the difference is what the tier costs in freshness.
    """
    result = Result("memory over Redis, staleness", samples={OURS: [], "Redis": []})
    changes = 300 if quick else CHANGES
    with server() as one:
        if one is None:
            return missing(result.case)
        with d43.open(one.url, memory="16MB") as cached, d43.open(one.url) as direct:
            for name, store in ((OURS, cached), ("Redis", direct)):
                store["k"] = (-1, 0)
                writer = subprocess.Popen([sys.executable, "-c", WRITER, one.url, str(changes)])
                last = -1
                while last < changes - 1:
                    number, written = store["k"]
                    if number != last:
                        if number >= 0:
                            result.samples[name].append(float(time.monotonic_ns() - written))
                        last = number
                    if name is OURS:
                        threading.Event().wait(0.0001)      # a reader does other things too: the listener gets its turn
                writer.wait()
    return result


def tails(result: Result) -> str:
    """The median, the 99th percentile and the longest, in milliseconds."""
    lines = []
    for name, samples in result.samples.items():
        ordered = sorted(samples)
        lines.append(f"{name}: " + ", ".join(f"{what} {ordered[place] / 1e6:.2f} ms" for what, place in (
            ("p50", len(ordered) // 2), ("p99", int(len(ordered) * 0.99)), ("max", -1))))
    return "\n".join(lines)


CASES: dict[str, Callable[[bool], Result]] = {
    "redis_get_many": get_many, "redis_set_many": set_many, "redis_tier": tier, "redis_staleness": staleness}

if __name__ == "__main__":
    print(tails(staleness("--quick" in sys.argv)))

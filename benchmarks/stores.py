"""What single reads and batches cost in stores on disk: a table in Markdown, in microseconds a key.

Run ``python -m benchmarks.stores``, with ``--quick`` for small data. Every store holds the same records. *first* is the
first pass of a process that has just opened the store, *warm* is a later one, and *beside a writer* is a warm one while
another process makes 1,000 commits a second in the same directory. rocksdict opens in one process alone. Run with
``--write NAME PATH COUNT`` it is that other process, which says ``ready`` and writes until its standard input ends.
"""

from __future__ import annotations

import random
import select
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import door43fast as d43

from benchmarks import machine
from benchmarks.compare.lmdb import MAP, SIZE, directory
from benchmarks.interleave import OURS
from benchmarks.workloads import drawn, keys, values

ROUNDS = 5
COMMITS = 1000
Face = dict[str, Callable[..., Any]]


def _ours(path: Path) -> Face:
    store = d43.LmdbStore(path, durability="none")
    return {"get": lambda wanted: deque(map(store.get, wanted), 0), "get_many": store.get_many,
            "get_packed": store.get_packed, "fill": store.set_many, "set": store.set, "close": store.close,
            "held": lambda: store.stats()["index_bytes"]}


def _lmdb(path: Path) -> Face:
    env = import_module("lmdb").open(str(path), map_size=MAP, sync=False)

    def get(wanted: list[str]) -> None:
        for key in wanted:
            with env.begin() as txn:
                txn.get(key.encode())

    def get_many(wanted: list[str]) -> list[tuple[bytes, bytes]]:
        with env.begin() as txn:
            return txn.cursor().getmulti([key.encode() for key in wanted])

    def fill(items: dict[str, bytes]) -> None:
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([(key.encode(), value) for key, value in items.items()])

    def put(key: str, value: bytes) -> None:
        with env.begin(write=True) as txn:
            txn.put(key.encode(), value)

    return {"get": get, "get_many": get_many, "fill": fill, "set": put, "close": env.close}


def _rocksdict(path: Path) -> Face:
    store = import_module("rocksdict").Rdict(str(path))

    def fill(items: dict[str, bytes]) -> None:
        for key, value in items.items():
            store[key] = value

    return {"get": lambda wanted: deque(map(store.get, wanted), 0), "get_many": store.get, "fill": fill,
            "close": store.close}


def _sqlite(path: Path) -> Face:
    base = sqlite3.connect(str(path), isolation_level=None, timeout=60)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    base.execute("CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def get(wanted: list[str]) -> None:
        for key in wanted:
            base.execute("SELECT value FROM records WHERE key = ?", (key,)).fetchone()

    def get_many(wanted: list[str]) -> list[list[tuple[str, bytes]]]:
        """In pieces of 500, with one question mark a key."""
        return [base.execute(f"SELECT key, value FROM records WHERE key IN ({','.join('?' * len(piece))})",
                             piece).fetchall() for piece in (wanted[at:at + 500] for at in range(0, len(wanted), 500))]

    def fill(items: dict[str, bytes]) -> None:
        base.execute("BEGIN")
        base.executemany("INSERT OR REPLACE INTO records VALUES (?, ?)", items.items())
        base.execute("COMMIT")

    def put(key: str, value: bytes) -> None:
        base.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (key, value))

    return {"get": get, "get_many": get_many, "fill": fill, "set": put, "close": base.close}


def _diskcache(path: Path) -> Face:
    cache = import_module("diskcache").Cache(str(path), eviction_policy="none", cull_limit=0)

    def fill(items: dict[str, bytes]) -> None:
        with cache.transact():
            for key, value in items.items():
                cache.set(key, value)

    return {"get": lambda wanted: deque(map(cache.get, wanted), 0), "fill": fill, "set": cache.set,
            "close": cache.close}


STORES: dict[str, Callable[[Path], Face]] = {
    OURS: _ours, "py-lmdb": _lmdb, "rocksdict": _rocksdict, "sqlite3": _sqlite, "diskcache": _diskcache}
READS = ["get", "get_many", "get_packed"]


def write(name: str, path: Path, count: int) -> None:
    """Sets one record after another, at an even pace, until the standard input ends; says how fast it was."""
    face = STORES[name](path)
    value, done, start = values(1, SIZE, seed=2)[0], 0, time.monotonic()
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], max(0.0, start + done / COMMITS - time.monotonic()))[0]:
        face["set"](f"k{random.randrange(count):08d}", value)
        done += 1
    print(done / (time.monotonic() - start), flush=True)
    face["close"]()


@contextmanager
def writer(name: str, path: Path, count: int) -> Iterator[list[float]]:
    """A process that writes meanwhile. Its commits a second are in the list afterwards."""
    rate: list[float] = []
    with subprocess.Popen([sys.executable, "-m", "benchmarks.stores", "--write", name, str(path), str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the writer of {name} ended early, with code {process.wait()}")
        yield rate
        process.stdin.close()
        rate.append(float(process.stdout.readline()))


def timed(read: Callable[[list[str]], Any], wanted: list[str]) -> float:
    """Microseconds a key."""
    start = time.perf_counter_ns()
    found = read(wanted)
    spent = time.perf_counter_ns() - start
    del found
    return spent / len(wanted) / 1000


def measure(name: str, path: Path, count: int) -> tuple[dict[tuple[str, str], float], float | None, float | None]:
    """What each way of reading costs in each state; bytes of index a key; commits a second of the writer beside."""
    wanted = {"get": drawn(count // 10, count), "get_many": drawn(count, count), "get_packed": drawn(count, count)}
    found: dict[tuple[str, str], float] = {}
    held = rate = None
    for way in READS:
        face = STORES[name](path)       # opened anew, so that the first pass is one
        if way in face:
            found[way, "first"] = timed(face[way], wanted[way])
            found[way, "warm"] = statistics.median(timed(face[way], wanted[way]) for _ in range(ROUNDS))
            if "set" in face:
                with writer(name, path, count) as rates:
                    time.sleep(0.2)     # so that its commits are under way before the clock starts
                    found[way, "beside a writer"] = statistics.median(
                        timed(face[way], wanted[way]) for _ in range(ROUNDS))
                rate = min(rate or rates[0], rates[0])
            if way != "get" and "held" in face:
                held = face["held"]() / count
        face["close"]()
    return found, held, rate


def main(quick: bool) -> None:
    import_module("numpy")              # which the first packed batch of a process would load
    count = 20_000 if quick else 1_000_000
    columns = [(way, state) for way in READS for state in ("first", "warm", "beside a writer")]
    print("| µs a key | " + " | ".join(f"`{way}` {state}" for way, state in columns) + " |")
    print("|---|" + "--:|" * len(columns), flush=True)
    notes = []
    with directory() as base:
        for name, start in STORES.items():
            try:
                face = start(base / name)
            except ImportError:
                notes.append(f"{name} is not installed.")
                continue
            face["fill"](dict(zip(keys(count), values(count, SIZE), strict=True)))
            face["close"]()
            found, held, rate = measure(name, base / name, count)
            print(f"| {name} | " + " | ".join(f"{found[cell]:.2f}" if cell in found else "–" for cell in columns)
                  + " |", flush=True)
            if held is not None:
                notes.append(f"The index of {name} takes {held:.1f} bytes a key.")
            if rate is not None and rate < 0.9 * COMMITS:
                notes.append(f"The writer beside {name} came to {rate:.0f} commits a second.")
    print("\n" + "\n".join([f"{count:,} records of {SIZE} bytes, keys in random order.", *notes, machine.line() + "."]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main("--quick" in sys.argv[1:])

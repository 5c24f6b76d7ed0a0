"""The LMDB store beside py-lmdb, pandas and diskcache, each in a directory of its own.

Two copies of liblmdb in one process are safe as long as no directory is open in both.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import door43fast as d43

from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import drawn, keys, shuffled, values

SIZE = 128
PEER = "py-lmdb"
MAP = 1 << 32


@contextmanager
def directory() -> Iterator[Path]:
    path = tempfile.mkdtemp(prefix="door43fast-bench-")
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path)


def peer_module(module: str) -> Any | None:
    try:
        return import_module(module)
    except ImportError:
        return None


class Filled:
    """Ours, py-lmdb and a dict with the same records."""

    def __init__(self, base: Path, count: int) -> None:
        self.names, self.held = keys(count), values(count, SIZE)
        self.wanted = drawn(count, count)
        self.plain = dict(zip(self.names, self.held, strict=True))
        self.ours = d43.LmdbStore(base / "ours", durability="none")
        self.ours.set_many(self.plain)
        self.lmdb = peer_module("lmdb")
        self.missing = [] if self.lmdb else [PEER]
        if self.lmdb:
            self.env = self.lmdb.open(str(base / "peer"), map_size=MAP, sync=False)
            with self.env.begin(write=True) as txn:
                txn.cursor().putmulti([(key.encode(), value) for key, value in self.plain.items()])

    def close(self) -> None:
        self.ours.close()
        if self.lmdb:
            self.env.close()

    def compare(self, case: str, control: Callable[[Any], Any], ours: Callable[[Any], Any],
                peer: Callable[[Any], Any], operations: int, rounds: int) -> Result:
        contenders = [Contender(CONTROL, control), Contender(OURS, ours)]
        if self.lmdb:
            contenders.append(Contender(PEER, peer))
        return interleave(case, contenders, operations, rounds, self.missing)

    def getmulti(self, _: Any) -> list[tuple[bytes, bytes]]:
        """What a user of py-lmdb writes for a batch of str keys."""
        with self.env.begin() as txn:
            return txn.cursor().getmulti([key.encode() for key in self.wanted])


@contextmanager
def filled(count: int) -> Iterator[Filled]:
    with directory() as base:
        stores = Filled(base, count)
        try:
            yield stores
        finally:
            stores.close()


def _count(quick: bool) -> int:
    return 50_000 if quick else 1_000_000


def get(quick: bool) -> Result:
    with filled(_count(quick)) as f:
        wanted = f.wanted[:20_000]

        def peer(_: Any) -> None:
            begin = f.env.begin
            for key in wanted:
                with begin() as txn:
                    txn.get(key.encode())

        def one_by_one(read: Callable[[str], Any]) -> Callable[[Any], Any]:
            return lambda _: deque(map(read, wanted), 0)

        return f.compare(f"LMDB get, {len(f.names):,} records", one_by_one(f.plain.get), one_by_one(f.ours.get), peer,
                         len(wanted), 7 if quick else 21)


def get_many(quick: bool) -> Result:
    with filled(_count(quick)) as f:
        assert f.ours.get_many(f.wanted[:100]) == [f.plain[key] for key in f.wanted[:100]]
        return f.compare(f"LMDB get_many, {len(f.wanted):,} random keys", lambda _: [f.plain[key] for key in f.wanted],
                         lambda _: f.ours.get_many(f.wanted), f.getmulti, len(f.wanted), 5)


def get_packed(quick: bool) -> Result:
    with filled(_count(quick)) as f:
        assert f.ours.get_packed(f.wanted[:100]).tolist() == [f.plain[key] for key in f.wanted[:100]]
        return f.compare(f"LMDB get_packed, {len(f.wanted):,} random keys",
                         lambda _: [f.plain[key] for key in f.wanted], lambda _: f.ours.get_packed(f.wanted),
                         f.getmulti, len(f.wanted), 5)


def get_absent(quick: bool) -> Result:
    """Keys that are not there, in random order, between those that are; seen once before."""
    with filled(_count(quick)) as f:
        wanted = [f"{key}x" for key in f.wanted]

        def peer(_: Any) -> list[tuple[bytes, bytes]]:
            with f.env.begin() as txn:
                return txn.cursor().getmulti([key.encode() for key in wanted])

        assert f.ours.get_many(wanted[:100]) == [None] * 100
        return f.compare(f"LMDB get_many, {len(wanted):,} absent keys", lambda _: [f.plain.get(key) for key in wanted],
                         lambda _: f.ours.get_many(wanted), peer, len(wanted), 5)


def scan(quick: bool) -> Result:
    with filled(_count(quick)) as f:
        def peer(_: Any) -> None:
            with f.env.begin() as txn:
                deque(((bytes(key).decode(), value) for key, value in txn.cursor()), 0)

        return f.compare(f"LMDB scan, {len(f.names):,} records", lambda _: deque(f.plain.items(), 0),
                         lambda _: deque(f.ours.scan(), 0), peer, len(f.names), 5)


def scan_packed(quick: bool) -> Result:
    with filled(_count(quick)) as f:
        def peer(_: Any) -> None:
            with f.env.begin() as txn:
                deque(((bytes(key).decode(), value) for key, value in txn.cursor()), 0)

        return f.compare(f"LMDB scan_packed, {len(f.names):,} records", lambda _: deque(f.plain.items(), 0),
                         lambda _: deque(f.ours.scan_packed(), 0), peer, len(f.names), 5)


def set_many(quick: bool) -> Result:
    """One batch of keys in random order into an empty store, durable when the call returns, on both sides."""
    count = 20_000 if quick else 200_000
    items = dict(zip(shuffled(keys(count)), values(count, SIZE), strict=True))
    lmdb = peer_module("lmdb")
    with directory() as base:
        number = iter(range(1_000_000))

        def close(held: tuple[Any, Path]) -> None:
            held[0].close()
            shutil.rmtree(held[1])

        def new_ours() -> tuple[Any, Path]:
            path = base / str(next(number))
            return d43.LmdbStore(path, durability="commit"), path

        def new_peer() -> tuple[Any, Path]:
            path = base / str(next(number))
            return lmdb.open(str(path), map_size=MAP), path

        def putmulti(held: tuple[Any, Path]) -> None:
            with held[0].begin(write=True) as txn:
                txn.cursor().putmulti([(key.encode(), value) for key, value in items.items()])

        contenders = [Contender(CONTROL, lambda plain: plain.update(items), dict),
                      Contender(OURS, lambda held: held[0].set_many(items), new_ours, close)]
        if lmdb:
            contenders.append(Contender(PEER, putmulti, new_peer, close))
        return interleave(f"LMDB set_many, {count:,} keys in random order", contenders, count, 3 if quick else 5,
                          [] if lmdb else [PEER])


def set_one(quick: bool) -> Result:
    """Single sets under durability ``batch`` beside diskcache, which promises no more for a lost power supply."""
    count = 1000 if quick else 5000
    wanted = drawn(count, count)
    value = values(1, SIZE)[0]
    diskcache = peer_module("diskcache")
    with directory() as base:
        plain: dict[str, bytes] = {}
        ours = d43.LmdbStore(base / "ours", durability="batch")

        def each(write: Callable[[str, bytes], Any]) -> Callable[[Any], Any]:
            def run(_: Any) -> None:
                for key in wanted:
                    write(key, value)
            return run

        contenders = [Contender(CONTROL, each(plain.__setitem__)), Contender(OURS, each(ours.set))]
        if diskcache:
            theirs = diskcache.Cache(str(base / "theirs"))
            contenders.append(Contender("diskcache", each(theirs.set)))
        try:
            return interleave('LMDB set under durability "batch"', contenders, count, 5,
                              [] if diskcache else ["diskcache"])
        finally:
            ours.close()
            if diskcache:
                theirs.close()


def rows(quick: bool) -> Result:
    """Rows of one size by int64 keys, straight into the caller's array."""
    import numpy as np

    count = _count(quick)
    wanted = np.random.default_rng(1).integers(0, count, count)
    numbers = np.arange(count)
    data = np.frombuffer(b"".join(values(count, SIZE)), np.uint8).reshape(count, SIZE)
    pandas = peer_module("pandas")
    with directory() as base, d43.LmdbStore(base / "ours", keys="int", durability="none") as ours:
        ours.set_packed(numbers, data, np.arange(count + 1) * SIZE)
        out = np.empty((count, SIZE), np.uint8)
        plain = dict(zip(numbers.tolist(), (row.tobytes() for row in data), strict=True))
        contenders = [Contender(CONTROL, lambda _: [plain[key] for key in wanted.tolist()]),
                      Contender(OURS, lambda _: ours.get_packed(wanted, out=out))]
        if pandas:
            index = pandas.Index(np.random.default_rng(2).permutation(count))
            contenders.append(Contender("pandas", lambda _: np.take(data, index.get_indexer(wanted), axis=0, out=out)))
        result = interleave(f"LMDB get_packed by int64 into out, {count:,} random rows", contenders, count, 5,
                            [] if pandas else ["pandas"])
        ours.get_packed(wanted, out=out)
        assert np.array_equal(out, data[wanted])
        return result


def threads(quick: bool) -> Result:
    """The same batch by one thread, and by two at once, each with a list of its own; time a key and thread."""
    with filled(_count(quick)) as f:
        batches = [drawn(len(f.wanted), len(f.wanted), seed) for seed in (1, 2)]

        def both(_: Any) -> list[Any]:
            found: list[Any] = []       # dropped outside the clock, as that of the one thread is

            def read(batch: list[str]) -> None:
                found.append(f.ours.get_packed(batch))

            workers = [threading.Thread(target=read, args=(batch,)) for batch in batches]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return found

        contenders = [Contender(CONTROL, lambda _: [f.plain[key] for key in batches[0]]),
                      Contender("one thread", lambda _: f.ours.get_packed(batches[0])), Contender("two threads", both)]
        return interleave(f"LMDB get_packed by threads, {len(f.wanted):,} keys each", contenders, len(f.wanted), 5,
                          alone=True)


CASES: dict[str, Callable[[bool], Result]] = {
    "lmdb_get": get,
    "lmdb_get_many": get_many,
    "lmdb_get_packed": get_packed,
    "lmdb_absent": get_absent,
    "lmdb_rows": rows,
    "lmdb_set_many": set_many,
    "lmdb_set": set_one,
    "lmdb_scan": scan,
    "lmdb_scan_packed": scan_packed,
    "lmdb_threads": threads,
}

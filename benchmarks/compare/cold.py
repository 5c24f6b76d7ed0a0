"""Batches over a file that is not in memory: each contender's own file is put out of the page cache before its turn.

One batch of random keys in a file of a gigabyte. "one by one" reads the same keys in the same store by single calls,
so that every page that is not in memory is waited for by itself.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import door43fast as d43

from benchmarks.compare.lmdb import MAP, PEER, directory, peer_module
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import drawn, keys, values

SIZE = 1000


def evict(path: Path) -> None:
    """Put a file that nobody has mapped out of the page cache."""
    fd = os.open(path / "data.mdb", os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def cold(quick: bool) -> Result:
    count, asked = (100_000, 2_000) if quick else (1_000_000, 20_000)
    names, held = keys(count), values(1000, SIZE)
    wanted = drawn(asked, count)
    items = {name: held[at % len(held)] for at, name in enumerate(names)}
    lmdb = peer_module("lmdb")
    with directory() as base:
        with d43.LmdbStore(base / "ours", durability="none") as store:
            for at in range(0, count, 100_000):
                store.set_many({name: items[name] for name in names[at:at + 100_000]})
        if lmdb:
            with lmdb.open(str(base / "peer"), map_size=MAP, sync=False) as env:
                for at in range(0, count, 100_000):
                    with env.begin(write=True) as txn:
                        txn.cursor().putmulti([(name.encode(), items[name]) for name in names[at:at + 100_000]])

        def ours() -> d43.LmdbStore:
            evict(base / "ours")
            return d43.LmdbStore(base / "ours", durability="none")

        def peer() -> Any:
            evict(base / "peer")
            return lmdb.open(str(base / "peer"), map_size=MAP, sync=False)

        def getmulti(env: Any) -> list[tuple[bytes, bytes]]:
            with env.begin() as txn:
                return txn.cursor().getmulti([key.encode() for key in wanted])

        def close(store: Any) -> None:
            store.close()

        contenders = [Contender(CONTROL, lambda _: [items[key] for key in wanted]),
                      Contender(OURS, lambda store: store.get_many(wanted), ours, close),
                      Contender("packed", lambda store: store.get_packed(wanted), ours, close),
                      Contender("one by one", lambda store: deque(map(store.get, wanted), 0), ours, close)]
        if lmdb:
            contenders.append(Contender(PEER, getmulti, peer, close))
        return interleave(f"LMDB cold get_many, {asked:,} of {count:,} records of {SIZE} bytes", contenders, asked, 3,
                          [] if lmdb else [PEER])


CASES: dict[str, Callable[[bool], Result]] = {"lmdb_cold": cold}

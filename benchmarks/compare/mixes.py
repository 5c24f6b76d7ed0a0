"""Reads and writes mixed, one key at a time, in one process: stores on disk, none of them waiting for the disk.

Ours is under ``batch``, whose promise for a lost power supply only diskcache comes near; and once more under ``none``
beside those that promise as little: py-lmdb without a sync, rocksdict, sqlite3 without a sync.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import door43fast as d43

from benchmarks.compare.lmdb import MAP, SIZE, directory
from benchmarks.interleave import CONTROL, OURS, Contender, Result, interleave
from benchmarks.workloads import keys, operations, values

Pair = tuple[Callable[[str], Any], Callable[[str, bytes], Any], Callable[[], None]]


def _dict(_: Path) -> Pair:
    plain: dict[str, bytes] = {}
    return plain.get, plain.__setitem__, plain.clear


def _ours(path: Path) -> Pair:
    store = d43.LmdbStore(path, durability="batch")
    return store.get, store.set, store.close


def _unsynced(path: Path) -> Pair:
    store = d43.LmdbStore(path, durability="none")
    return store.get, store.set, store.close


def _lmdb(path: Path) -> Pair:
    env = import_module("lmdb").open(str(path), map_size=MAP, sync=False)

    def get(key: str) -> bytes | None:
        with env.begin() as txn:
            return txn.get(key.encode())

    def put(key: str, value: bytes) -> None:
        with env.begin(write=True) as txn:
            txn.put(key.encode(), value)

    return get, put, env.close


def _rocksdict(path: Path) -> Pair:
    store = import_module("rocksdict").Rdict(str(path))
    return store.get, store.__setitem__, store.close


def _sqlite(path: Path) -> Pair:
    base = sqlite3.connect(str(path), isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    base.execute("CREATE TABLE records (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def get(key: str) -> bytes | None:
        row = base.execute("SELECT value FROM records WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(key: str, value: bytes) -> None:
        base.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (key, value))

    return get, put, base.close


def _diskcache(path: Path) -> Pair:
    cache = import_module("diskcache").Cache(str(path))
    return cache.get, cache.set, cache.close


STORES: dict[str, Callable[[Path], Pair]] = {
    CONTROL: _dict, OURS: _ours, "py-lmdb": _lmdb, "rocksdict": _rocksdict, "sqlite3": _sqlite, "diskcache": _diskcache}
UNSYNCED: dict[str, Callable[[Path], Pair]] = {
    CONTROL: _dict, OURS: _unsynced, "py-lmdb": _lmdb, "rocksdict": _rocksdict, "sqlite3": _sqlite}


def share(pair: Pair, work: list[tuple[bool, str]], value: bytes) -> None:
    """Do the operations in their order."""
    get, put, _ = pair
    for is_read, key in work:
        if is_read:
            get(key)
        else:
            put(key, value)


def mix(reads: float, stores: dict[str, Callable[[Path], Pair]] = STORES) -> Callable[[bool], Result]:
    def case(quick: bool) -> Result:
        held = 2000 if quick else 20_000
        word = "" if stores is STORES else ", none synced"
        work = operations(held // 4, held, reads)
        value = values(1, SIZE)[0]
        missing: list[str] = []
        contenders: list[Contender] = []
        closers: list[Callable[[], None]] = []

        with directory() as base:
            try:
                for name, start in stores.items():
                    try:
                        pair = start(base / name)
                    except ImportError:
                        missing.append(name)
                        continue
                    closers.append(pair[2])
                    for key in keys(held):
                        pair[1](key, value)
                    contenders.append(Contender(name, lambda pair: share(pair, work, value), lambda pair=pair: pair))
                return interleave(f"mix of {reads:.0%} reads, one process{word}", contenders, len(work), 5, missing)
            finally:
                for close in closers:
                    close()

    return case


CASES: dict[str, Callable[[bool], Result]] = {
    "mix_95": mix(0.95), "mix_50": mix(0.5), "mix_95_none": mix(0.95, UNSYNCED), "mix_50_none": mix(0.5, UNSYNCED)}

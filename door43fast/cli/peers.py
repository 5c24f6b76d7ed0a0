"""The peers that are installed, read with the same workload; py-lmdb in a child process with a directory of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Any

import msgspec

from door43fast.cli import measure
from door43fast.cli.measure import Reader
from door43fast.cli.workload import Workload
from door43fast.errors import BackendUnavailableError

Rates = dict[str, dict[str, float]]
IN_MEMORY = ("dict", "cachebox")
ON_DISK = ("py-lmdb", "sqlite3")
_MODULES = {"dict": "builtins", "cachebox": "cachebox", "py-lmdb": "lmdb", "sqlite3": "sqlite3"}


def installed(names: tuple[str, ...]) -> list[str]:
    """Which of the peers are here."""
    return [name for name in names if importlib.util.find_spec(_MODULES[name]) is not None]


def in_memory(name: str, items: list[tuple[str, bytes]], work: Workload) -> Rates:
    """The rates of a dict, or of cachebox's LRU cache with room for everything."""
    if name == "dict":
        held: Any = dict(items)
    else:
        import cachebox

        held = cachebox.LRUCache(len(items))
        held.update(dict(items))
    return {"warm": measure.rates(measure.of_mapping(held), work, measure.WARM_ROUNDS)}


def on_disk(name: str, items: list[tuple[str, bytes]], work: Workload, folder: str) -> Rates:
    """The rates of a peer that keeps its data in ``folder``, which is made and filled here."""
    os.makedirs(folder)
    return _lmdb(items, work, folder) if name == "py-lmdb" else _sqlite(items, work, folder)


def _lmdb(items: list[tuple[str, bytes]], work: Workload, folder: str) -> Rates:
    """Two copies of the LMDB library in one process break each other's locks, so the peer runs in a child."""
    task = msgspec.msgpack.encode({"items": items, "work": work._asdict(), "folder": folder})
    child = subprocess.run(
        [sys.executable, "-m", "door43fast.cli.lmdb_peer"], input=task, capture_output=True, check=False
    )
    if child.returncode:
        last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BackendUnavailableError(f"py-lmdb could not be measured: {' '.join(last) or 'its process died'}")
    return msgspec.json.decode(child.stdout, type=Rates)


def _sqlite(items: list[tuple[str, bytes]], work: Workload, folder: str) -> Rates:
    import sqlite3

    path = os.path.join(folder, "peer.sqlite3")
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode = wal")
    database.execute("create table kv (k text primary key, v blob) without rowid")
    with database:
        database.executemany("insert into kv values (?, ?)", items)
    database.execute("pragma wal_checkpoint(truncate)")
    database.close()

    def opened() -> tuple[Reader, Any]:
        connection = sqlite3.connect(path)

        def single(keys: list[str]) -> int:
            execute = connection.execute
            count = 0
            for key in keys:
                if execute("select v from kv where k = ?", (key,)).fetchone() is not None:
                    count += 1
            return count

        def batch(keys: list[str]) -> int:
            marks = ",".join("?" * len(keys))
            found = dict(connection.execute(f"select k, v from kv where k in ({marks})", keys))
            return len([found.get(key) for key in keys])

        def scan(prefix: str) -> int:
            stop = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            return len(
                connection.execute("select k, v from kv where k >= ? and k < ? order by k", (prefix, stop)).fetchall()
            )

        return Reader(single, batch, scan), connection.close

    return measure.cold_and_warm(folder, opened, work)

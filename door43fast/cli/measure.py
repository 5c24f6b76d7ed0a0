"""Times of a workload: how many records a second a reader hands out, one by one, in batches and by prefix."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from door43fast.cli import workload
from door43fast.cli.workload import Workload

OPERATIONS = ("get, one by one", "get_many, 1,000 keys", "scan, by prefix")
WARM_ROUNDS = 3


class Reader(NamedTuple):
    """The three ways to read. ``scan`` is None where keys have no order; each returns how many values it saw."""

    single: Callable[[list[str]], int]
    batch: Callable[[list[str]], int]
    scan: Callable[[str], int] | None


# Opens a store and says how to close it.
Opener = Callable[[], tuple[Reader, Callable[[], None]]]


def one_by_one(get: Callable[[str], Any]) -> Callable[[list[str]], int]:
    """What reads keys singly with ``get``, and counts those that are there."""

    def single(keys: list[str]) -> int:
        count = 0
        for key in keys:
            if get(key) is not None:
                count += 1
        return count

    return single


def of_store(store: Any) -> Reader:
    """The reader of one of our stores."""

    def batch(keys: list[str]) -> int:
        return len(store.get_many(keys))

    def scan(prefix: str) -> int:
        return sum(1 for _ in store.scan(prefix))

    return Reader(one_by_one(store.get), batch, scan)


def of_mapping(mapping: Any) -> Reader:
    """The reader of a dict or of something with its ``get``; it has no order, so no way to read a prefix."""

    def batch(keys: list[str]) -> int:
        get = mapping.get
        return len([get(key) for key in keys])

    return Reader(one_by_one(mapping.get), batch, None)


def _rate(run: Callable[[Workload], int], work: Workload) -> float:
    work = workload.copied(work)
    started = time.perf_counter()
    count = run(work)
    return count / (time.perf_counter() - started)


def rates(reader: Reader, work: Workload, rounds: int, operations: tuple[str, ...] = OPERATIONS) -> dict[str, float]:
    """Records a second of each operation: the best of ``rounds``, each with keys of its own, equal but not the same."""
    single, batch, scan = OPERATIONS
    runs: dict[str, Callable[[Workload], int]] = {
        single: lambda work: reader.single(work.single),
        batch: lambda work: sum([reader.batch(keys) for keys in work.batches]),
    }
    if reader.scan is not None:
        by_prefix = reader.scan
        runs[scan] = lambda work: sum([by_prefix(prefix) for prefix in work.prefixes])
    return {name: max(_rate(runs[name], work) for _ in range(rounds)) for name in operations if name in runs}


def forget(folder: str) -> None:
    """Ask the system to drop the pages of a folder's files from its cache, so that the next read is from the disk.

    Only where there is ``posix_fadvise``; elsewhere cold means a store that was just opened.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for entry in os.scandir(folder):
        if entry.is_file():
            descriptor = os.open(entry.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def cold_and_warm(folder: str, opened: Opener, work: Workload) -> dict[str, dict[str, float]]:
    """Rates of a store on disk, by ``cold`` and ``warm``; for each cold one the store is opened anew."""
    cold: dict[str, float] = {}
    for operation in OPERATIONS:
        forget(folder)
        reader, close = opened()
        try:
            cold |= rates(reader, work, 1, (operation,))
        finally:
            close()
    reader, close = opened()
    try:
        rates(reader, work, 1)
        return {"cold": cold, "warm": rates(reader, work, WARM_ROUNDS)}
    finally:
        close()

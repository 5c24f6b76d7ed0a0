"""Ours and the peers side by side, and the table of it."""

from __future__ import annotations

import os
from typing import Any

import door43fast
from door43fast.cli import measure, output, peers
from door43fast.cli.measure import OPERATIONS, Reader
from door43fast.cli.workload import Workload

ROWS = ("memory", "memory over LMDB, warm", "memory over LMDB, cold", "LMDB alone, warm")


def run(items: list[tuple[str, bytes]], work: Workload, directory: str, scratch: str) -> dict[str, Any]:
    """Read the workload from our stores and from every peer that is installed.

    Parameters
    ----------
    items : list of (str, bytes)
        What the peers are filled with: the records of the store in ``directory``.
    work : Workload
        What is read.
    directory : str
        A store of ours on disk, closed.
    scratch : str
        An empty folder for the peers' files.

    Returns
    -------
    dict
        ``ours``: row to operation to records a second; ``peers``: peer to ``warm`` and ``cold`` to the same.
    """
    with door43fast.MemoryStore() as store:
        store.set_many(items)
        in_memory = measure.rates(measure.of_store(store), work, measure.WARM_ROUNDS)

    def tiered() -> tuple[Reader, Any]:
        opened = door43fast.open(directory)
        return measure.of_store(opened), opened.close

    def alone() -> tuple[Reader, Any]:
        opened = door43fast.LmdbStore(directory, durability="batch")
        return measure.of_store(opened), opened.close

    over_lmdb = measure.cold_and_warm(directory, tiered, work)
    lmdb = measure.cold_and_warm(directory, alone, work)
    rates: dict[str, peers.Rates] = {}
    for name in peers.installed(peers.IN_MEMORY):
        rates[name] = peers.in_memory(name, items, work)
    for name in peers.installed(peers.ON_DISK):
        rates[name] = peers.on_disk(name, items, work, os.path.join(scratch, name))
    ours = dict(zip(ROWS, (in_memory, over_lmdb["warm"], over_lmdb["cold"], lmdb["warm"]), strict=True))
    return {"ours": ours, "peers": rates}


def rate(number: float) -> str:
    """Records a second for people: ``1.2 M/s``."""
    return f"{number / 1e6:.1f} M/s" if number >= 1e6 else f"{number / 1e3:.0f} k/s"


def print_table(found: dict[str, Any]) -> None:
    """One row an operation and state; in a peer's column its rate, and how many times faster ours is."""
    rows = []
    for row in ROWS:
        state = "cold" if row.endswith("cold") else "warm"
        # A store in memory is compared with what is in memory, one on disk with all.
        shown = [name for name in found["peers"] if name in peers.IN_MEMORY or row != "memory"]
        for operation in OPERATIONS:
            ours = found["ours"][row].get(operation)
            cells = [row, operation, "-" if ours is None else rate(ours)]
            for name, rates in found["peers"].items():
                theirs = rates.get(state, {}).get(operation) if name in shown else None
                cells.append("-" if theirs is None or ours is None else f"{rate(theirs)}  {ours / theirs:.2f}x")
            rows.append(cells)
    output.table(
        "records a second; behind a peer's rate: how many times faster door43fast is",
        ("store", "read", "door43fast", *found["peers"]),
        rows,
    )

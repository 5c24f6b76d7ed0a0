"""A short measurement of what a directory's disk takes to read and to write."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from door43fast.host import kernel

BLOCK = 4096
MOST = 64       # blocks


class Probe(NamedTuple):
    """Medians in microseconds for a block of 4 KiB: read back, written, and written with a sync.

    ``samples`` is how many blocks were written. Reads come from the system's memory, as most reads of a store do.
    """

    path: str
    read: float
    write: float
    sync: float
    samples: int


def probe(path: Any = ".", *, seconds: float = 0.1, now: Callable[[], int] = time.perf_counter_ns) -> Probe:
    """Write up to 64 blocks into a folder of its own beside ``path``, read them back, and remove them.

    Parameters
    ----------
    path : path
        A directory, or one to be: the nearest above it that there is, is measured.
    seconds : float
        When to stop; at least one block is written.
    now : callable
        Nanoseconds.

    Raises
    ------
    OSError
        If nothing can be written there. What was written is removed.
    """
    directory = kernel.existing(os.fsdecode(path))
    end = now() + int(seconds * 1e9)
    reads, writes, syncs = [], [], []
    folder = tempfile.mkdtemp(prefix=".door43fast-probe-", dir=directory)
    try:
        file = os.open(os.path.join(folder, "blocks"), os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0))
        try:
            for number in range(MOST):
                block = os.urandom(BLOCK)
                start = now()
                os.lseek(file, number * BLOCK, os.SEEK_SET)
                os.write(file, block)
                written = now()
                os.fsync(file)
                synced = now()
                os.lseek(file, number * BLOCK, os.SEEK_SET)
                again = now()
                if os.read(file, BLOCK) != block:
                    raise OSError(5, "a block was read back as another", directory)
                done = now()
                writes.append(written - start)
                syncs.append(synced - start)
                reads.append(done - again)
                if done >= end:
                    break
        finally:
            os.close(file)
    finally:
        shutil.rmtree(folder)
    read, write, sync = (statistics.median(samples) / 1000 for samples in (reads, writes, syncs))
    return Probe(directory, read, write, sync, len(writes))

"""What backends over files ask of the disk and of each other: syncs by path, and a lock that is waited for."""

from __future__ import annotations

import os
import time

from door43fast.errors import BackendUnavailableError

try:
    import fcntl
except ImportError:     # Windows
    fcntl = None        # type: ignore[assignment]

SOONEST, LATEST = 0.0005, 0.02      # seconds between two tries to get a lock


def sync_path(path: str) -> None:
    """Have a file's contents, or a folder's names, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_alone(descriptor: int, path: str, timeout: float) -> None:
    """Keep other processes out of ``path`` by ``descriptor``; waits for at most ``timeout`` seconds."""
    end, pause = time.monotonic() + timeout, SOONEST
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise BackendUnavailableError(
                    f"{path!r} has been locked by another process for longer than busy_timeout={timeout:g} seconds, "
                    "and nothing was written: end it, or wait longer") from None
        time.sleep(pause)
        pause = min(pause * 2, LATEST)

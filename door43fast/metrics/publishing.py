"""Metrics of a process in a small file beside its store, for ``door43fast top`` in another one.

The file is written anew at every interval, by a thread, and put in place by a rename: who reads it sees one state. It
goes when publishing ends; one of a process that is gone, or that stopped writing, is passed over.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from door43fast.arguments import span
from door43fast.contracts import Seconds
from door43fast.errors import ClosedError, ConfigError
from door43fast.metrics.reading import backend_of, read

PATTERN = "metrics-*.json"
_numbers = itertools.count(1)


def folder_of(store: Any) -> Path:
    """The directory of a store on disk, or of the layer that is."""
    bottom = store
    while hasattr(bottom, "slow"):
        bottom = bottom.slow
    if backend_of(bottom) != "lmdb":    # others would take the file for one of theirs, or have no folder
        raise ConfigError("metrics are published in the directory of a LmdbStore, and "
                          f"{type(store).__name__} has none: use door43fast.metrics.exporter for it")
    return Path(bottom.path)


class Publisher:
    """Publishes a store's metrics until :meth:`close`, or until the store is closed or gone. Also a context manager."""

    def __init__(self, store: Any, interval: float) -> None:
        self._store, self.interval = weakref.ref(store), interval
        self.path = folder_of(store) / f"metrics-{os.getpid()}-{next(_numbers)}.json"
        self._pid, self._begun = os.getpid(), time.time()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door43fast-metrics", daemon=True)
        self._write()
        self._thread.start()

    def _write(self) -> bool:
        import msgspec

        store = self._store()
        if store is None:
            return False

        told = {"pid": self._pid, "interval": self.interval, "since": self._begun, "time": time.time(),
                "metrics": read(store).as_dict()}
        beside = self.path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(told))
        os.replace(beside, self.path)
        return True

    def _run(self) -> None:
        try:
            while not self._end.wait(self.interval) and self._write():
                pass
        except ClosedError:
            pass        # the store is closed, which ends it
        finally:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """End it, and take the file away."""
        self._end.set()
        if self._pid == os.getpid():    # in the child of a fork there is neither the thread nor a file of ours
            self._thread.join()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def publish(store: Any, interval: Seconds = 1.0) -> Publisher:
    """Write the store's metrics into its directory at every ``interval``, in seconds: docs/metrics.md has the cost."""
    seconds = span(interval, "interval")
    if seconds < 0.05:
        raise ConfigError(f"interval={interval!r} is not allowed: give 0.05 seconds or more")
    return Publisher(store, seconds)


def published(folder: Any) -> list[dict[str, Any]]:
    """What the processes that are alive publish in a store's directory."""
    import msgspec

    found = []
    for path in sorted(Path(folder).glob(PATTERN)):
        try:
            told = msgspec.json.decode(path.read_bytes())
        except FileNotFoundError:       # it ended meanwhile
            continue
        if _alive(told["pid"]) and time.time() - told["time"] < 3 * told["interval"] + 1:
            found.append(told)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:     # another user's
        return True
    return True

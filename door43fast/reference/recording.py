"""A recording of reads in plain Python: as door43fast.native.recording, with which it shares the layout of the file."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
import weakref
from typing import Any

from door43fast import recordings

BLOCK = 16384

_under_way: weakref.WeakSet[Recording] = weakref.WeakSet()


class Recording:
    """The recording of a store's reads into a file; ends with :meth:`stop`, its context, or the store's ``close``."""

    def __init__(self, path: Any, sample: float = 1.0) -> None:
        self.sample = recordings.checked_sample(sample)
        self.path = os.fsdecode(os.fspath(path))
        self.asked = self.recorded = 0
        self._limit = recordings.limit(self.sample)
        self._hashes: list[int] = []
        self._seen = 0
        self._lock = threading.RLock()     # a finalizer may read while a block is written
        self._error: OSError | None = None
        self._process = os.getpid()
        self._fd: int | None = recordings.create(path, self.sample)
        _under_way.add(self)

    @property
    def active(self) -> bool:
        return self._fd is not None and self._error is None and self._process == os.getpid()

    def note(self, hashed: int) -> None:
        """One read, by the hash of its key. Runs no caller's code."""
        if not self.active:
            return
        with self._lock:
            self._seen += 1
            if recordings.spread(hashed) <= self._limit:
                self._hashes.append(hashed & recordings.WORD)
            if len(self._hashes) >= BLOCK:
                self._write(False)

    def _write(self, last: bool) -> None:
        if self._fd is None or self._error is not None:
            return
        hashes, self._hashes = self._hashes, []
        whole = os.lseek(self._fd, 0, os.SEEK_CUR)
        left = memoryview(recordings.block(hashes, self._seen, last))
        try:
            while left:
                left = left[os.write(self._fd, left):]
        except OSError as error:
            self._error = error
            os.ftruncate(self._fd, whole)
        else:
            self.asked = self._seen
            self.recorded += len(hashes)

    def stop(self) -> None:
        """End it; an OSError says what could not be written."""
        with self._lock:
            if self._fd is None:
                return
            if self._process == os.getpid():
                self._write(True)
            os.close(self._fd)
            self._fd = None
        if self._error is not None:
            raise OSError(self._error.errno, f"the recording ended early: {self._error.strerror}", self.path)

    def _close(self) -> None:
        try:
            self.stop()
        except OSError as error:
            warnings.warn(f"the recording of reads into {self.path!r} ended early, and holds what came before: "
                          f"{error.strerror}", RuntimeWarning, stacklevel=2)

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:      # unset where there was no file to begin with
            self._close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _end_all() -> None:
    for recording in list(_under_way):
        recording._close()


atexit.register(_end_all)

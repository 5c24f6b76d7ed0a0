"""What ``durability="batch"`` is made of: the write-ahead log synced some moments after a write, by a thread.

The log is synced by a descriptor of its own. That is safe though SQLite locks files by process: its locks are on the
database and on the index of the log (``-shm``), never on the log itself.
"""

from __future__ import annotations

import os
import threading
import weakref

from door43fast.plugins import sync_path


def sync(path: str) -> None:
    """Sync the log of the database at ``path``; where there is none, all is in the database and synced."""
    if os.path.exists(f"{path}-wal"):
        sync_path(f"{path}-wal")


class Syncer:
    """A thread that syncs within ``interval`` seconds of each write, and ends by itself when there are none."""

    def __init__(self, path: str, interval: float) -> None:
        self._path = path
        self._interval = interval
        self._changed = threading.Condition()
        self._due = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.error: OSError | None = None

    def wrote(self) -> None:
        """A write was committed."""
        with self._changed:
            self._due = True
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=_run, args=(weakref.ref(self),), daemon=True,
                                                name="door43fast-sqlite-sync")
                self._thread.start()

    def check(self) -> None:
        """Raise what a sync has failed with since the last time: the next write must not follow as if it had not."""
        error, self.error = self.error, None
        if error is not None:
            raise OSError(error.errno, f"the writes before this one may not be on the disk ({error.strerror}), and "
                                       "this one was not made", self._path)

    def stop(self) -> None:
        """End the thread; what is due is synced."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            thread, due = self._thread, self._due
            self._due = False
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if due:
            sync(self._path)


def _run(reference: weakref.ref[Syncer]) -> None:
    while True:
        syncer = reference()
        if syncer is None:
            return
        with syncer._changed:
            syncer._changed.wait_for(lambda: syncer._stopped, syncer._interval)
            if syncer._stopped or not syncer._due:
                syncer._thread = None
                return
            syncer._due = False
        try:
            sync(syncer._path)
        except OSError as error:
            syncer.error = error
        del syncer

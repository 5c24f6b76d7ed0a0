"""Who computes a key, of all processes that share a store: claims on a file beside it.

A claim is a lock of the operating system on bytes of that file, at the key's hash. The kernel takes it back when its
process dies, however that dies. A key has eight bytes, its lanes. Who claims it locks the first lane, if nobody holds
any of the eight. Who has waited for longer than its deadline goes on to the second, if nobody holds that one or one
after it, and so on. So a holder that hangs costs one computation more, and not one for each who waits; and after the
last lane nobody waits any longer.

The locks are those of an open file description where the system has them. Those of POSIX belong to the process, and all
are gone when it closes any descriptor of the file. For their sake a process has one descriptor for each file, open for
as long as anybody here wants a claim in it, and a table of its own claims. The table also names the flight that stands
in the way where that is of this process, by another store: then there is something better to do than to ask again.

With the lock comes a mark in shared memory (marks.pxd). It tells that the key was deleted meanwhile, by whichever
process, or claimed by another; then what was computed is not stored.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from typing import Any

from door43fast.arguments import span
from door43fast.contracts import Seconds

try:
    import fcntl
except ImportError:     # Windows, where single flight ends with the process
    fcntl = None        # type: ignore[assignment]

LANES = 8
SOON, LATE = 0.0005, 0.01       # seconds between two tries
OF_DESCRIPTION = getattr(fcntl, "F_OFD_SETLK", None) if struct.calcsize("P") == 8 else None


class Sharing:
    """A file that claims are made in: one for each file and process, while anybody wants one."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        status = os.fstat(self.descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self.users = 0
        self.held: dict[int, dict[int, Any]] = {}       # by key and lane: the flights of this process

    def lock(self, at: int, count: int, kind: int) -> bool:
        """Lock or unlock bytes; False where another process has one of them."""
        try:
            if OF_DESCRIPTION is None:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB,
                            count, at)
            else:
                fcntl.fcntl(self.descriptor, OF_DESCRIPTION, struct.pack("hhqqi0q", kind, os.SEEK_SET, at, count, 0))
        except (BlockingIOError, PermissionError):      # EAGAIN or EACCES, as the system likes
            return False
        return True


_guard = threading.Lock()       # of the two below
_files: dict[tuple[int, int], Sharing] = {}


def _file_at(path: str) -> Sharing:
    """REQUIRES: the guard. The file is looked for before it is opened: to close it again could undo locks."""
    file = None
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path)
        file = _files.get((status.st_dev, status.st_ino))
    if file is None:
        file = Sharing(path)
        _files[file.identity] = file
    file.users += 1
    return file


class Claim:
    """The claim of one flight on its key. To be tried until it is got, or until it is not needed any more.

    ``mark`` is there as long as it is held.
    """

    waits = False       # what its methods do takes microseconds, also in an event loop

    def __init__(self, marks: Any, hash: int, flight: Any, deadline: float) -> None:
        self._marks, self._hash, self._flight, self._deadline = marks, hash, flight, deadline
        self._at = _place(hash)
        self.mark: Any = None
        self._lane, self._end = 0, 0.0      # the end is set by the first try
        self._file: Sharing | None = None
        self._held = self._over = False

    def take(self) -> bool:
        """Whether this flight is to compute now. Never waits."""
        now = time.monotonic()
        if not self._end:
            self._end = now + self._deadline
        elif now >= self._end:
            self._end = now + self._deadline
            self._lane += 1
        with _guard:
            if self._over:
                return False
            if self._file is None:
                self._file = _file_at(f"{self._marks.path}.lock")
            if self._lane >= LANES:     # all hang who hold one
                self.mark = self._marks.begin(self._hash, self._dead)
                return True
            lanes = self._file.held.get(self._at, {})
            if any(lane >= self._lane for lane in lanes) or not self._file.lock(
                    self._at + self._lane, LANES - self._lane, fcntl.F_WRLCK):
                return False
            if self._lane + 1 < LANES:
                self._file.lock(self._at + self._lane + 1, LANES - self._lane - 1, fcntl.F_UNLCK)
            self._file.held.setdefault(self._at, {})[self._lane] = self._flight
            self._held = True
            self.mark = self._marks.begin(self._hash, self._dead)
            return True

    def good(self) -> bool:
        """Whether what was computed may be stored: asked by whoever holds the store's lock for writers."""
        return self.mark is not None and self.mark.good()

    def _dead(self, hash: int) -> bool:
        """Whether nobody holds a claim on the key with this hash. REQUIRES: the guard."""
        at, file = _place(hash), self._file
        if file is None or at in file.held or not file.lock(at, LANES, fcntl.F_WRLCK):
            return False
        file.lock(at, LANES, fcntl.F_UNLCK)
        return True

    def rival(self) -> Any:
        """The flight of this process that stands in the way, None where it is of another process."""
        with _guard:
            lanes = {} if self._file is None else self._file.held.get(self._at, {})
            return lanes[max(lanes)] if lanes and max(lanes) >= self._lane else None

    def release(self) -> None:
        """Let others have it. Also for one that was never got."""
        with _guard:
            self._over = True
            file, self._file = self._file, None
            mark, self.mark = self.mark, None
            if file is None or _files.get(file.identity) is not file:       # it is of the parent of a fork
                return
            if mark is not None:
                mark.end()
            if self._held:
                file.lock(self._at + self._lane, 1, fcntl.F_UNLCK)
                del file.held[self._at][self._lane]
                if not file.held[self._at]:
                    del file.held[self._at]
            file.users -= 1
            if not file.users:
                del _files[file.identity]
                os.close(file.descriptor)


def _place(hash: int) -> int:
    """Where the lanes of a key begin: 59 bits of its hash, and three for the lanes."""
    return (hash >> 5) * LANES


class Patience:
    """How long to wait before the next try."""

    def __init__(self) -> None:
        self._pause = SOON

    def pause(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 1.5, LATE)
        return pause


def claim_on(store: Any, flight: Any, deadline: Seconds, name: Any = None) -> Any:
    """The claim for a flight, None where no other process can have the store at the bottom.

    ``name`` is what the key is called in ``store``, if that is not the flight's own.
    """
    while not hasattr(store, "_claim"):
        if not hasattr(store, "slow"):
            return None
        store = store.slow
    flight.claim = store._claim(flight, flight.name if name is None else name, span(deadline, "deadline"))
    return flight.claim


def claim_by(marks: Any, hash: int, flight: Any, deadline: float) -> Claim | None:
    """The claim of a flight by the marks of its store, if it has any."""
    return None if marks is None or fcntl is None else Claim(marks, hash, flight, deadline)


def name_hash(name: Any) -> int:
    """The hash of what a key is called in the table of flights."""
    from door43fast.native.marks import hash_of     # only where there are claims: without a GIL it would bring one

    return hash_of(name if isinstance(name, bytes) else str(name).encode("utf-8", "surrogatepass"))


def _after_fork() -> None:
    """The locks are the parent's, but would live on with a descriptor here."""
    global _guard
    _guard = threading.Lock()
    for file in _files.values():
        os.close(file.descriptor)
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

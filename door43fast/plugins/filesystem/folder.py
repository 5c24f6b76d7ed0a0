"""The folder of a store: its lock, the count of its changes, and writes of which all or nothing is there.

``.d43/lock`` holds a number that each write makes odd before it begins and even when it has ended. Who reads looks at
it before and after: if it was even and is the same, what was read is one state. Several files are written beside their
places first; then a list of what goes where is put in its place (``.d43/commit``), and from there on it happens, if
need be by whoever takes the lock after a process has died.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError, FormatError
from door43fast.plugins import lock_alone, sync_path
from door43fast.plugins.filesystem.places import ENDING

try:
    import fcntl
except ImportError:     # Windows, where the plugin says that it cannot be used
    fcntl = None        # type: ignore[assignment]

OWN = ".d43"            # our folder in it; no key's file lies there, since no part begins with a dot
FORMAT = {"format": 1}
TRIES = 4               # to read while nobody writes, before others are made to wait


class Handle:
    """A descriptor that is closed when nobody uses it any more: a read under way in another thread holds it."""

    def __init__(self, path: str, flags: int) -> None:
        self.number = os.open(path, flags)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


class Folder:
    """A folder of records. ``options`` are those of the store."""

    def __init__(self, options: Any) -> None:
        self.path = os.path.abspath(options.path)
        self._options = options
        self._own = os.path.join(self.path, OWN)
        self._holder = 0            # the thread that holds the lock
        self._unsynced: set[str] = set()
        self._closed = False
        self._found()
        self._lock: Handle | None = self._handle()      # None in the child of a fork, until it is used there
        if os.path.exists(os.path.join(self._own, "commit")):
            with self.locked():         # and so ended what was begun
                pass

    def _handle(self) -> Handle:
        return Handle(os.path.join(self._own, "lock"), os.O_RDONLY if self._options.readonly else os.O_RDWR)

    def _found(self) -> None:
        about = os.path.join(self._own, "format")
        if not os.path.exists(about):
            if self._options.readonly or not self._options.create:
                raise ConfigError(f"there is no store at {self.path!r}: see the path, or open it with create=True and "
                                  "without readonly")
            if os.path.exists(self.path) and not os.path.isdir(self.path):
                raise ConfigError(f"{self.path!r} is a file, and a store is a folder: give the path of one")
            if os.path.isdir(self.path) and set(os.listdir(self.path)) - {OWN}:
                raise FormatError(f"{self.path!r} holds files of others: they were left as they are; name another "
                                  "folder")
            os.makedirs(self._own, exist_ok=True)
            with contextlib.suppress(FileExistsError):      # of another process that makes it now
                os.close(os.open(os.path.join(self._own, "lock"), os.O_CREAT | os.O_EXCL, 0o666))
            self._put(self._beside(json.dumps(FORMAT).encode()), about)
        with open(about, "rb") as file:
            held = json.loads(file.read())
        if held != FORMAT:
            raise FormatError(f"{self.path!r} has the format {held.get('format')}, and this version of door43fast "
                              f"reads {FORMAT['format']}: upgrade")

    # -- lock and count --------------------------------------------------------------------------------------

    def count(self) -> int:
        """The number of changes, odd while one is under way."""
        lock = self._held()
        return int.from_bytes(os.pread(lock.number, 8, 0), "little")

    def _held(self) -> Handle:
        if self._closed:
            raise ClosedError(f"the store at {self.path!r} is closed: open it again before use")
        lock = self._lock
        if lock is None:
            lock = self._lock = self._handle()
        return lock

    def _counted(self, number: int) -> None:
        os.pwrite(self._held().number, number.to_bytes(8, "little"), 0)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes. REQUIRES: the store's own lock is held."""
        if self._holder == threading.get_ident():
            yield
            return
        lock = self._held()
        lock_alone(lock.number, self.path, self._options.busy_timeout)
        self._holder = threading.get_ident()
        try:
            self._recover()
            yield
        finally:
            self._holder = 0
            fcntl.flock(lock.number, fcntl.LOCK_UN)

    def _recover(self) -> None:
        """End what a process that died had begun. REQUIRES: locked."""
        number = self.count()
        listed = os.path.exists(os.path.join(self._own, "commit"))  # after a power loss the number may be an old one
        if not number % 2 and not listed:
            return
        if self._options.readonly:
            raise BackendUnavailableError(f"{self.path!r} was left in the middle of a write: open it once for writing")
        if listed:
            self._carry_out()
        for name in os.listdir(self._own):
            if name.startswith("new-"):
                os.unlink(os.path.join(self._own, name))
        self._counted(number + 2 - number % 2)

    def one_state(self, work: Callable[[], Any], alone: Callable[[Callable[[], Any]], Any]) -> Any:
        """``work``, which reads, over one state; ``alone`` runs it with the lock taken."""
        if self._holder == threading.get_ident():
            return work()
        for _ in range(TRIES):
            before = self.count()
            if before % 2:
                break
            result = work()
            if self.count() == before:
                return result
        return alone(work)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, changes: list[tuple[str, bytes | None]]) -> None:
        """Put files in their places, or take them away for None; all or nothing. REQUIRES: locked."""
        staged = []
        number = self.count()
        self._counted(number + 1)
        try:
            for place, data in changes:
                staged.append((None if data is None else self._beside(data), place))
            if len(staged) > 1:
                self._put(self._beside(json.dumps(staged).encode()), os.path.join(self._own, "commit"))
        except BaseException:
            for beside, _ in staged:
                if beside is not None:
                    os.unlink(os.path.join(self._own, beside))
            self._counted(number + 2)
            raise
        self._carry_out(staged)     # if it fails, the number stays odd, and who comes next goes on from the list
        self._counted(number + 2)

    def beside(self, name: str) -> str:
        """The path of a file of ours that is no record."""
        return os.path.join(self._own, name)

    def _beside(self, data: bytes) -> str:
        """A new file of ours that holds ``data``, by its name."""
        name = f"new-{os.getpid()}-{os.urandom(8).hex()}"
        path = os.path.join(self._own, name)
        try:
            with open(path, "xb") as file:
                file.write(data)
                if self._options.durability == "commit":
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            if isinstance(error, OSError) and error.filename is None:      # a full disk names no file
                said = f"{error.strerror}, and nothing was written: see to the disk, and repeat"
                raise OSError(error.errno, said, self.path) from error
            raise
        return name

    def _put(self, beside: str, target: str) -> None:
        os.replace(os.path.join(self._own, beside), target)
        self._sync_names(os.path.dirname(target))

    def _sync_names(self, folder: str) -> None:
        if self._options.durability == "commit":
            sync_path(folder)

    def _carry_out(self, staged: Any = None) -> None:
        """Move what was staged to its places; again, where that was broken off."""
        listed = os.path.join(self._own, "commit")
        if staged is None:
            with open(listed, "rb") as file:
                staged = json.loads(file.read())
        changed, emptied = set(), set()
        for beside, place in staged:
            target = os.path.join(self.path, place)
            folder = os.path.dirname(target)
            changed.add(folder)
            if beside is None:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(target)
                emptied.update(self._up(folder))
            elif os.path.exists(os.path.join(self._own, beside)):       # or it is in its place already
                if not os.path.isdir(folder):
                    os.makedirs(folder)
                    changed.update(self._up(folder), [self.path])
                os.replace(os.path.join(self._own, beside), target)
                self._unsynced.add(target)
        for folder in changed:
            if os.path.isdir(folder):
                self._sync_names(folder)
        for folder in sorted(emptied, key=len, reverse=True):
            with contextlib.suppress(OSError):      # it is not empty, or not there
                os.rmdir(folder)
        if os.path.exists(listed):
            os.unlink(listed)
            self._sync_names(self._own)     # or it might come back, and be carried out over what was written since
        if self._options.durability == "commit":
            self._unsynced.clear()

    def _up(self, folder: str) -> Iterator[str]:
        """A folder and those around it, within the store's."""
        while folder != self.path:
            yield folder
            folder = os.path.dirname(folder)

    def sync(self) -> None:
        """Have all that this store wrote survive a power loss."""
        if len(self._unsynced) > 4096:
            os.sync()
        else:
            for path in self._unsynced:
                with contextlib.suppress(FileNotFoundError):
                    sync_path(path)
            for folder in {folder for path in self._unsynced for folder in self._up(os.path.dirname(path))}:
                if os.path.isdir(folder):
                    sync_path(folder)
            sync_path(self.path)
        sync_path(self._own)
        self._unsynced.clear()

    def files(self) -> Iterator[str]:
        """The paths of all files that end as records do."""
        for folder, folders, names in os.walk(self.path):
            if folder == self.path and OWN in folders:
                folders.remove(OWN)
            inner = "" if folder == self.path else os.path.relpath(folder, self.path).replace(os.sep, "/") + "/"
            yield from (inner + name for name in names if name.endswith(ENDING))

    def reopen(self) -> None:
        """In the child of a fork: the lock of a descriptor is that of the parent too, so the next use opens another."""
        self._lock = None
        self._holder = 0

    def close(self) -> None:
        self._closed = True
        self._lock = None

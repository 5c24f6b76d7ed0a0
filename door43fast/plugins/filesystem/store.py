"""The store over a folder: one file for each record."""

from __future__ import annotations

import errno
import os
import shutil
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.config import Duration, Location
from door43fast.errors import CorruptError
from door43fast.plugins import Backend, BackendOptions, sync_path, unpack
from door43fast.plugins.filesystem.folder import Folder
from door43fast.plugins.filesystem.places import LONG, key_of, place


class FilesystemOptions(BackendOptions, kw_only=True):
    """The options of ``FilesystemStore``."""

    path: Annotated[Location, Meta(description="The folder.")]
    durability: Annotated[Literal["commit", "none"], Meta(
        description="Whether every acknowledged write survives a power loss, or what the system had written by then.")
        ] = "commit"
    busy_timeout: Annotated[Duration, Meta(
        description="How long to wait for another process that writes, before `BackendUnavailableError`.")] = 5.0
    readonly: Annotated[bool, Meta(description="Refuse every write.")] = False
    create: Annotated[bool, Meta(description="Create the folder where there is none.")] = True


class FilesystemStore(Backend):
    """A store in a folder, one file for each record, for many threads and processes.

    The files are the truth. The order of names is kept in memory beside them, and read anew from the files when there
    is none or when somebody else has written.
    """

    Options = FilesystemOptions
    capabilities = Backend.capabilities._replace(shared=True, backup=True)

    @staticmethod
    def unavailable() -> tuple[str, str] | None:
        if os.name != "posix":
            return "it locks by flock, which this system does not have", "use sqlite or lmdb"
        return None

    def __init__(self, options: FilesystemOptions | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self._folder = Folder(self.options)
        self._flights_file = self._folder.beside("flights")
        self._order: list[str] | None = None
        self._known = -1         # the count of changes that is known
        self._news = 0          # grows when somebody else has written

    @property
    def path(self) -> str:
        """The folder."""
        return self._folder.path

    def file_of(self, key: str) -> str:
        """The path of the file in which ``key`` lies, or would lie."""
        return os.path.join(self.path, *place(self.name_of(self._key(key))).split("/"))

    def where(self, key: str) -> str:
        return f"the record of key {key!r} in {self.file_of(key)!r}"

    # -- what every backend brings ---------------------------------------------------------------------------

    def read(self, names: list[str]) -> list[bytes | None]:
        paths = [os.path.join(self.path, place(name)) for name in names]
        return self._folder.one_state(lambda: [_load(path) for path in paths], self._alone)

    def write(self, changes: dict[str, bytes | None]) -> None:
        self._folder.write([(place(name), data) for name, data in changes.items()])
        if self._order is not None:
            for name, data in changes.items():
                at = bisect_left(self._order, name)
                there = at < len(self._order) and self._order[at] == name
                if data is None and there:
                    del self._order[at]
                elif data is not None and not there:
                    insort(self._order, name)
        self._known = self._folder.count()

    def names(self, prefix: str) -> Iterable[str]:
        with self._lock:
            order = self._ordered()
            at = bisect_left(order, prefix)
            found = []
            while at < len(order) and order[at].startswith(prefix):
                found.append(order[at])
                at += 1
            return found

    def shut(self) -> None:
        self._folder.close()

    # -- others ----------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._folder.locked():
            self._notice()
            yield

    def _notice(self) -> None:
        """See whether somebody else has written. REQUIRES: the store's lock."""
        count = self._folder.count()
        if count != self._known:
            self._known, self._order = count, None
            self._news += 1

    def _alone(self, work: Callable[[], Any]) -> Any:
        with self._lock, self._folder.locked():
            return work()

    def _epoch(self) -> int:
        """A number that grows when somebody else has written: what a memory tier above asks."""
        with self._lock:
            self._open()
            self._notice()
            return self._news

    def _ordered(self) -> list[str]:
        self._notice()
        if self._order is None:
            with self._folder.locked():
                self._notice()
                self._order = sorted(filter(None, map(self._named, self._folder.files())))
        return self._order

    def _named(self, path: str) -> str | None:
        """The name whose file lies at ``path``; None for what is not ours."""
        if not path.startswith(f"{LONG}/"):
            return key_of(path)
        data = _load(os.path.join(self.path, path))
        try:
            name = self.name_of(unpack(data or b"", path)[0])
        except CorruptError:    # nobody knows whose it was; verify tells of it
            return None
        return name if place(name) == path else None

    def _sync(self) -> None:
        with self._lock:
            self._folder.sync()

    def _sound(self) -> Iterator[str]:
        yield from super()._sound()
        for path in list(self._folder.files()):
            if path.startswith(f"{LONG}/") and self._named(path) is None:
                yield f"{os.path.join(self.path, path)!r} is damaged, and nobody knows whose record it was: remove it"

    def backup(self, path: Any, *, progress: Any = None) -> None:
        """Copy the folder to ``path``, which must not be there; others wait with their writes.

        It gets its name when all of it is on the disk, so what is there under it is whole.
        """
        self._open()
        target = os.path.abspath(os.fsdecode(os.fspath(path)))
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "a backup does not overwrite: name a new folder", target)
        beside = f"{target}.part"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.mkdir(beside)        # one that was left by whoever died is not known to be ours
        try:
            with self._lock, self._folder.locked():
                shutil.copytree(self.path, beside, ignore=shutil.ignore_patterns("new-*"), dirs_exist_ok=True)
            for folder, _, names in os.walk(beside, topdown=False):
                for name in names:
                    sync_path(os.path.join(folder, name))
                sync_path(folder)
            os.rename(beside, target)
            sync_path(os.path.dirname(target))
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        if progress is not None:
            progress(1, 1, "folders")

    def _forked(self) -> None:
        self._folder.reopen()


def _load(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None

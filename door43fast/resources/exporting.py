"""Export: every file of a repository back, byte for byte, and nothing outside the folder that was named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import msgspec

from door43fast.contracts import Store
from door43fast.errors import CorruptError, SourceError
from door43fast.resources import keys
from door43fast.resources.importing import Progress, Repository, repositories

_ROW_DIGITS = 6
# Through no link, not waiting for the reader of a pipe, and no line end changed; each where the system knows of it.
_SAFELY = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


class Exported(msgspec.Struct, frozen=True):
    """What one export wrote: the repository's name, its folder, and how much."""

    name: str
    folder: str
    files: int
    bytes: int


def _joined(pieces: list[tuple[str, bytes]], order: list[int] | None, path: bytes, name: str) -> bytes:
    """The pieces of one file, which come in the order of their keys, in the order of the file."""
    if order is not None:
        if sorted(order) != list(range(len(pieces))):
            raise CorruptError(
                f"{name}: {os.fsdecode(path)!r} has {len(pieces)} records where its order names "
                f"{len(order)}; import it again"
            )
        return b"".join(pieces[at][1] for at in sorted(range(len(order)), key=order.__getitem__))
    if pieces[0][0].count("/") == 2:
        # Rows are filed by what they refer to; the number behind chapter and verse is their line in the file.
        pieces.sort(key=lambda piece: piece[0].split("/")[2][:_ROW_DIGITS])
    return b"".join(data for _, data in pieces)


def files(store: Store, name: str) -> Iterator[tuple[bytes, bytes, int]]:
    """Every file of a repository: path below its root, content, number of records; book after book.

    Holds one book at a time.
    """
    section = ""
    held: dict[bytes, list[tuple[str, bytes]]] = {}

    def flush() -> Iterator[tuple[bytes, bytes, int]]:
        for path, pieces in held.items():
            order = store.get(f"{keys.ORDERS}{name}/{section}/{keys.quote(path)}")
            yield path, _joined(pieces, None if order is None else msgspec.json.decode(order), path, name), len(pieces)
        held.clear()

    for key, data in store.scan(f"{name}/"):
        parsed = keys.parse(key)
        if parsed is None:
            raise CorruptError(f"{key!r} stands among the records of {name} and is none of them; delete it")
        if not parsed.section:
            yield parsed.path, data, 1
            continue
        if parsed.section != section:
            yield from flush()
            section = parsed.section
        held.setdefault(parsed.path, []).append((parsed.place, data))
    yield from flush()


class _Folder:
    """A folder that is written into and never out of: no path with dots, and through no symbolic link."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._made: set[bytes] = set()
        if os.path.exists(root) and not os.path.isdir(root):
            raise SourceError(f"{os.fsdecode(root)} is a file, and an export is written into a folder: name another")
        os.makedirs(root, exist_ok=True)

    def _make(self, folder: bytes) -> None:
        if not folder or folder in self._made:
            return
        self._make(folder.rpartition(b"/")[0])
        path = os.path.join(self._root, folder)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise SourceError(
                    f"{os.fsdecode(path)} is in the way of the export and is no folder; "
                    "remove it, or export to another folder"
                ) from None
        self._made.add(folder)

    def write(self, path: bytes, data: bytes) -> None:
        if path.startswith(b"/") or b"\0" in path or any(part in (b"", b".", b"..") for part in path.split(b"/")):
            raise SourceError(f"the path {os.fsdecode(path)!r} leaves the folder of the export; delete its record")
        self._make(path.rpartition(b"/")[0])
        whole = os.path.join(self._root, path)
        try:
            descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _SAFELY, 0o666)
        except OSError as error:
            raise SourceError(
                f"{os.fsdecode(whole)} cannot be written: {error.strerror}; remove what is in the way, or "
                "export to another folder"
            ) from error
        with open(descriptor, "wb") as file:
            file.write(data)


def export_resources(
    store: Store,
    folder: str | os.PathLike[str],
    *,
    names: list[str] | None = None,
    partial: bool = False,
    progress: Progress | None = None,
) -> list[Exported]:
    """Write the files of imported repositories to ``folder/owner/repository@version/``, byte for byte.

    Parameters
    ----------
    store : Store
        A store that `import_resources` has filled.
    folder : path
        Made where it is missing. Files in the way are overwritten, others stay.
    names : list of str, optional
        Beginnings of repository names, such as ``unfoldingWord/en_tn@84`` or ``unfoldingWord/``; all without it.
    partial : bool
        Write a repository although records of it are missing.
    progress : callable, optional
        Called with bytes done, bytes in all and the repository's name after each file.

    Raises
    ------
    KeyError
        If a name fits no repository.
    CorruptError
        If records of a repository are missing (deleted, expired or evicted) and ``partial`` is not set.
    SourceError
        If a path would leave the folder, or something is in the way.
    """
    chosen = _chosen(repositories(store), names)
    total = sum(repository.bytes for repository in chosen)
    done = 0
    exported = []
    writer = _Folder(os.fsencode(folder))
    for repository in chosen:
        present = store.count(f"{repository.name}/")
        if present < repository.records and not partial:
            raise CorruptError(
                f"{repository.name} has {present:,} of its {repository.records:,} records; import it again, "
                "or pass partial (--partial) to export what is left"
            )
        below = repository.name.encode() + b"/"
        count = size = 0
        for path, data, _ in files(store, repository.name):
            writer.write(below + path, data)
            count, size, done = count + 1, size + len(data), done + len(data)
            if progress is not None:
                progress(done, total, repository.name)
        target = os.path.join(os.fsdecode(folder), *repository.name.split("/"))
        exported.append(Exported(repository.name, target, count, size))
    return exported


def _chosen(held: list[Repository], names: list[str] | None) -> list[Repository]:
    if names is None:
        return held
    for name in names:
        if not any(repository.name.startswith(name) for repository in held):
            raise KeyError(name)
    return [repository for repository in held if any(repository.name.startswith(name) for name in names)]

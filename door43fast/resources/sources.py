"""Where resources come from: folders and archives, seen as paths and bytes, and nothing in them trusted."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from door43fast.errors import SourceError
from door43fast.resources import archives, manifest
from door43fast.resources.manifest import Identity

MOST_BYTES = 4 << 30


class Entry(NamedTuple):
    """One file of a container: its path below the container's root, its declared size, and how to get its bytes."""

    path: bytes
    size: int
    read: Callable[[], bytes]


class Container(NamedTuple):
    """One resource container of a source: who it is, where it came from, and its files in order of their paths."""

    identity: Identity
    origin: str
    entries: list[Entry]


def _refuse_unsafe(path: bytes, where: str) -> None:
    parts = path.split(b"/")
    if path.startswith(b"/") or b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise SourceError(
            f"{where} holds the path {os.fsdecode(path)!r}, which leaves its folder or names no file; "
            "nothing was imported"
        )


def _refuse_clashes(entries: list[Entry], where: str) -> None:
    """Two files of one path, or a file that is also a folder, cannot come back as they were."""
    paths = Counter(entry.path for entry in entries)
    for path, times in paths.items():
        if times > 1:
            raise SourceError(f"{where} holds {os.fsdecode(path)!r} twice; remove one of them and import it again")
    for path in paths:
        at = path.find(b"/")
        while at >= 0:
            if path[:at] in paths:
                raise SourceError(
                    f"{where} holds {os.fsdecode(path[:at])!r} both as a file and as a folder; "
                    "rename one of them and import it again"
                )
            at = path.find(b"/", at + 1)


def _walk(root: bytes, skip_links: bool) -> Iterable[Entry]:
    """Every file below ``root``, but for ``.git``, which is the history of the files and none of them."""
    pending = [b""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                path = folder + entry.name
                if entry.is_symlink():
                    if skip_links:
                        continue
                    raise SourceError(
                        f"{os.fsdecode(entry.path)} is a symbolic link, and links are not followed; "
                        "replace it by the file it means, or pass skip_links (--skip-links)"
                    )
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != b".git":
                        pending.append(path + b"/")
                elif entry.is_file(follow_symlinks=False):
                    yield Entry(path, entry.stat(follow_symlinks=False).st_size, _reader(entry.path))
                else:
                    raise SourceError(
                        f"{os.fsdecode(entry.path)} is neither a file nor a folder; remove it and import again"
                    )


def _reader(path: bytes) -> Callable[[], bytes]:
    def read() -> bytes:
        # A link put here since the folder was read is not followed either.
        safely = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
        descriptor = os.open(path, os.O_RDONLY | safely)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceError(f"{os.fsdecode(path)} is no longer a file; import again")
            return file.read()

    return read


def _below(entries: list[Entry], folder: bytes) -> list[Entry]:
    return [entry._replace(path=entry.path[len(folder) :]) for entry in entries if entry.path.startswith(folder)]


def _identify(entries: list[Entry], folder: str, version: str, origin: str) -> Identity:
    at_root = {entry.path: entry for entry in entries if entry.path in manifest.MARKERS}
    for marker, reader in zip(manifest.MARKERS, (manifest.from_manifest, manifest.from_metadata), strict=True):
        if marker in at_root:
            return reader(at_root[marker].read(), folder, version, f"{origin}: {marker.decode()}")
    return manifest.from_folder(folder, version)


def _roots(entries: list[Entry]) -> list[bytes]:
    """The uppermost folders with a manifest or metadata, or named ``{language}_{resource}@v{number}``."""
    found: set[bytes] = set()
    for entry in entries:
        folder, slash, file = entry.path.rpartition(b"/")
        if file in manifest.MARKERS:
            found.add(folder + slash)
        top, slash, _ = entry.path.partition(b"/")
        if slash and b"@" in top and b"_" in top and manifest.versioned(os.fsdecode(top))[1]:
            found.add(top + slash)
    return sorted(root for root in found if not any(root != other and root.startswith(other) for other in found))


def _containers(entries: list[Entry], folder: str, packed: bool, origin: str) -> list[Container]:
    """Divide the files of one source among the containers in it; what belongs to none is one named after the source."""
    version = manifest.versioned(folder)[1]
    found, rest = [], entries
    for root in _roots(entries):
        own = _below(entries, root)
        rest = [entry for entry in rest if not entry.path.startswith(root)]
        name = os.fsdecode(root[:-1].rpartition(b"/")[2]) or folder
        where = f"{origin}/{os.fsdecode(root)}".rstrip("/")
        found.append(Container(_identify(own, name, version if packed else "", where), where, own))
    if rest:
        tops = {entry.path.partition(b"/")[0] for entry in rest}
        if packed and not found and len(tops) == 1 and all(b"/" in entry.path for entry in rest):
            # The one folder around everything that archives have.
            top = tops.pop()
            rest, folder = _below(rest, top + b"/"), os.fsdecode(top)
        found.append(Container(manifest.from_folder(folder, version), origin, rest))
    return found


def open_source(
    source: str | os.PathLike[str], *, max_bytes: int = MOST_BYTES, skip_links: bool = False
) -> list[Container]:
    """The containers in a folder or an archive, checked as far as can be without reading their files.

    Parameters
    ----------
    source : path
        A folder, a ``.zip``, or a tar file, plain or compressed by gzip, bzip2 or xz.
    max_bytes : int
        The most bytes that the files may declare together; more is refused before it is unpacked.
    skip_links : bool
        Leave symbolic links and hard links out instead of refusing them.

    Raises
    ------
    SourceError
        If there is no such source, or it holds a path that leaves its folder, a path twice, a link, a device, an
        encrypted or damaged member, or more than ``max_bytes``.
    """
    path = os.fsdecode(os.path.abspath(source))
    folder = os.path.basename(path)
    try:
        if os.path.isdir(path):
            entries = list(_walk(os.fsencode(path), skip_links))
        elif os.path.isfile(path):
            folder = archives.stem(folder)
            entries = [Entry(*member) for member in archives.members(path, max_bytes, skip_links)]
        else:
            raise SourceError(f"{source} does not exist; give a folder, a .zip, a .tar.gz or a .tar.xz")
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {error.strerror or error}") from error
    declared = sum(entry.size for entry in entries)
    if declared > max_bytes:
        raise SourceError(
            f"{source} expands to {declared:,} bytes, more than the {max_bytes:,} that max_bytes allows; "
            "raise max_bytes (--max-bytes) if you trust it"
        )
    for entry in entries:
        _refuse_unsafe(entry.path, str(source))
    entries.sort(key=lambda entry: entry.path)
    _refuse_clashes(entries, str(source))
    return _containers(entries, folder, not os.path.isdir(path), str(source))

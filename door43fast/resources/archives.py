"""Members of zip and tar archives as paths, sizes and readers; nothing is ever unpacked to a path of theirs."""

from __future__ import annotations

import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from door43fast.errors import SourceError

Member = tuple[bytes, int, Callable[[], bytes]]

_SUFFIX = re.compile(r"(?:\.tar)?\.(?:zip|tar|gz|tgz|xz|txz|bz2|tbz2)\Z", re.IGNORECASE)
_UTF8 = 0x800
_ENCRYPTED = 0x1
_UNIX = 3


def stem(file_name: str) -> str:
    """An archive's file name without what says that it is an archive."""
    return _SUFFIX.sub("", file_name)


def members(path: str, max_bytes: int, skip_links: bool) -> Iterator[Member]:
    """The files in an archive: path, declared size, and a function that returns the bytes."""
    if zipfile.is_zipfile(path):
        return _zip_members(path, max_bytes, skip_links)
    try:
        archive = tarfile.open(path, "r:*")
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError):
        raise SourceError(
            f"{path} is neither a folder, a zip nor a tar archive; unpack it and import the folder"
        ) from None
    return _tar_members(archive, path, max_bytes, skip_links)


def _too_large(path: str, max_bytes: int) -> SourceError:
    return SourceError(
        f"{path} expands to more than the {max_bytes:,} bytes that max_bytes allows; raise max_bytes "
        "(--max-bytes) if you trust it"
    )


def _link(path: str, name: str) -> SourceError:
    return SourceError(
        f"{path} holds the link {name!r}, and links are not followed; pack the file it means instead, "
        "or pass skip_links (--skip-links)"
    )


def _zip_members(path: str, max_bytes: int, skip_links: bool) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        raise SourceError(f"{path} is a damaged zip archive: {error}; fetch it again") from None
    total = 0
    for info in archive.infolist():
        if info.is_dir():
            continue
        kind = info.external_attr >> 28 if info.create_system == _UNIX else 0
        if kind == 0o12:
            if skip_links:
                continue
            raise _link(path, info.orig_filename)
        if kind not in (0, 0o10):
            raise SourceError(f"{path} holds {info.orig_filename!r}, which is no file; pack it again without that")
        if info.flag_bits & _ENCRYPTED:
            raise SourceError(
                f"{path} holds the encrypted file {info.orig_filename!r}; unpack it and import the folder"
            )
        total += info.file_size
        if total > max_bytes:
            raise _too_large(path, max_bytes)
        yield _zip_path(info), info.file_size, _zip_reader(archive, info, path)


def _zip_path(info: zipfile.ZipInfo) -> bytes:
    """The path as the packer wrote it: UTF-8 where flagged, the raw bytes from Unix, else code page 437."""
    if info.flag_bits & _UTF8 or info.create_system != _UNIX:
        return info.orig_filename.encode("utf-8", "surrogateescape")
    return info.orig_filename.encode("cp437")


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            # zipfile stops at the declared size and compares the checksum: no member can be larger than it says.
            data = archive.read(info)
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            OSError,
            NotImplementedError,
            ValueError,
        ) as error:
            raise SourceError(f"{path}: {info.orig_filename!r} is damaged: {error}; fetch the archive again") from None
        if len(data) != info.file_size:
            raise SourceError(
                f"{path}: {info.orig_filename!r} has {len(data):,} bytes where {info.file_size:,} are "
                "declared; fetch the archive again"
            )
        return data

    return read


def _tar_members(archive: tarfile.TarFile, path: str, max_bytes: int, skip_links: bool) -> Iterator[Member]:
    """Reads as it goes: a compressed tar cannot be read out of order at any reasonable price."""
    total = 0
    with archive:
        while True:
            try:
                info = archive.next()
            except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError) as error:
                raise SourceError(f"{path} is a damaged tar archive: {error}; fetch it again") from None
            if info is None:
                break
            if info.isdir():
                continue
            if info.issym() or info.islnk():
                if skip_links:
                    continue
                raise _link(path, info.name)
            if not info.isreg() or info.issparse():
                raise SourceError(f"{path} holds {info.name!r}, which is no plain file; pack it again without that")
            total += info.size
            if total > max_bytes:
                raise _too_large(path, max_bytes)
            name = info.name.encode(archive.encoding or "utf-8", archive.errors or "surrogateescape")
            data = _tar_read(archive, info, path)
            # Many packers write "./" before every path; it changes nothing about where the file lies.
            yield name.removeprefix(b"./"), info.size, _holder(data)


def _holder(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _tar_read(archive: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> bytes:
    try:
        file = archive.extractfile(info)
        data = file.read() if file is not None else b""
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise SourceError(f"{path}: {os.fspath(info.name)!r} is damaged: {error}; fetch the archive again") from None
    if len(data) != info.size:
        raise SourceError(
            f"{path}: {info.name!r} ends after {len(data):,} of {info.size:,} bytes; fetch the archive again"
        )
    return data

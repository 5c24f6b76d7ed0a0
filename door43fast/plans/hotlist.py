"""The file in which the keys of a warm start are kept; docs/format.md describes it."""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Any

import msgspec

from door43fast.plugins.disk import sync_path

HEAD = struct.Struct("<8sIIQ16s")   # magic, version, number of keys, bytes of the keys, digest of these
MAGIC = b"D43WARM\n"
VERSION = 1
MOST = 16 << 20     # bytes of keys; a larger file is not read


def write(path: str, keys: list[Any]) -> int:
    """Keep ``keys`` in place of those of before, all or nothing. Gives how many were kept.

    Raises
    ------
    OSError
        If the file cannot be written; the one of before is there then.
    """
    kept, size = [], 0
    for key in keys:
        if not _fits(key):
            continue
        size += len(key) * 4 + 8 if isinstance(key, (str, bytes)) else 64
        if size > MOST:
            break
        kept.append(key)
    body = msgspec.msgpack.encode(kept)
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "wb") as file:
            file.write(HEAD.pack(MAGIC, VERSION, len(kept), len(body), _digest(len(kept), body)) + body)
        sync_path(beside)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
    sync_path(os.path.dirname(path) or ".")
    return len(kept)


def read(path: str, most: int) -> tuple[list[Any], str | None]:
    """Up to ``most`` keys, the hottest first; none, and why, where the file is not as it was written."""
    try:
        with open(path, "rb") as file:
            data = file.read(HEAD.size + MOST + 1)
    except FileNotFoundError:
        return [], None
    except OSError as error:
        return [], f"{path!r} was not read: {error}"
    body = data[HEAD.size:]
    if len(data) < HEAD.size or data[:8] != MAGIC:
        return [], f"{path!r} is no file of a warm start, and was not used"
    _, version, count, size, digest = HEAD.unpack_from(data)
    if version != VERSION:
        return [], f"{path!r} has the format {version}, and this version of door43fast reads {VERSION}"
    if size != len(body) or digest != _digest(count, body):
        return [], f"{path!r} is damaged, and was not used"
    try:
        held = msgspec.msgpack.decode(body, type=list)
    except (msgspec.DecodeError, RecursionError) as error:
        return [], f"{path!r} holds something else than keys, and was not used: {error}"
    return [_key(key) for key in held[:most]], None


def _digest(count: int, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16, salt=count.to_bytes(16, "little")).digest()


def _fits(key: Any) -> bool:
    """Whether MessagePack gives the key back as it was."""
    if isinstance(key, tuple):
        return all(map(_fits, key))
    return type(key) in (str, bytes, float) or type(key) is int and -1 << 63 <= key < 1 << 63


def _key(held: Any) -> Any:
    return tuple(map(_key, held)) if isinstance(held, list) else held

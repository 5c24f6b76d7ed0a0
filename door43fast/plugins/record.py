"""What a backend keeps under a key, and its frame of bytes.

The frame: the payload, the key, the tags (JSON), and a tail: magic and version, the codec's mark, deadline and stale
window (Unix seconds and seconds, -1 for none), the version of the record, the lengths of key and tags, a checksum over
all of this. The payload comes first, so that a text in a file can be read by eye and a picture opens. The key is in it
so that a record under another's name is noticed.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, NamedTuple

from door43fast.errors import CorruptError, FormatError

HEAD = struct.Struct("<4sBBddQII")
SUM = 8
TAIL = HEAD.size + SUM
MAGIC = b"D43R"
FORMAT = 1


class Record(NamedTuple):
    """A value on its way in or out. ``version`` is another for each write; ``revoked`` says, of a record that was read,
    that a tag of it was invalidated since."""

    mark: int
    payload: Any
    deadline: float | None = None
    stale: float = 0.0
    tags: tuple[tuple[str, int], ...] = ()
    version: int = 0
    revoked: bool = False


def pack(key: str, record: Record) -> bytes:
    """The frame of ``record`` under ``key``; its payload must be bytes."""
    name = key.encode()
    tags = json.dumps(record.tags).encode() if record.tags else b""
    deadline = -1.0 if record.deadline is None else record.deadline
    head = HEAD.pack(MAGIC, FORMAT, record.mark, deadline, record.stale, record.version, len(name), len(tags))
    return b"".join((record.payload, name, tags, head, _sum(head, name, tags, record.payload)))


def unpack(data: bytes, where: str, key: str | None = None) -> tuple[str, Record]:
    """Key and record of a frame.

    Parameters
    ----------
    data : bytes
        The frame.
    where : str
        What it was read from, for errors.
    key : str, optional
        The key under which it was looked for.

    Raises
    ------
    CorruptError
        If its checksum is wrong, or it is another key's.
    FormatError
        If it is of a version that this one does not know.
    """
    tail = len(data) - TAIL
    if tail < 0 or data[tail:tail + 4] != MAGIC:
        raise CorruptError(f"{where} is no record of door43fast: it was damaged or is another program's; restore or "
                           "remove it")
    _, version, mark, deadline, stale, number, named, tagged = HEAD.unpack_from(data, tail)
    if version != FORMAT:
        raise FormatError(f"{where} has the format {version}, and this version of door43fast reads {FORMAT}: upgrade")
    ends = tail - named - tagged
    payload, name, tags = data[:max(ends, 0)], data[max(ends, 0):tail - tagged], data[tail - tagged:tail]
    if ends < 0 or _sum(data[tail:-SUM], name, tags, payload) != data[-SUM:]:
        raise CorruptError(f"{where} does not match its checksum: it was damaged; restore it, or set the key anew")
    held = name.decode()
    if key is not None and held != key:
        raise CorruptError(f"{where} holds the key {held!r} and not {key!r}: it was moved or copied; restore it")
    pairs = tuple((tag, generation) for tag, generation in json.loads(tags)) if tags else ()
    return held, Record(mark, payload, None if deadline < 0 else deadline, stale, pairs, number)


def outline(tail: bytes) -> tuple[Record, bool] | None:
    """What the last ``TAIL`` bytes of a frame say: a record without payload and tags, and whether it has tags.

    None if they are not those of a frame of this format. The checksum, which is over all, is not looked at.
    """
    if len(tail) != TAIL or tail[:5] != MAGIC + bytes([FORMAT]):
        return None
    _, _, mark, deadline, stale, number, _, tagged = HEAD.unpack_from(tail)
    return Record(mark, None, None if deadline < 0 else deadline, stale, (), number), tagged > 0


def _sum(*parts: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=SUM)
    for part in parts:
        digest.update(part)
    return digest.digest()

"""The calls by which many records are read or written, none of them larger than is sent at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from door43fast.plugins.redis import scripts
from door43fast.plugins.redis.link import Call

Write = tuple[bytes, bytes, int]    # name; frame, nothing to take it out; milliseconds that it lasts, 0 for ever


def single(name: bytes, frame: bytes, lasts: int) -> Call:
    """The call for one record."""
    if not frame:
        return Call(name, ("UNLINK", name))
    return Call(name, ("SET", name, frame, "PX", lasts) if lasts else ("SET", name, frame))


def reads(names: Sequence[bytes], most: int) -> list[Call]:
    """The calls that read ``names``, up to ``most`` each."""
    parts = [names[i:i + most] for i in range(0, len(names), most)]
    return [Call(part[0], ("MGET", *part), len(part)) for part in parts]


def calls(writes: Sequence[Write], most: int, size: int) -> list[Call]:
    """The calls for many records: those that last for ever, those that expire, those that go."""
    made = []
    for part in _parts([one for one in writes if one[1] and not one[2]], most, size):
        words: list[Any] = ["MSET"]
        for name, frame, _ in part:
            words += (name, frame)
        made.append(Call(part[0][0], tuple(words), len(part)))
    for part in _parts([one for one in writes if one[1] and one[2]], most, size):
        made.append(Call(part[0][0], scripts.put(part), len(part)))
    for part in _parts([one for one in writes if not one[1]], most, size):
        made.append(Call(part[0][0], ("UNLINK", *(name for name, _, _ in part)), len(part)))
    return made


def _parts(writes: Sequence[Write], most: int, size: int) -> Iterator[list[Write]]:
    part: list[Write] = []
    held = 0
    for one in writes:
        more = len(one[0]) + len(one[1])
        if part and (len(part) >= most or held + more > size):
            yield part
            part, held = [], 0
        part.append(one)
        held += more
    if part:
        yield part

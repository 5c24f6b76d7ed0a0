"""Access traces: the keys that were asked for, in order, as whole numbers.

What a file holds is told by how it begins, compressed by gzip or xz or not at all: our own recording
(``door43fast.recordings``), whole numbers as text (one a line; lines of ``*`` separate parts), any other text (a line
is a key), the edit traces of Door43 (a table with a column ``path``), or big-endian binary numbers as in Caffeine's
simulator, 32 or 64 bits wide.
"""

from __future__ import annotations

import gzip
import lzma
import os
import random
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from door43fast.errors import ConfigError, FormatError
from door43fast.recordings import MAGIC, decoded

FORMATS = ("auto", "recorded", "text", "binary32", "binary64")


def contents(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file, decompressed."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:6] == b"\xfd7zXZ\x00":
            return lzma.decompress(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise FormatError(f"{os.fsdecode(path)} is compressed, and damaged: {error}") from None
    return data


class Trace(NamedTuple):
    """Reads, in their order."""

    keys: Any           # uint64 array: a number for each key; of a recording, Python's hash of it
    form: str
    sample: float = 1.0     # the share of keys that was followed
    asked: int = 0          # reads that there were, those of other keys included
    whole: bool = True      # a recording that was ended, or a trace that knows no end


def load(path: str | os.PathLike[str], form: str = "auto") -> Trace:
    """The keys of a trace, each as a number that is its own.

    Parameters
    ----------
    path : path
        The file.
    form : {"auto", "recorded", "text", "binary32", "binary64"}
        Its format. Binary numbers have no mark of their own: ``auto`` takes what is no text for them, 64 bits wide
        where their halves go together.

    Raises
    ------
    ConfigError
        The format is unknown, or the file is not of it.
    FormatError
        The file is a recording whose header is damaged or newer, or its compression is damaged.
    """
    import numpy

    if form not in FORMATS:
        raise ConfigError(f"format={form!r} is unknown: known are {', '.join(FORMATS)}")
    name = os.fsdecode(path)
    data = contents(path)
    if form == "auto":
        form = told_by(data)
    if form == "recorded":
        got = decoded(data, name)
        return Trace(got.hashes, form, got.sample, got.asked, got.whole)
    if form == "text":
        numbers = numbered(lines(data.decode("utf-8", "replace")))
        keys = numpy.fromiter(numbers, numpy.uint64)
    else:
        width = 4 if form == "binary32" else 8
        if len(data) % width:
            raise ConfigError(f"{name} holds {len(data)} bytes, which is no multiple of {width}: name its format")
        keys = numpy.frombuffer(data, f">u{width}").astype(numpy.uint64)
    return Trace(keys, form, 1.0, len(keys))


def read(path: str | os.PathLike[str], form: str = "auto") -> list[int]:
    """The keys of :func:`load`, as a list."""
    keys: list[int] = load(path, form).keys.tolist()
    return keys


def told_by(data: bytes) -> str:
    """The format that the bytes of a trace speak for."""
    if data[:8] == MAGIC:
        return "recorded"
    sample = data[:65536]
    if not any(byte < 9 or 13 < byte < 32 for byte in sample):
        return "text"
    if len(data) % 8:
        return "binary32"
    words = struct.unpack(f">{len(sample) // 8 * 2}I", sample[:len(sample) // 8 * 8])
    high, pairs = set(words[::2]), set(zip(words[::2], words[1::2], strict=True))
    # Halves of one number go together: the high ones are few, or each of them always has the same low one.
    return "binary64" if len(high) * 4 < len(words) // 2 or len(pairs) < len(high) * 1.02 else "binary32"


def lines(text: str) -> Iterator[str]:
    """The key in each line; of a table with a heading, its column ``path``."""
    rows = text.splitlines()
    heading = rows[0].split("\t") if rows else []
    if "path" in heading:
        column = heading.index("path")
        return (row.split("\t")[column] for row in rows[1:])
    return (row.strip() for row in rows if row.strip() not in ("", "*"))


def numbered(keys: Iterable[str]) -> Iterator[int]:
    """A number for each key: its own where it is one and all are, else that of its first appearance."""
    keys = list(keys)
    if all(key.isdecimal() and len(key) < 19 for key in keys):
        return map(int, keys)
    numbers: dict[str, int] = {}
    return (numbers.setdefault(key, len(numbers)) for key in keys)


def zipf(exponent: float, keys: int, requests: int, seed: int) -> list[int]:
    """Requests of ``keys`` keys, the n-th most popular of which is asked for in proportion to ``n ** -exponent``."""
    dice = random.Random(seed)
    sums = list(accumulate(n ** -exponent for n in range(1, keys + 1)))
    order = list(range(keys))
    dice.shuffle(order)
    return [order[bisect_left(sums, dice.random() * sums[-1])] for _ in range(requests)]


def scanned(stream: list[int], every: int, length: int) -> list[int]:
    """``stream``, with ``length`` keys that never come again after each ``every`` requests."""
    fresh = max(stream) + 1
    out: list[int] = []
    for at in range(0, len(stream), every):
        out += stream[at:at + every]
        out += range(fresh, fresh + length)
        fresh += length
    return out


def joined(*parts: list[int]) -> list[int]:
    """One trace after another, without a key in common."""
    out: list[int] = []
    for part in parts:
        base = max(out, default=-1) + 1
        out += [base + key for key in part]
    return out

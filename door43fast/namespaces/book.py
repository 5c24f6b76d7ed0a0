"""The book of a namespace: what it holds and may hold, kept in the store underneath with every write."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from door43fast.errors import CorruptError


class Book(msgspec.Struct, array_like=True):
    """What stands in the store. Fields are only ever added, at the end."""

    format: int
    entries: int
    bytes: int
    changes: int                # grows with each write, also over a drop and a new beginning
    due: float | None           # no record expires before; None if none does
    seq: int                    # of the record that came last, where their order is kept
    policy: str
    max_bytes: int | None
    max_entries: int | None
    rate: float | None
    burst: int | None
    ending: int = 0             # not 0 while it is being dropped: which drop does it
    keys: str = "str"


class Row(msgspec.Struct, array_like=True):
    """A record as it stands in the store."""

    mark: int
    payload: bytes
    deadline: float | None
    stale: float
    tags: tuple[tuple[str, int], ...]
    version: int
    seq: int


class About(NamedTuple):
    """A namespace as it is listed: what it holds, its limits, None for none, and the type of its keys."""

    name: str
    entries: int
    bytes: int
    max_bytes: int | None
    max_entries: int | None
    policy: str
    rate: float | None
    burst: int | None
    keys: str


FORMAT = 1
to_bytes = msgspec.msgpack.Encoder().encode
read_generation = msgspec.msgpack.Decoder(int).decode
_book = msgspec.msgpack.Decoder(Book)
_row = msgspec.msgpack.Decoder(Row)


def begun(policy: str, keys: str) -> Book:
    """The book of a namespace that holds nothing."""
    return Book(FORMAT, 0, 0, time.time_ns() // 1000, None, 0, policy, None, None, None, None, keys=keys)


def read_book(data: Any, name: str) -> Book:
    """The book in ``data``."""
    try:
        book = _book.decode(data)
        if book.format == FORMAT:
            return book
        what = f"has the format {book.format}, and this version of door43fast reads {FORMAT}: upgrade"
    except (msgspec.DecodeError, TypeError) as error:
        what = f"is damaged ({error}): restore the store"
    raise CorruptError(f"the book of the namespace {name!r} {what}")


def read_row(data: Any, name: str, key: str) -> Row:
    """The record in ``data``."""
    try:
        return _row.decode(data)
    except (msgspec.DecodeError, TypeError) as error:
        damaged = CorruptError(f"the record of key {key!r} in the namespace {name!r} is damaged ({error}): set it anew")
        damaged.key = key
        raise damaged from error


def about(name: str, book: Book) -> About:
    return About(name, book.entries, book.bytes, book.max_bytes, book.max_entries, book.policy, book.rate, book.burst,
                 book.keys)


def weight(key: str, data: Any) -> int:
    """What a record counts: the bytes of its key and of itself as it is kept."""
    return len(key.encode()) + len(data)

"""Entries of the reference engine, how they are found by a caller's key, and what they weigh.

A caller's key may have an ``__eq__`` or ``__hash__`` in Python, which must not run while the structures change.
So the index is a dict over the entries themselves: two entries are equal only if they are the same object, and
putting in, taking out or moving an entry compares nothing of the caller's. Only a :class:`Probe`, which is used
for looking up and outside of every section, compares keys.
"""

from __future__ import annotations

import sys
from typing import Any

BOOKKEEPING = 56  # bytes of an entry beyond its key and value, as the native engine counts them

_WEIGHED = (bytes, str, int, float, bool, type(None))


class Entry:
    """One key and what is stored under it. ``gone`` is set when it leaves the index."""

    __slots__ = ("key", "hash", "value", "version", "deadline", "idle", "stale", "tags", "pinned", "weight", "gone")

    value: Any
    version: int
    deadline: float | None
    idle: bool
    stale: float
    tags: tuple[tuple[str, int], ...]
    pinned: bool
    weight: int

    def __init__(self, key: Any, hashed: int) -> None:
        self.key = key
        self.hash = hashed
        self.gone = False

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if type(other) is Probe:
            return self.key is other.key or bool(self.key == other.key)
        return self is other


class Probe:
    """A caller's key on its way to be looked up; made and used outside of every section."""

    __slots__ = ("key", "hash")

    def __init__(self, key: Any) -> None:
        if type(key) is str:
            if not key:
                raise ValueError("a key must not be empty: give it at least one character")
            if not key.isascii():
                try:
                    key.encode()
                except UnicodeEncodeError:
                    raise ValueError(f"the key {key!r} holds a lone surrogate, which UTF-8 cannot store: "
                                     "decode its source with the right encoding") from None
        self.key = key
        try:
            self.hash = hash(key)
        except TypeError as error:
            if type(key).__hash__ is None or isinstance(key, tuple):
                raise TypeError(f"a key must be hashable, and {type(key).__name__} is not ({error}): "
                                "use a str, a number or a tuple of them") from error
            raise

    def __hash__(self) -> int:
        return self.hash


def weigh(key: Any, value: Any) -> int | None:
    """The bytes that an entry holds, or None where the value is of a kind whose size Python does not tell."""
    held = _size(value)
    if held is None:
        return None
    return held + (sys.getsizeof(key) if type(key) in (str, bytes, int) else 0) + BOOKKEEPING


def _size(value: Any, depth: int = 32) -> int | None:
    kind = type(value)
    if kind in _WEIGHED:
        return sys.getsizeof(value)
    if kind in (tuple, list, set, frozenset, dict):
        inner = [*value, *value.values()] if kind is dict else value
        sizes = [_size(item, depth - 1) if depth else None for item in inner]
        return None if None in sizes else sys.getsizeof(value) + sum(size for size in sizes if size)
    numpy = sys.modules.get("numpy")  # a value that is an array has imported it
    if numpy is not None and kind is numpy.ndarray and value.dtype != object:
        return sys.getsizeof(value) + (0 if value.base is None else value.nbytes)
    return None

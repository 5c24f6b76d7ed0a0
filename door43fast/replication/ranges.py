"""Hashes of the ranges of a store's keys, and of ranges of ranges: two stores are compared from the top down.

Both are read once, in the order of keys. The ranges are those of one of them, of so many records each; the other is
hashed by the same ranges. Then few hashes tell where they differ, and only those ranges are read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from door43fast import codecs
from door43fast.contracts import MISSING
from door43fast.replication.head import KEYS
from door43fast.transactions import place

LEAF = 128          # records of a range
FAN = 16            # ranges of a range of ranges
CHUNK = 1000        # records read at once where keys have no order
SIZE = 16           # bytes of a hash

_auto, _pickle = codecs.resolve("auto"), codecs.resolve("pickle")


def fingerprint(key: Any, value: Any) -> bytes:
    """What a record is hashed as: the same in every store that gives back the same."""
    if type(value) is bytes:
        mark, data = 0, value
    else:
        try:
            mark, data = _auto.encode(value)
        except TypeError:       # of a store in memory, or one that pickles
            mark, data = _pickle.encode(value)
    named = repr(key).encode("utf-8", "surrogatepass")
    return b"%d %d %d " % (len(named), mark, len(data)) + named + data


def records(store: Any, start: Any = None, stop: Any = None) -> Iterator[tuple[Any, Any]]:
    """The records of a range in the order of keys, without heads; also of a store whose keys have no order."""
    if store.capabilities.ordered:
        pairs = store.scan(start=start, stop=stop)
    else:
        low, high = (None if bound is None else place(bound) for bound in (start, stop))
        pairs = _sorted(store, lambda key: (low is None or place(key) >= low) and (high is None or place(key) < high))
    return ((key, value) for key, value in pairs if key not in KEYS)


def _sorted(store: Any, within: Callable[[Any], bool]) -> Iterator[tuple[Any, Any]]:
    keys = iter(sorted(filter(within, store), key=place))
    while chunk := list(islice(keys, CHUNK)):
        for key, value in zip(chunk, store.get_many(chunk, MISSING), strict=True):
            if value is not MISSING:
                yield key, value


class Ranges:
    """The hashes of one store. ``starts`` are the first keys of the ranges after the first: of another, if given."""

    def __init__(self, store: Any, starts: list[Any] | None = None, told: Callable[[int], None] | None = None) -> None:
        self.starts: list[Any] = [] if starts is None else starts
        self.count = 0
        leaves: list[bytes] = []
        leaf = _hash()
        held = 0        # records of the leaf
        for key, value in records(store):
            if starts is None:
                if held == LEAF:
                    self.starts.append(key)
                    leaves.append(leaf.digest())
                    leaf, held = _hash(), 0
            else:
                while len(leaves) < len(starts) and place(key) >= place(starts[len(leaves)]):
                    leaves.append(leaf.digest())
                    leaf = _hash()
            leaf.update(fingerprint(key, value))
            held += 1
            self.count += 1
            if told is not None and self.count % CHUNK == 0:
                told(self.count)
        leaves.append(leaf.digest())
        while len(leaves) <= len(self.starts):
            leaves.append(_hash().digest())
        self.levels = [leaves]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append([_hash(b"".join(below[i:i + FAN])).digest() for i in range(0, len(below), FAN)])

    def range(self, number: int) -> tuple[Any, Any]:
        """Where a range begins and ends; None for the beginning and the end of all."""
        return (self.starts[number - 1] if number else None,
                self.starts[number] if number < len(self.starts) else None)


def _hash(data: bytes = b"") -> Any:
    return hashlib.blake2b(data, digest_size=SIZE)


def differing(one: Ranges, other: Ranges) -> tuple[list[int], int]:
    """The numbers of the ranges that differ, and how many hashes had to be compared. REQUIRES: of the same ranges."""
    compared = 1
    level = len(one.levels) - 1
    found = [0] if one.levels[-1] != other.levels[-1] else []
    while level and found:
        level -= 1
        below = [i for number in found for i in range(number * FAN, min((number + 1) * FAN, len(one.levels[level])))]
        compared += len(below)
        found = [i for i in below if one.levels[level][i] != other.levels[level][i]]
    return found, compared

"""Reading a member whose head is not to be seen among its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from door43fast.events import begins
from door43fast.layers.forwarding import Call
from door43fast.transactions import place

LISTING = ("__len__", "__iter__", "scan", "scan_packed", "keys", "count", "changes", "_snapshot")


def read(store: Any, call: Call, head: Any) -> Any:
    """Carry out a read on a store that may hold a record under the key ``head``."""
    if call.name not in LISTING or head is None:
        return call.on(store)
    if call.name == "__len__":
        return len(store) - (head in store)
    if call.name == "count":
        return call.on(store) - (begins(head, call.args[0]) and head in store)
    if call.name == "scan":
        return _scan(store, call, head)
    if call.name == "scan_packed":
        return _packed(call.on(store), head)
    if call.name == "changes":
        return (change for change in call.on(store) if change.key != head)
    if call.name == "_snapshot":
        return View(call.on(store), head)
    return (key for key in call.on(store) if key != head)


class View:
    """What a transaction reads from. ``unhidden`` puts back, for its end, what was not shown of the ranges it read."""

    def __init__(self, snapshot: Any, head: Any) -> None:
        self.read, self.close = snapshot.read, snapshot.close
        self._snapshot, self._head = snapshot, head

    def scan(self, prefix: Any, start: Any, stop: Any, reverse: bool) -> Iterator[tuple[Any, Any, Any]]:
        return (row for row in self._snapshot.scan(prefix, start, stop, reverse) if row[0] != self._head)


def unhidden(ranges: Iterable[Any], head: Any, token: Any) -> list[Any]:
    """The ranges that a transaction read, with the head in those that hold it: the store compares all there is."""
    return [(prefix, start, stop, [(head, token), *pairs])
            if begins(head, prefix) and (start is None or place(start) <= place(head)) and (
                stop is None or place(stop) > place(head)) else (prefix, start, stop, pairs)
            for prefix, start, stop, pairs in ranges]


def _scan(store: Any, call: Call, head: Any) -> Iterator[tuple[Any, Any]]:
    limit = call.options["limit"]
    counts = type(limit) is int and limit > 0       # anything else the store refuses itself, or it gives nothing
    options = {**call.options, "limit": limit + 1} if counts else call.options
    pairs = store.scan(*call.args, **options)
    return _without(pairs, head, limit)


def _without(pairs: Iterator[tuple[Any, Any]], head: Any, limit: int | None) -> Iterator[tuple[Any, Any]]:
    left = limit
    for key, value in pairs:
        if left == 0:
            return
        if key != head:
            yield key, value
            left = None if left is None else left - 1


def _packed(chunks: Iterator[tuple[Any, Any]], head: Any) -> Iterator[tuple[Any, Any]]:
    """The head comes first in the order of keys, so it can only be the first of the first chunk."""
    seen = head.encode() if isinstance(head, str) else head
    for keys, values in chunks:
        if len(keys) and keys[0] == seen:
            keys, values = keys[1:], values[1:]
        if len(keys):
            yield keys, values

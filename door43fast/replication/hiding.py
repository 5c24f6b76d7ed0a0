"""Reading a member whose head is not to be seen among its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from door43fast.events import begins
from door43fast.layers.forwarding import Call

LISTING = ("__len__", "__iter__", "scan", "scan_packed", "keys", "count")


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
    return (key for key in call.on(store) if key != head)


def _scan(store: Any, call: Call, head: Any) -> Iterator[tuple[Any, Any]]:
    limit = call.options["limit"]
    options = call.options if limit is None or not isinstance(limit, int) else {**call.options, "limit": limit + 1}
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

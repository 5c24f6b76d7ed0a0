"""Tokens of what was read, marked with the primary that gave them: they mean nothing to one that was promoted since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from door43fast.errors import ConflictError
from door43fast.layers.forwarding import Call


def marked(primary: Any, call: Call, found: Any) -> Any:
    """What a read of the primary gives, as it goes up."""
    if call.name == "_read":
        token, value = found
        return (primary, token), value
    return Marked(primary, found) if call.name == "_snapshot" else found


class Marked:
    """What a transaction reads from."""

    def __init__(self, primary: Any, snapshot: Any) -> None:
        self._primary, self._snapshot = primary, snapshot
        self.close = snapshot.close

    def read(self, key: Any) -> tuple[Any, Any]:
        token, value = self._snapshot.read(key)
        return (self._primary, token), value

    def scan(self, *args: Any) -> Iterator[tuple[Any, Any, Any]]:
        return ((key, (self._primary, token), value) for key, token, value in self._snapshot.scan(*args))


def committed(primary: Any, call: Call) -> Call:
    """A commit with the primary's own tokens. ConflictError where another gave one of them."""
    reads, writes = call.args
    ranges = call.options["ranges"]
    tokens = [*reads.values(), *(token for *_, records in ranges for _, token in records)]
    if any(owner is not primary for owner, _ in tokens):
        raise ConflictError("another primary was promoted since the transaction read, and nothing was written: run it "
                            "again")
    return call._replace(args=({key: token for key, (_, token) in reads.items()}, writes), options={"ranges": [
        (*limits, [(key, token) for key, (_, token) in records]) for *limits, records in ranges]})


def published(primary: Any, call: Call, carry_out: Callable[[], Any]) -> Any:
    """Store what was computed, if it was looked for in this primary. Whether it was stored."""
    flight = call.args[0]
    owner, token = mark = flight.token
    if owner is not primary:
        return False
    flight.token = token
    try:
        return carry_out()
    finally:
        flight.token = mark

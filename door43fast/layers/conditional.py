"""Writes that depend on what is there: how one layer decides them, and what the others get by its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from door43fast.compute import Computation
from door43fast.contracts import MISSING
from door43fast.layers.claiming import Lent
from door43fast.layers.forwarding import Call


ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()     # what pop gives where there was nothing


class Way(NamedTuple):
    """What a write that depends on the old value is for the deciding layer, and for the stores of the others by its
    outcome: a call, or None where nothing has changed."""

    decide: Callable[[Any], Any]
    follow: Callable[[Any], Any]
    same: bool = False      # the others must answer the same


def add(call: Call) -> Way:
    key, value = call.args
    return Way(lambda layer: call.on(layer.store),
               lambda done: (lambda store: store.set(key, value, **call.options)) if done else None)


def replace(call: Call) -> Way:
    key, _, value = call.args
    return Way(lambda layer: call.on(layer.store), lambda done: (lambda store: store.set(key, value)) if done else None)


def incr(call: Call) -> Way:
    return Way(lambda layer: call.on(layer.store), lambda total: call.on, same=True)


def touch(call: Call) -> Way:
    return Way(lambda layer: call.on(layer.store), lambda there: call.on if there else None, same=True)


def pop(call: Call) -> Way:
    key = call.args[0]

    def follow(value: Any) -> Any:
        return None if value is ABSENT else lambda store: store.delete(key)
    return Way(lambda layer: layer.store.pop(key, ABSENT), follow)


def commit(call: Call) -> Way:
    reads, writes = call.args
    plain = {key: mark[1] for key, mark in reads.items()}
    ranges = [(prefix, start, stop, [(key, mark[1]) for key, mark in records])
              for prefix, start, stop, records in call.options["ranges"]]
    return Way(lambda layer: layer.store._commit(plain, writes, ranges=ranges),
               lambda _: (lambda store: store._commit({}, writes)) if writes else None)


def publish(call: Call) -> Way:
    flight, key, value, ttl, stale = call.args

    def decide(layer: Any) -> Any:
        place, token = mark = flight.token
        claim = lent = getattr(flight, "claim", None)
        if isinstance(lent, Lent):
            claim = lent.within(layer)
            if claim is None and not lent.good():
                return False
        if place != layer.place:        # a token means nothing to another layer: there must be nothing still
            token, found = layer.store._read(key)
            if found is not MISSING:
                return False
        flight.token, flight.claim = token, claim
        try:
            return layer.store._publish(flight, key, value, ttl, stale)
        finally:
            flight.token, flight.claim = mark, lent

    def follow(stored: Any) -> Any:
        def publish(store: Any) -> None:
            own = Computation(store, key)
            own.token = store._read(key)[0]
            store._publish(own, key, value, ttl, stale)
        return publish if stored else None
    return Way(decide, follow)


WAYS: dict[str, Callable[[Call], Way]] = {
    "add": add, "replace": replace, "incr": incr, "touch": touch, "pop": pop, "_commit": commit, "_publish": publish}


def pin_after(call: Call) -> bool | None:
    """Whether what a write leaves is pinned; None if as it was."""
    if call.name == "set":
        return bool(call.options["pin"])
    return None if call.name in ("incr", "touch") else False

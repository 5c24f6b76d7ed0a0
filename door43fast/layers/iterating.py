"""Iterations over several layers: one that fails in the middle is gone on with by the next, from the last key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from door43fast.errors import blames_layer
from door43fast.layers.failures import Spared
from door43fast.layers.forwarding import Call


def iterate(store: Any, call: Call) -> Iterator[Any]:
    """The records of the first complete layer; where keys are ordered, another one takes over if it fails."""
    begun: list[Any] = []

    def begin(layer: Any) -> Iterator[Any]:
        emptied = layer.ledger.emptied
        records = call.on(layer.store)
        begun[:] = layer, emptied
        return records
    records = store._ask_each(store._complete(), call.name.strip("_"), begin)
    if call.name not in ("scan", "keys") or not store.capabilities.ordered:
        return records
    return _through(store, call, records, *begun)


def _through(store: Any, call: Call, records: Iterator[Any], layer: Any, emptied: int) -> Iterator[Any]:
    failed = {layer}
    last: Any = None
    taken = 0
    while True:
        try:
            for one in records:
                if not layer.ledger.whole(emptied):     # it may have been emptied meanwhile, to be copied anew
                    raise Spared(f"{layer.name} has still to be brought up to date")
                last, taken = (one if call.name == "keys" else one[0]), taken + 1
                yield one
            if layer.ledger.whole(emptied):
                return
            raise Spared(f"{layer.name} has still to be brought up to date")
        except Exception as error:
            others = [other for other in store._complete() if other not in failed] if blames_layer(error) else []
            if not others:
                raise
        layer = others[0]
        failed.add(layer)
        emptied = layer.ledger.emptied
        records = _rest(call, layer.store, last, taken)


def _rest(call: Call, store: Any, last: Any, taken: int) -> Iterator[Any]:
    """What comes after ``last``."""
    if taken == 0:
        yield from call.on(store)
        return
    options = dict(call.options) if call.name == "scan" else {"reverse": False, "limit": None}
    if options["limit"] is not None:
        options["limit"] -= taken
        if options["limit"] <= 0:
            return
        options["limit"] += not options["reverse"]      # ``last`` itself may be among them
    options["stop" if options["reverse"] else "start"] = last
    for key, value in store.scan(*call.args, **options):
        if key != last:
            yield key if call.name == "keys" else (key, value)

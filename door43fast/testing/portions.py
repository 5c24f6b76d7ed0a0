"""The part of a batch that is carried out before a fault: a prefix of it, or some of it."""

from __future__ import annotations

import random
from typing import Any

from door43fast.layers import Call

DIVISIBLE = {"set_many", "delete_many", "set_packed", "clear"}
ITERATORS = {"scan", "scan_packed", "keys", "__iter__", "changes"}


def iterates(call: Call) -> bool:
    """If it gives an iterator, which may end with an error on the way."""
    return call.name in ITERATORS


def divisible(call: Call) -> bool:
    """If a part of it can be carried out: a transaction is a whole, and so is a batch of one."""
    return call.name in DIVISIBLE and (call.name == "clear" or call.keys is not None and len(call.keys) > 1)


def portion(store: Any, call: Call, luck: random.Random) -> Call:
    """A call for a part of what ``call`` is about: neither nothing nor all, where there is more than one key.

    A ``clear`` has the keys that it would take out deleted, so the store must list them.
    """
    if call.name == "clear":
        there = list(store.keys(*call.args))
        gone = [there[i] for i in _some(len(there), luck)]
        return Call("delete_many", gone, (gone,))
    places = _some(len(call.keys or []), luck)
    keys = [call.keys[i] for i in places]   # type: ignore[index]
    if call.name == "delete_many":
        return Call("delete_many", keys, (keys,))
    if call.name == "set_many":
        return Call("set_many", keys, ([call.args[0][i] for i in places],), call.options)
    _, data, offsets = call.args
    pieces = [bytes(memoryview(data)[int(offsets[i]):int(offsets[i + 1])]) for i in places]
    return Call("set_many", keys, (list(zip(keys, pieces, strict=True)),))


def _some(count: int, luck: random.Random) -> list[int]:
    """Places of a part of ``count``, in order: at random the first ones, or any."""
    if count < 2:
        return []
    size = luck.randrange(1, count)
    return list(range(size)) if luck.random() < 0.5 else sorted(luck.sample(range(count), size))

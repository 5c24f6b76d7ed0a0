"""The cascade: a memory store over a slower one, as one store."""

from __future__ import annotations

import sys
from typing import Any

from door43fast.errors import ConfigError, did_you_mean
from door43fast.layers.planned import ByPlan
from door43fast.native.stack import CascadeEngine
from door43fast.surface import StoreSurface


class Cascade(ByPlan, StoreSurface, CascadeEngine):
    """A memory store over a slower store, as one store.

    Reads ask the memory first and promote what they find below. Writes and deletes go to the slow layer first, and
    the memory follows. What was overwritten or deleted never comes back, whatever happens at the same time.

    Parameters
    ----------
    fast : MemoryStore
        The layer above. It belongs to the cascade from now on: nothing else may write to it.
    slow : Store
        The layer below: an ``LmdbStore``, or any store.
    share : bool
        Keep lists, dicts and arrays in memory as they are and hand out the same object to every caller, instead of a
        fresh copy. Faster, and right only where nobody changes them.

    Raises
    ------
    ConfigError
        If a layer is not a store, or the fast one is not in memory.
    """

    __slots__ = ("plan",)


def cascade(fast: Any, slow: Any, **options: Any) -> Cascade:
    """A memory store over a slower one; see :class:`Cascade`."""
    for name in options:
        if name != "share":
            raise ConfigError(f"cascade() has no option {name!r}: {did_you_mean(name, ['share'])}")
    return Cascade(fast, slow, **options)


def weigh_shared(key: Any, value: Any) -> int:
    """Bytes of an entry whose value is kept as it is: of all that a list or dict holds, each object once."""
    total = 64      # the entry's bookkeeping
    seen: set[int] = set()
    waiting = [key, value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total += sys.getsizeof(one) + 8
        if isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting.extend(one)
        elif getattr(one, "base", None) is not None:    # an array that owns nothing keeps its base alive
            waiting.append(one.base)
    return total

"""What goes up from a slow layer to a fast one that is not in memory, and when.

Order alone does not keep the dead dead: a reader may have fetched a value that a writer replaces meanwhile. A promotion
takes a ticket at its miss, which is the count of the key's stripe, and puts the value up in the section of the key, if
the count is still the same; every write raises it before it leaves the section. While a write of the key hangs in the
slow layer, beyond its deadline, nothing is promoted: it may land later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from door43fast.arguments import span
from door43fast.contracts import Seconds
from door43fast.errors import ConfigError, blames_layer, did_you_mean
from door43fast.reference.promotion import IMMUTABLE

TICKETS = 4096
PROMOTES = ("always", "second", "never")
ONCE = 65536        # keys of which it is known that they were missed once
NEARLY = 0.02       # by how much the times of one batch may differ


class Promotions:
    """The promotions of :class:`door43fast.layers.ReadThrough`."""

    fast: Any
    _fast: Any
    _slow: Any
    _stripes: Any
    _telling: Any
    _numbers: Any
    _owing: Any
    _shut: bool
    _keeps_objects: bool        # the fast layer holds the caller's objects, not what they were encoded to

    def _begin_promotions(self, promote: str, fast_ttl: Seconds | None) -> None:
        if promote not in PROMOTES:
            raise ConfigError(f"promote={promote!r} is unknown: {did_you_mean(promote, PROMOTES)}")
        try:
            self._cap = None if fast_ttl is None else span(fast_ttl, "fast_ttl")
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from None
        if self._cap is not None and not self._cap:
            raise ConfigError("fast_ttl=0 would keep nothing in the fast layer: give seconds, or None for no bound")
        self.promote = promote
        self._counts = [0] * TICKETS
        self._once: OrderedDict[int, None] = OrderedDict()
        self._unsure: set[Any] = set()      # keys of which a late write may land in the slow layer; all, if None is one
        self.promotions = 0

    def _ticket(self, key: Any) -> tuple[int, int]:
        place = hash(key) % TICKETS
        return place, self._counts[place]

    def _void_tickets(self, keys: Sequence[Any] | None) -> None:
        """REQUIRES: the section of the keys, before it is left."""
        if keys is None:
            self._counts = [count + 1 for count in self._counts]
        else:
            for place in {hash(key) % TICKETS for key in keys}:
                self._counts[place] += 1

    def _promote(self, entries: list[tuple[Any, Any, float | None, tuple[int, int]]]) -> None:
        """Put up what was found below, where the ticket still holds."""
        wanted = [one for one in entries if self._worthy(*one[:3])]
        keys = [key for key, *_ in wanted]
        if not keys or not self._fast.up:
            return
        with self._stripes.section(keys):
            if self._shut:
                return
            good = {key: (value, self._lasting(left)) for key, value, left, (place, count) in wanted
                    if self._counts[place] == count and not self._in_doubt(key) and not self._fast.ledger.owes(key)}
            if not good or not self._fast.takes(list(good)):
                return
            try:
                for items, left in by_time(good):
                    self.fast.set_many(items, ttl=left)
                self.promotions += len(good)
            except Exception as error:
                if blames_layer(error):     # it may land yet, after a later write: it must be lost
                    self._fast.ledger.add(list(good), next(self._numbers))
        self._owing()

    def _worthy(self, key: Any, value: Any, left: float | None) -> bool:
        if self.promote == "never" or left is not None and left <= 0 or (
                self._keeps_objects and type(value) not in IMMUTABLE):
            return False
        if self.promote == "always":
            return True
        name = hash(key)
        if name in self._once:
            self._once.pop(name, None)
            return True
        self._once[name] = None
        if len(self._once) > ONCE:
            try:
                self._once.popitem(last=False)
            except KeyError:        # another thread was faster
                return False
        return False

    def _lasting(self, left: float | None) -> float | None:
        """How long it may stay above: no longer than it has, nor than the layer's own time to live."""
        bounds = [one for one in (self._bounded(left), _own_ttl(self.fast)) if one is not None]
        return min(bounds, default=None)

    def _bounded(self, left: float | None) -> float | None:
        """How long it may stay above by ``fast_ttl``."""
        return left if self._cap is None else self._cap if left is None else min(left, self._cap)

    def _in_doubt(self, key: Any) -> bool:
        """Whether a late write of the key may land in the slow layer."""
        if not self._unsure:
            return False
        with self._telling:
            if not self._slow.late:
                self._unsure.clear()
            return key in self._unsure or None in self._unsure


def by_time(entries: Mapping[Any, tuple[Any, float | None]]) -> Iterator[tuple[dict[Any, Any], float | None]]:
    """Values in as few batches as may be, each with the seconds that all of it may stay. Of times that are nearly the
    same the least counts: a fast layer may let go earlier, and each batch may cost it a sync."""
    endless = {key: value for key, (value, left) in entries.items() if left is None}
    if endless:
        yield endless, None
    batch: dict[Any, Any] = {}
    least = 0.0
    ending = ((left, key, value) for key, (value, left) in entries.items() if left is not None)
    for left, key, value in sorted(ending, key=itemgetter(0)):
        if batch and left > least * (1 + NEARLY):
            yield batch, least
            batch = {}
        least = least if batch else left
        batch[key] = value
    if batch:
        yield batch, least


def _own_ttl(store: Any) -> float | None:
    """The time to live that a store gives to what is set without one."""
    while hasattr(store, "slow"):
        store = store.slow
    ttl = getattr(getattr(store, "options", None), "ttl", None)
    if ttl is None:
        ttl = (getattr(store, "_plan", None) or {}).get("ttl")
    return None if ttl is None else span(ttl, "ttl")

"""What a store on top must know of the one at the bottom: its clock, how long values live, what becomes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from door43fast import codecs
from door43fast.arguments import span
from door43fast.contracts import Seconds

FROZEN = frozenset((str, bytes, int, float, bool, type(None), datetime))    # kinds that nobody can change


class Terms(NamedTuple):
    """``codec`` is None where values stay the objects that they are."""

    clock: Any
    ttl: float | None
    codec: Any

    def freeze(self, value: Any) -> tuple[int | None, Any]:
        """A mark and bytes; or None and the value, where nobody can change it and it would come back as it is.

        Raises what the store at the bottom would raise for a value that it cannot hold.
        """
        if self.codec is None:
            return None, value
        kind = type(value)
        if self.codec.name == "auto" and (kind is bytes or kind is float or value is None or kind is bool
                                          or kind is str and value.isascii()):
            return None, value
        mark, payload = self.codec.encode(value)
        if kind in FROZEN and self.codec.name == "auto":
            return None, value
        return mark, bytes(payload)

    def thaw(self, mark: int | None, held: Any) -> Any:
        """The value of what :meth:`freeze` gave, afresh."""
        return held if mark is None else self.codec.decode(mark, held)


def terms_of(store: Any, clock: Any = None, ttl: Seconds | None = None) -> Terms:
    """Ask the store at the bottom; what it does not tell is given, or its default."""
    while hasattr(store, "slow"):
        store = store.slow
    told = getattr(store, "plan", None)     # of a native store on disk
    if not isinstance(told, dict) or "codec" not in told:
        told = {"clock": getattr(store, "_clock", None), "ttl": getattr(store, "_ttl", None),
                "codec": getattr(store, "_codec", None)}
    codec = told.get("codec")
    if codec is None and store.capabilities.persistent:
        codec = "auto"
    clock = clock or told.get("clock")
    if clock is None:
        from door43fast.native.clock import Clock

        clock = Clock("wall" if store.capabilities.persistent else "monotonic")
    ttl = told.get("ttl") if ttl is None else ttl
    return Terms(clock, None if ttl is None else span(ttl, "ttl"), None if codec is None else codecs.resolve(codec))

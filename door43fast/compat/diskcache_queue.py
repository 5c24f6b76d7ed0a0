"""The queues of ``Cache``: ``push``, ``pull`` and ``peek`` over keys that count from the middle outwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from door43fast.contracts import MISSING

MIDDLE = 500_000_000_000_000
END = 999_999_999_999_999
SIDES = ("front", "back")


class QueueFace:
    """Mixed into ``Cache``."""

    def _edge(self, prefix: str | None, side: str) -> tuple[Any, int] | None:
        """Name and number of the outermost item at ``side``; None if the queue is empty."""
        if side not in SIDES:
            raise ValueError(f"side={side!r} is neither 'front' nor 'back'")
        start, stop = (1, END) if prefix is None else (f"{prefix}-{1:015d}", f"{prefix}-{END}")
        source = self._blocks.mine() or self.store
        for name, _ in source.scan(start=start, stop=stop, reverse=side == "back", limit=1):
            return name, name if prefix is None else int(name.rpartition("-")[2])
        return None

    def push(self, value: Any, prefix: str | None = None, side: str = "back", expire: float | None = None,
             read: bool = False, tag: str | None = None, retry: bool = False) -> Any:
        """Put ``value`` at the back or the front of the queue ``prefix``; the key that it got."""
        if read:
            value = value.read()
        while True:
            edge = self._edge(prefix, side)
            number = MIDDLE if edge is None else edge[1] + (1 if side == "back" else -1)
            key = number if prefix is None else f"{prefix}-{number:015d}"
            if self.add(key, value, expire, tag=tag):       # else another was faster
                return key

    def pull(self, prefix: str | None = None, default: Any = (None, None), side: str = "front",
             expire_time: bool = False, tag: bool = False, retry: bool = False) -> Any:
        """Take ``(key, value)`` from the front or the back of the queue; ``default`` if it is empty."""
        return self._outermost(self.pop, prefix, default, side, expire_time, tag)

    def peek(self, prefix: str | None = None, default: Any = (None, None), side: str = "front",
             expire_time: bool = False, tag: bool = False, retry: bool = False) -> Any:
        """What :meth:`pull` would take."""
        return self._outermost(self.get, prefix, default, side, expire_time, tag)

    def _outermost(self, ask: Any, prefix: str | None, default: Any, side: str, expire_time: bool, tag: bool) -> Any:
        while True:
            edge = self._edge(prefix, side)
            if edge is None:
                return (default, *(None,) * (expire_time + tag)) if expire_time or tag else default
            found = ask(edge[0], MISSING, expire_time=expire_time, tag=tag)
            value, *about = found if expire_time or tag else (found,)
            if value is not MISSING:        # else another was faster
                return ((edge[0], value), *about) if about else (edge[0], value)

    if TYPE_CHECKING:   # what the cache brings
        store: Any
        _blocks: Any
        add: Any
        get: Any
        pop: Any

"""The cascade: a memory store over a slower one, as one store."""

from __future__ import annotations

import sys
from typing import Any

from door43fast.contracts import Seconds
from door43fast.errors import ConfigError, did_you_mean
from door43fast.layers.buffer import WriteBuffer
from door43fast.layers.planned import ByPlan
from door43fast.native.memory import MemoryEngine
from door43fast.native.stack import CascadeEngine
from door43fast.surface import StoreSurface

MODES = ("promote", "negative", "stale", "stale_on_error")     # of the cascade, beside ``share`` and ``write``
BUFFERS = ("max_dirty", "delay")                                # of write-back
WRITES = ("through", "around", "back")


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
    promote : {"always", "second", "never"}
        Which of the values that were found below go up: all; those that are found a second time within a while, so that
        what is read once takes no room; or none, so that memory holds only what is written.
    write : {"through", "around"}
        Whether what is written goes into the memory too, or only leaves it.
    negative : float or timedelta, optional
        Seconds for which a key that is not below is known to be missing, unless it is written.
    stale : float or timedelta, optional
        Seconds past the ``ttl`` of the fast layer in which its value is given at once, and renewed in the background.
    stale_on_error : float or timedelta, optional
        Seconds past it in which its value is given if the slow layer fails. See :meth:`find`.

    Raises
    ------
    ConfigError
        If a layer is not a store, the fast one is not in memory, or an option is wrong or would have no effect.
    """

    __slots__ = ("plan", "warmth")
    warmth: Any     # unset, or who remembers at the end what is in memory, for the next start

    def stats(self) -> dict[str, Any]:
        """Counts since the store was opened; ``layers`` holds those of each tier, the fast one first.

        ``coherence`` says how many keys the fast tier has let go because another process had changed them
        (``dropped``), and how often it let go of all since it could not be told which (``emptied``). With a warm start
        ``warm`` tells of it: see docs/warm-start.md.
        """
        told = super().stats()
        if hasattr(self, "warmth"):
            told["warm"] = self.warmth.told()
        return told

    def close(self) -> None:
        """Close both tiers, the slow one last. A second close does nothing."""
        if hasattr(self, "warmth") and not self.closed:
            self.warmth.end()
        super().close()


def cascade(fast: Any, slow: Any, **options: Any) -> Any:
    """A memory store over a slower one; see :class:`Cascade`. Any other store over one is a :class:`ReadThrough`.

    ``write`` may also be ``"back"``, for a :class:`WriteBuffer` over the slow one, with its ``max_dirty`` and
    ``delay``. ``fast_ttl`` is the bound of a :class:`ReadThrough`; a memory store has a ``ttl`` of its own.
    """
    known = ["share", "write", "fast_ttl", *MODES, *BUFFERS]
    for name in options:
        if name not in known:
            raise ConfigError(f"cascade() has no option {name!r}: {did_you_mean(name, known)}")
    buffer = {name: options.pop(name) for name in BUFFERS if name in options}
    write = options.pop("write", "through")
    options["write"] = "around" if write == "around" else "through"
    if isinstance(fast, MemoryEngine):
        return over(fast, behind(slow, write, **buffer), **options)
    # A layer that outlives the process must not hold what the slow one may never get.
    return behind(over(fast, slow, **options), write, **buffer)


def over(fast: Any, slow: Any, **options: Any) -> Any:
    """One layer over another: natively where the fast one is in memory."""
    from door43fast.layers.readthrough import ReadThrough

    fast_ttl = options.pop("fast_ttl", None)
    if isinstance(fast, MemoryEngine):
        if fast_ttl is not None:
            raise ConfigError("fast_ttl= has no effect where the fast layer is in memory: open that with ttl=")
        if options.get("stale_on_error") and _silence_empties(slow):
            raise ConfigError("stale_on_error= has no effect over Redis: while its server is not heard, memory is let "
                              "go of. Leave it out, or put a mirror beside Redis by primary_fallback()")
        return Cascade(fast, slow, **options)
    promote = options.pop("promote", "always")
    for name, value in options.items():
        if value and (name, value) != ("write", "through"):
            raise ConfigError(f"{name}= has no effect where the fast layer is no memory store, and it is a "
                              f"{type(fast).__name__}: leave it out")
    return ReadThrough(fast, slow, promote=promote, fast_ttl=fast_ttl)


def _silence_empties(store: Any) -> bool:
    """Whether a store below tells a memory tier that all has changed when it cannot be heard."""
    if getattr(store, "_silence_empties", False):
        return True
    return hasattr(store, "_watched") and any(map(_silence_empties, store._watched()))


def behind(slow: Any, write: str = "through", max_dirty: int | None = None, delay: Seconds | None = None) -> Any:
    """``slow``, or a buffer over it where ``write`` is ``"back"``."""
    if write not in WRITES:
        raise ConfigError(f"write={write!r} is unknown: {did_you_mean(write, WRITES)}")
    bounds: dict[str, Any] = {"max_dirty": max_dirty, "delay": delay}
    given = {name: value for name, value in bounds.items() if value is not None}
    if write == "back":
        return WriteBuffer(slow, **given)
    for name in given:
        raise ConfigError(f"{name}= has no effect without write='back': give both, or neither")
    return slow


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

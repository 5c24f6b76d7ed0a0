"""A layer that need not be there when a plan is opened: it is opened as soon as it can be reached.

Until then every call of it raises ``BackendUnavailableError``. When it is tried, its guard decides: a call that the
circuit lets through opens it first, within the deadline; what takes longer goes on in its thread, and a later call
finds it open. What must be known before, it is told by its plan: what it can do, how its values become bytes, who
listens.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from door43fast.contracts import Capabilities
from door43fast.errors import BackendUnavailableError, ClosedError
from door43fast.layers.arrival import Early, Told
from door43fast.layers.failures import Spared
from door43fast.layers.forwarding import Wrapper
from door43fast.native.tiers_nested import with_deadlines

_absentees: weakref.WeakSet[Absentee] = weakref.WeakSet()


class Absentee(Wrapper):
    """A store that is opened later; see above.

    Parameters
    ----------
    make : callable
        Opens the store, or raises.
    capabilities : Capabilities
        What it can do, which is told also when it is there. One that lacks any of it is closed again, and stays away.
    name : str
        What it is called in errors.
    options : object, optional
        Its options; ``ttl``, ``codec`` and ``clock`` of them are asked for by a buffer above.
    silence_empties, text_keys : bool
        Whether memory above is emptied while it is not heard; whether it takes no keys but text.
    """

    def __init__(self, make: Callable[[], Any], capabilities: Capabilities, *, name: str, options: Any = None,
                 silence_empties: bool = False, text_keys: bool = False) -> None:
        self._make, self._able, self.name, self.options = make, capabilities, name, options
        self._silence_empties, self._text_keys = silence_empties, text_keys
        self._ttl, self._codec, self._clock = (getattr(options, one, None) for one in ("ttl", "codec", "clock"))
        self._shut = False
        self._store: Any = None
        self.since: float | None = None     # Unix time since when it is known not to be there
        self._no_flights: dict[Any, Any] = {}
        self._told = Told(self)
        self._early = Early()
        self._after_fork()
        _absentees.add(self)

    @property
    def arrived(self) -> bool:
        """Whether it is there."""
        return self._store is not None

    @property
    def slow(self) -> Any:
        """The store, once it is there; until then there is no such attribute."""
        if self._store is None:
            raise AttributeError(f"{self.name} is not there yet")
        return self._store

    @property
    def capabilities(self) -> Capabilities:
        """What it can do by its plan."""
        return self._able

    def expected(self) -> None:
        """It was not there when the plan was opened: from now on an error of its opening is one of a layer."""
        self.since = time.time()

    def arrive(self) -> Any:
        """The store, opened now if it is not there."""
        if self._store is not None:
            return self._store
        if not self._opening.acquire(blocking=False):
            raise Spared(f"{self.name} was not asked: it is being opened; try again when it has been")
        try:
            if self._store is None:
                if self._shut:
                    raise ClosedError(f"{self.name} is closed: open it again before use")
                self._received(self._opened())
            return self._store
        finally:
            self._opening.release()

    def _opened(self) -> Any:
        try:
            store = self._make()
        except Exception as error:
            if self.since is None:
                raise
            raise BackendUnavailableError(
                f"{self.name} has not been there since the plan was opened, at {time.ctime(self.since)} "
                f"({type(error).__name__}: {error})") from error
        lacking = [name for name in Capabilities._fields
                   if getattr(self._able, name) and not getattr(store.capabilities, name)]
        if lacking:
            store.close()
            raise BackendUnavailableError(
                f"{self.name} is there and cannot do what its plan says ({', '.join(lacking)}), so it was closed "
                "again: mend capable() of its backend, or leave absent='wait' out")
        return store

    def _received(self, store: Any) -> None:
        """Who has listened and watched until now does so there; then it is there for all."""
        with self._arrival:
            if not self._shut:
                self._told.receive(store)
                self._early.receive(store)
                self._store = store
                return
        store.close()
        raise ClosedError(f"{self.name} was closed while it was opened")

    # -- as a store ------------------------------------------------------------------------------------------

    def _below(self) -> Any:
        if self._shut:
            raise ClosedError(f"{self.name} is closed: open it again before use")
        return self.arrive() if self._store is None else self._store

    def _with_deadlines(self, keys: list[Any]) -> list[tuple[Any, float | None]]:
        return with_deadlines(self._below(), keys)

    @property
    def _events(self) -> Any:
        return self._early if self._store is None else self._store._events

    @property
    def _flights(self) -> Any:
        return self._no_flights if self._store is None else self._store._flights

    def _watched(self) -> tuple[Any, ...]:
        return (self._told,) if self._store is None else (self._store,)

    def close(self) -> None:
        """Close it, if it is there; one that is being opened is closed when it has been."""
        with self._arrival:
            if self._shut:
                return
            self._shut = True
        if self._store is not None:
            self._store.close()

    def _after_fork(self) -> None:
        self._opening = threading.Lock()        # held while it is opened,
        self._arrival = threading.Lock()        # and for the moment in which it is there, or is closed
        self._early.lock = threading.Lock()


def may_be_away(store: Any) -> bool:
    """Whether a store, or a layer of it, need not be there yet, whether it is or not."""
    below = [getattr(store, name) for name in ("fast", "slow") if hasattr(store, name)] or getattr(store, "layers", ())
    return isinstance(store, Absentee) or any(map(may_be_away, below))


def away(store: Any) -> bool:
    """Whether a store cannot say what it holds, since what it is made of is not there."""
    if isinstance(store, Absentee):
        return not store.arrived
    if hasattr(store, "slow"):
        return away(store.slow)
    layers = getattr(store, "layers", ())
    return bool(layers) and (away(layers[0]) if getattr(store, "_partial", False) else all(map(away, layers)))


def _after_fork() -> None:
    for one in list(_absentees):
        one._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

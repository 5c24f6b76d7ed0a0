"""One computation at a time per key, shared by all who ask for it; and memoized functions.

A computation is a flight in the store's table of flights, which the engine voids when the key is written. Who waits
for whom is a graph over flights: from a flight to those that its code computes or waits for. The flight whose code
runs is kept in a context variable, so the graph holds for threads and for the tasks of an event loop alike, and
over several stores. A new edge is drawn before the graph is searched for a cycle, so of two that close one
together, at least one sees it.

Where other processes may have the store too, the flight that leads in this one makes a claim (claims.py) before it
computes. Whether it gets it or not, it then reads the key, and so has what another has stored meanwhile.
"""

from __future__ import annotations

import contextvars
import functools
import hashlib
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from door43fast.arguments import span
from door43fast.claims import Patience, claim_on
from door43fast.contracts import MISSING, Seconds
from door43fast.errors import DeadlockError, ReadOnlyError, UnsupportedError

try:
    from door43fast.native.core import Flight
except ImportError:     # no native wheel here, and no native engine that would ask for its own kind
    class Flight:   # type: ignore[no-redef]
        """One computation of one key under way. ``voided`` by any write of that key."""

        voided = False

FRESH, STALE = 1, 2     # states of ``_lookup``
LONGEST_KEY = 400       # characters; a longer key of a memoized call is replaced by its digest

_inside: contextvars.ContextVar[Computation | None] = contextvars.ContextVar("door43fast_computation", default=None)


class Computation(Flight):  # type: ignore[misc,valid-type]
    """One computation of one key under way.

    ``done`` is a future that only tells the end; ``result`` and ``error`` hold what came of it. ``abandoned`` says
    that there was no outcome to share: the thread was interrupted, or the task cancelled. ``claim`` is there as long as
    other processes are kept from computing the key.
    """

    claim: Any = None

    def __init__(self, store: Any, key: Any, loop: Any = None) -> None:
        self.key = key
        self.name = flight_name(store, key)
        self.owner = threading.get_ident()
        self.pid = os.getpid()
        self.loop = loop
        self.task: Any = None
        self.waiters = 0
        self.token: Any = 0
        self.abandoned = False
        self.waiting_for: dict[object, Computation] = {}    # edges; many threads may draw and erase one at a time
        self.done = Future()
        self.done.set_running_or_notify_cancel()    # from here on nobody who waits can cancel it for the others

    def land(self, store: Any, result: Any = None, error: BaseException | None = None, share: bool = True) -> None:
        """Leave the table and wake those who wait; they look anew if it is nothing to ``share``."""
        self.result, self.error = result, error
        self.abandoned = not share or error is not None and not isinstance(error, Exception)
        try:
            forget(store, self, self.name)
        finally:
            self.done.set_result(None)

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error.with_traceback(self.error.__traceback__)
        return self.result


def forget(store: Any, flight: Computation, name: Any) -> bool:
    """Take ``flight`` out of the table of flights, if it is still there. Returns whether it was."""
    if store._flights.get(name) is not flight:
        return False
    store._flights.pop(name, None)
    return True


def left_behind(store: Any, flight: Computation, mine: Computation) -> bool:
    """Whether nobody takes ``flight``, of the same name as ``mine``, out of the table: then that is done here.

    It was under way when this process was forked off, and nobody ends it here; or it has ended, and was interrupted
    before it took itself out, by an exception of its key's own methods for example.
    """
    if flight.pid != mine.pid:
        forget(store, flight, mine.name)
        return True
    return flight.done.done() and forget(store, flight, mine.name)


def flight_name(store: Any, key: Any) -> Any:
    """What ``key`` is called in the table of flights: itself, unless the engine at the bottom names it otherwise."""
    while not hasattr(store, "_flight_name"):
        if not hasattr(store, "slow"):
            return key
        store = store.slow
    return store._flight_name(key)


def check_spans(store: Any, fn: Any, ttl: Seconds | None, stale: Seconds | None, deadline: Seconds) -> None:
    """Refuse what could not be stored before anything is computed."""
    if not callable(fn):
        raise TypeError(f"get_or_compute needs a function to call, not {type(fn).__name__}")
    span(deadline, "deadline")
    if not store.capabilities.writes:
        raise ReadOnlyError(f"{type(store).__name__} takes no writes, as its capabilities say, so nothing is computed "
                            "for it: open it without readonly, or call the function yourself where get() finds nothing")
    if ttl is not None:
        span(ttl, "ttl")
    if stale is not None:
        span(stale, "stale")
    if (ttl is not None or stale is not None) and not store.capabilities.ttl:
        raise UnsupportedError(f"{type(store).__name__} has no expiry, as its capabilities say, so a computation takes "
                               "no ttl= or stale=: leave them out, or use a MemoryStore or a LmdbStore")


@contextmanager
def waiting(flight: Computation, running_loop: Any = None) -> Iterator[None]:
    """Draw the edge from the flight whose code runs here to ``flight``; refuse it if it closes a cycle.

    ``running_loop`` is the event loop that the wait would block, if any.
    """
    inner = _inside.get()
    edge = object()
    if inner is not None:
        inner.waiting_for[edge] = flight
    try:
        path = _path(flight, inner, running_loop)
        if path:
            keys = " -> ".join(repr(key) for key in path)
            raise DeadlockError(f"computing key {path[-1]!r} would wait for itself ({keys}): a function given to "
                                "get_or_compute must not ask for a key that waits for it")
        yield
    finally:
        if inner is not None:
            del inner.waiting_for[edge]


def _path(flight: Computation, inner: Computation | None, running_loop: Any) -> list[Any] | None:
    """The keys on the way from ``flight`` to what the caller itself computes, or None."""
    me = threading.get_ident()
    seen = {id(flight)}
    todo = [(flight, [flight.key])]
    while todo:
        one, keys = todo.pop()
        if one is inner or (one.loop is running_loop if one.loop is not None else one.owner == me):
            if inner is not None and inner is not one:
                keys = [inner.key, *keys]
            return keys if len(keys) > 1 else keys * 2
        for further in list(one.waiting_for.values()):
            if id(further) not in seen:
                seen.add(id(further))
                todo.append((further, [*keys, further.key]))
    return None


def compute(store: Any, key: Any, fn: Callable[[], Any], ttl: Seconds | None, stale: Seconds | None,
            deadline: Seconds) -> Any:
    """What ``get_or_compute`` does when the value was not there."""
    check_spans(store, fn, ttl, stale, deadline)
    while True:
        mine = Computation(store, key)
        flight = store._flights.setdefault(mine.name, mine)
        if flight is mine:
            return _lead(store, mine, fn, ttl, stale, deadline)
        if left_behind(store, flight, mine):
            continue
        late = flight.voided        # the key was written since it began, so its result is too old for this caller
        if stale is not None:
            state, value = store._lookup(key)
            if state in (FRESH, STALE):
                if state == STALE:
                    store._served_stale()
                return value
        with waiting(flight, _loop_of_this_thread()):
            flight.done.result()
        if not (late or flight.abandoned):
            return flight.outcome()


def _lead(store: Any, flight: Computation, fn: Callable[[], Any], ttl: Seconds | None, stale: Seconds | None,
          deadline: Seconds) -> Any:
    outer = _inside.get()
    inside = _inside.set(flight)
    fresh = True
    try:
        if outer is not None:
            outer.waiting_for[flight] = flight
        claim = claim_on(store, flight, deadline)
        try:
            value, fresh = _claimed(store, flight, claim, stale)
            if value is MISSING:
                value = fn()
                store._publish(flight, flight.key, value, ttl, stale)
        finally:
            if claim is not None:
                claim.release()
    except BaseException as error:
        flight.land(store, error=error)
        raise
    else:
        flight.land(store, value, share=fresh)
        return value
    finally:
        _inside.reset(inside)
        if outer is not None:
            outer.waiting_for.pop(flight, None)


def _claimed(store: Any, flight: Computation, claim: Any, stale: Seconds | None) -> tuple[Any, bool]:
    """The value that another has stored, and whether it is fresh; MISSING where this flight is to compute it."""
    patience = Patience()
    while True:
        mine = claim is None or claim.take()
        flight.token, value = store._read(flight.key)
        if mine or value is not MISSING:
            return value, True
        if stale is not None:
            state, value = store._lookup(flight.key)
            if state == STALE:
                store._served_stale()
            if state in (FRESH, STALE):
                return value, state == FRESH
        rival = claim.rival()
        if rival is None:
            time.sleep(patience.pause())
        else:
            with waiting(rival, _loop_of_this_thread()):
                rival.done.result()


def _loop_of_this_thread() -> Any:
    import sys
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


# -- memoized functions --------------------------------------------------------------------------------------


def memoized(store: Any, ttl: Seconds | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator that ``store.memoize(ttl=ttl)`` gives."""
    if ttl is not None:
        span(ttl, "ttl")

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        name = f"{fn.__module__}.{fn.__qualname__}"
        make_key = text_key if store.capabilities.persistent or _takes_text(store) else tuple_key

        def cache_key(*args: Any, **kwargs: Any) -> Any:
            return make_key(name, args, kwargs)

        def invalidate(*args: Any, **kwargs: Any) -> bool:
            return store.delete(make_key(name, args, kwargs))

        if inspect.iscoroutinefunction(fn):
            @functools.wraps(fn)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                return await store.aio.get_or_compute(
                    make_key(name, args, kwargs), lambda: fn(*args, **kwargs), ttl=ttl)
        else:
            @functools.wraps(fn)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return store.get_or_compute(make_key(name, args, kwargs), lambda: fn(*args, **kwargs), ttl=ttl)
        wrapper.cache_key = cache_key       # type: ignore[attr-defined]
        wrapper.invalidate = invalidate     # type: ignore[attr-defined]
        return wrapper
    return decorate


def _takes_text(store: Any) -> bool:
    """Whether the engine at the bottom takes no keys but text, though it may not outlive the process."""
    while hasattr(store, "slow"):
        store = store.slow
    return getattr(store, "_text_keys", False)


def tuple_key(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """A key for stores that take any hashable; the types stand in it, since 1 == 1.0 == True."""
    named = tuple(sorted(kwargs.items()))
    return (name, args, named, _types((args, named)))


def _types(value: Any) -> Any:
    if type(value) is frozenset:
        return frozenset(_types(item) for item in value)
    return tuple(_types(item) for item in value) if type(value) is tuple else type(value)


def text_key(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """A key for stores on disk: the same for the same arguments in every process."""
    key = f"{name}({_text(name, args)}{_text(name, kwargs)})"
    if len(key) > LONGEST_KEY:
        return f"{name}(#{hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=20).hexdigest()})"
    return key


def _text(name: str, value: Any) -> str:
    kind = type(value)
    if value is None or kind in (bool, int, float, str, bytes):
        return ascii(value)
    if kind is tuple:
        return f"({','.join(_text(name, item) for item in value)})"
    if kind is list:
        return f"[{','.join(_text(name, item) for item in value)}]"
    if kind in (set, frozenset):
        return f"{kind.__name__}({','.join(sorted(_text(name, item) for item in value))})"
    if kind is dict:
        return f"{{{','.join(sorted(f'{_text(name, k)}:{_text(name, v)}' for k, v in value.items()))}}}"
    if hasattr(kind, "__cache_key__"):
        return f"{kind.__module__}.{kind.__qualname__}<{_text(name, value.__cache_key__())}>"
    raise TypeError(f"{name} was called with a {kind.__qualname__}, which has no lasting form as a key: pass numbers, "
                    "str, bytes or containers of them, or give the class a __cache_key__ method")

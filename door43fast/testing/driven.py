"""A store whose every call goes through ``aio``: what the conformance suite is given to try out the coroutines.

The event loop runs in a thread of its own; a call waits for its coroutine. What has no counterpart in ``aio`` is said
in terms of what has: ``s[k]`` is ``get``, an iterator pulls an asynchronous one. Listeners are the store's own, since
one that blocks has no place in an event loop; ``AsyncTests`` tries those of ``aio``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from functools import cache
from typing import Any

from door43fast.compute import memoized
from door43fast.contracts import MISSING

ITERATORS = ("scan", "scan_packed", "keys", "items", "values", "changes")


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The event loop of all driven stores."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="door43fast-driven", daemon=True).start()
    return made


def run(coroutine: Any) -> Any:
    """Wait for a coroutine of the loop. In the loop itself, as from a listener, it must end without waiting."""
    if asyncio._get_running_loop() is not loop():
        return asyncio.run_coroutine_threadsafe(coroutine, loop()).result()
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a listener in the event loop waits for the event loop: use a store in memory")


async def _next(records: AsyncIterator[Any]) -> Any:
    return await anext(records, MISSING)


def pulled(records: AsyncIterator[Any]) -> Iterator[Any]:
    """An asynchronous iterator as one; the first record is asked for at once, as its errors are told at once."""
    first = run(_next(records))

    def rest() -> Iterator[Any]:
        one = first
        while one is not MISSING:
            yield one
            one = run(_next(records))
    return rest()


class Face(MutableMapping[Any, Any]):
    """The methods of something awaitable, blocking."""

    def __init__(self, awaitable: Any) -> None:
        self._aio = awaitable

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._aio, name)
        if not callable(method):
            return method
        if name in ITERATORS:
            return lambda *args, **options: pulled(method(*args, **options))
        return lambda *args, **options: run(_awaited(method, args, options))

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return run(self._aio.contains(key))

    def __len__(self) -> int:
        return run(self._aio.length())

    def __iter__(self) -> Iterator[Any]:
        return pulled(aiter(self._aio))

    def get(self, key: Any, default: Any = None) -> Any:
        return run(self._aio.get(key, default))

    __hash__ = object.__hash__      # stores compare by identity

    def __eq__(self, other: object) -> bool:
        return self is other


for _name in ("keys", "items", "values", "pop", "popitem", "setdefault", "update", "clear"):
    # MutableMapping's would be found before __getattr__.
    setattr(Face, _name, property(lambda self, name=_name: Face.__getattr__(self, name)))


async def _awaited(method: Callable[..., Any], args: Any, options: Any) -> Any:
    return await method(*args, **options)


class Block(Face):
    """What ``async with`` opens, as a context."""

    def __enter__(self) -> Any:
        run(self._aio.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        run(self._aio.__aexit__(*error))


class Driven(Face):
    """A store by its ``aio`` alone."""

    def __init__(self, store: Any) -> None:
        super().__init__(store.aio)
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name) if name.startswith("_") else super().__getattr__(name)

    def __enter__(self) -> Any:
        run(self._aio.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        run(self._aio.__aexit__(*error))

    def transaction(self) -> Block:
        return Block(self._aio.transaction())

    def get_or_compute(self, key: Any, fn: Any, **options: Any) -> Any:
        async def awaited() -> Any:     # one that blocks would stop the loop
            return await asyncio.to_thread(fn)
        return run(self._aio.get_or_compute(key, awaited if callable(fn) else fn, **options))

    def memoize(self, *, ttl: Any = None) -> Any:
        return memoized(self, ttl)

    @property
    def aio(self) -> Any:
        return self._aio

    def subscribe(self, *wanted: Any, **options: Any) -> Any:
        return self._store.subscribe(*wanted, **options)

    def reader(self, key: Any) -> Any:
        return self._store.reader(key)

    def writer(self, key: Any, **options: Any) -> Any:
        return self._store.writer(key, **options)

    def __reduce__(self) -> Any:
        return Driven, (self._store,)

    def __repr__(self) -> str:
        return f"<Driven {self._store!r}>"

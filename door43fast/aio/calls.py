"""Calls of a store's blocking functions from an event loop: here, or in a thread where they may wait.

A store over a network may wait on the event loop itself: it has ``_on_loop(fn, *args, **options)``, a coroutine
function that runs ``fn`` and awaits what it waits for. Then no thread is needed, but for functions of the caller's own.

A call that has begun runs to its end, whoever was waiting for it: a write is made as a whole or, if its thread had not
begun, not at all. What a call would have handed out to somebody who was cancelled meanwhile is let go of, so that no
snapshot and no file stays open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

CHUNK = 256     # records that a scan fetches with one turn of a thread


class Caller:
    """Calls a store's blocking functions: here, or in a thread where they may wait."""

    __slots__ = ("_on_loop", "_store", "_threads")

    def __init__(self, store: Any) -> None:
        self._store = store
        self._threads = bool(store.capabilities.persistent or store.capabilities.shared)
        self._on_loop = getattr(store, "_on_loop", None)

    async def _call(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        """Call a function of the store's."""
        if self._on_loop is not None:
            return await asyncio.shield(asyncio.ensure_future(self._on_loop(fn, *args, **options)))
        return await self._call_foreign(fn, *args, **options)

    async def _call_foreign(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        """Call a function that may block whatever the store does."""
        return await asyncio.to_thread(fn, *args, **options) if self._threads else fn(*args, **options)

    def _begin(self, fn: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future((self._on_loop or asyncio.to_thread)(fn, *args))

    async def _take(self, fn: Callable[[], Any], let_go: Callable[[Any], Any]) -> Any:
        """``_call`` of what hands something out that must be let go of."""
        if not self._threads:
            return fn()
        work = self._begin(fn)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(
                lambda done: None if done.cancelled() or done.exception() else let_go(done.result()))
            raise

    async def _end(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """``_call`` of what lets go of something: it is done even if the caller is cancelled before it begins."""
        if not self._threads:
            return fn(*args)
        return await asyncio.shield(self._begin(fn, *args))

    async def _each(self, start: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        records = await self._call(start)
        while chunk := await self._call(lambda: list(islice(records, CHUNK))):
            for record in chunk:
                yield record

"""Events in an event loop: to a callback, or one by one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any

from door43fast.contracts import Event
from door43fast.events import SLICE, Inbox, wanted
from door43fast.following import listen


class AsyncSubscription:
    """What ``store.aio.subscribe(...)`` gives; it listens from that moment on.

    With a callback it is to be awaited, and gives the store's subscription. Without one it is to be read, by ``async
    for`` or :meth:`get`; ``async with`` ends it, as does letting go of it.
    """

    def __init__(self, store: Any, pattern: Any, callback: Callable[[Event], Any] | None, size: int, overflow: str,
                 wants: dict[str, Any], how: dict[str, Any]) -> None:
        store._needs("events", "tells of no events")
        name, chosen = wanted(pattern, **wants)
        loop = asyncio.get_running_loop()
        self._store, self.pattern = store, name
        if callback is not None:
            hear, ended = _told(loop, callback), None
        else:
            ready = self._ready = asyncio.Event()
            inbox = self._inbox = Inbox(size, overflow, lambda: _wake(loop, ready))
            inbox.reader = _thread()
            hear, ended = inbox.put, inbox.end
        self._subscription = listen(store, name, hear, ended, wants=chosen, tag=wants["tag"], **how)
        self._told = callback is not None

    def __await__(self) -> Generator[Any, None, Any]:
        async def subscription() -> Any:
            return self._subscription if self._told else self
        return subscription().__await__()

    @property
    def lost(self) -> int:
        """How many events did not fit."""
        return self._inbox.lost

    async def get(self) -> Event:
        """The next event; StopAsyncIteration if there will be none."""
        if self._told:
            raise TypeError("a subscription with a callback is not read: leave the callback out")
        while True:
            self._ready.clear()
            event = self._inbox.take()
            if event is not None:
                return event
            if self._inbox.ended or self._store.closed:
                raise StopAsyncIteration
            try:
                await asyncio.wait_for(self._ready.wait(), SLICE)
            except TimeoutError:
                pass        # looks whether the store is still open

    def __aiter__(self) -> AsyncSubscription:
        return self

    async def __anext__(self) -> Event:
        return await self.get()

    def cancel(self) -> None:
        """Stop listening, and let go of what was not read."""
        self._subscription.cancel()
        if not self._told:
            self._inbox.end()
            self._ready.set()

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not getattr(self, "_told", True):
            self._subscription.cancel()
            self._inbox.end()


def _thread() -> int:
    import threading
    return threading.get_ident()


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(ready.set)


def _told(loop: asyncio.AbstractEventLoop, callback: Callable[[Event], Any]) -> Callable[[Event], Any]:
    """A listener that has ``callback`` run in the loop, as a task if it is a coroutine function."""
    tasks: set[Any] = set()

    def deliver(event: Event) -> None:
        result = callback(event)
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            tasks.add(task)     # the loop itself holds tasks only weakly
            task.add_done_callback(tasks.discard)
    return lambda event: loop.call_soon_threadsafe(deliver, event)

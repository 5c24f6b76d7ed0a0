"""Code that waits, run by a thread or on an event loop: one text for both.

What waits for the network calls :func:`wait` with what redis-py gave it. Outside of an event loop that is the result
already. Inside of :func:`on_loop` it is an awaitable: the code stands in a greenlet, and the task that runs it awaits
in its place. So the coroutines of ``store.aio`` mean what the methods mean, because they are them.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

STRIPES = 64


class Passage(greenlet):
    """Runs code of a store on an event loop."""


def loop_here() -> Any:
    """The event loop that the calling code is run on by :func:`on_loop`, None if it may block."""
    return asyncio.get_running_loop() if isinstance(getcurrent(), Passage) else None


def wait(result: Any) -> Any:
    """What ``result`` comes to: itself where the caller may block, else what awaiting it gives."""
    here = getcurrent()
    if isinstance(here, Passage):
        return here.parent.switch(result)
    return result


def pause(seconds: float) -> None:
    """Sleep, or let the event loop go on for so long."""
    if loop_here() is None:
        import time

        time.sleep(seconds)
    else:
        wait(asyncio.sleep(seconds))


class Turns:
    """Who wants to change one key at the same time, one after another: threads among themselves, and the tasks of each
    loop."""

    def __init__(self) -> None:
        self._of_threads = [threading.Lock() for _ in range(STRIPES)]
        self._of_loops: weakref.WeakKeyDictionary[Any, list[asyncio.Lock]] = weakref.WeakKeyDictionary()

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        loop = loop_here()
        locks: Any = self._of_threads
        if loop is not None:
            locks = self._of_loops.get(loop)
            if locks is None:
                locks = self._of_loops.setdefault(loop, [asyncio.Lock() for _ in range(STRIPES)])
        lock = locks[hash(key) % STRIPES]
        wait(lock.acquire())
        try:
            yield
        finally:
            lock.release()


async def on_loop(fn: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
    """Run ``fn`` here, and await what it waits for."""
    passage = Passage(fn, getcurrent())
    passage.gr_context = contextvars.copy_context()
    result = passage.switch(*args, **options)
    while not passage.dead:
        try:
            value = await result
        except BaseException as error:      # cancelled, too: it goes where the wait is
            result = passage.throw(error)
        else:
            result = passage.switch(value)
    return result

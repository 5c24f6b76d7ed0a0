"""The methods of a store as coroutines.

A store in memory answers at once, without a thread. One that may wait for a disk or a network works in a thread
of the event loop's executor.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from door43fast.compute import (
    FRESH, STALE, Computation, _inside, check_spans, forget, memoized, waiting)
from door43fast.contracts import MISSING, Capabilities, Event, Items, Progress, Seconds
from door43fast.transactions import Transaction

CHUNK = 256     # records that a scan fetches with one turn of a thread


class Caller:
    """Calls a store's blocking functions: here, or in a thread where they may wait."""

    __slots__ = ("_store", "_threads")

    def __init__(self, store: Any) -> None:
        self._store = store
        self._threads = bool(store.capabilities.persistent)

    async def _call(self, fn: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        if self._threads:
            return await asyncio.to_thread(fn, *args, **options)
        return fn(*args, **options)

    async def _each(self, start: Callable[[], Iterator[Any]]) -> AsyncIterator[Any]:
        records = await self._call(start)
        while chunk := await self._call(lambda: list(islice(records, CHUNK))):
            for record in chunk:
                yield record


class AsyncSurface(Caller):
    """What ``store.aio`` gives: every method of the store, with the same meaning, to be awaited.

    ``scan``, ``keys``, ``items``, ``values`` and ``scan_packed`` are asynchronous iterators, and ``transaction`` an
    asynchronous context manager. Only :meth:`get_or_compute` and :meth:`memoize` also take coroutine functions.
    """

    __slots__ = ()

    @property
    def capabilities(self) -> Capabilities:
        return self._store.capabilities

    @property
    def closed(self) -> bool:
        return self._store.closed

    # -- single keys -----------------------------------------------------------------------------------------

    async def get(self, key: Any, default: Any = None) -> Any:
        return await self._call(self._store.get, key, default)

    async def set(self, key: Any, value: Any, **options: Any) -> None:
        await self._call(self._store.set, key, value, **options)

    async def delete(self, key: Any) -> bool:
        return await self._call(self._store.delete, key)

    async def touch(self, key: Any, ttl: Seconds | None) -> bool:
        return await self._call(self._store.touch, key, ttl)

    async def ttl(self, key: Any) -> float | None:
        return await self._call(self._store.ttl, key)

    async def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        return await self._call(self._store.add, key, value, ttl=ttl)

    async def replace(self, key: Any, expected: Any, value: Any) -> bool:
        return await self._call(self._store.replace, key, expected, value)

    async def incr(self, key: Any, by: int = 1) -> int:
        return await self._call(self._store.incr, key, by)

    async def pop(self, key: Any, *default: Any) -> Any:
        return await self._call(self._store.pop, key, *default)

    async def popitem(self) -> tuple[Any, Any]:
        return await self._call(self._store.popitem)

    async def setdefault(self, key: Any, default: Any = None) -> Any:
        return await self._call(self._store.setdefault, key, default)

    async def contains(self, key: Any) -> bool:
        """``key in store``, which cannot be awaited."""
        return await self._call(self._store.__contains__, key)

    async def length(self) -> int:
        """``len(store)``, which cannot be awaited."""
        return await self._call(self._store.__len__)

    # -- batches ---------------------------------------------------------------------------------------------

    async def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        return await self._call(self._store.get_many, keys, default)

    async def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        await self._call(self._store.set_many, items, ttl=ttl)

    async def update(self, items: Items = (), /, **named: Any) -> None:
        await self._call(self._store.update, items, **named)

    async def delete_many(self, keys: Iterable[Any]) -> int:
        return await self._call(self._store.delete_many, keys)

    async def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        return await self._call(self._store.contains_many, keys)

    async def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        return await self._call(self._store.get_packed, keys, out=out)

    async def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        await self._call(self._store.set_packed, keys, data, offsets)

    # -- tags, ranges ----------------------------------------------------------------------------------------

    async def invalidate(self, tag: str) -> None:
        await self._call(self._store.invalidate, tag)

    def scan(self, prefix: Any = "", **options: Any) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(lambda: iter(self._store.scan(prefix, **options)))

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(lambda: iter(self._store.scan_packed(prefix, chunk)))

    def keys(self, prefix: Any = "") -> AsyncIterator[Any]:
        return self._each(lambda: iter(self._store.keys(prefix)))

    def items(self) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(self._store.items)

    def values(self) -> AsyncIterator[Any]:
        return self._each(self._store.values)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._each(lambda: iter(self._store))

    async def count(self, prefix: Any = "") -> int:
        return await self._call(self._store.count, prefix)

    # -- streams ---------------------------------------------------------------------------------------------

    def reader(self, key: Any) -> AsyncStream:
        """As the store's: ``async with store.aio.reader(key) as file: await file.read(n)``."""
        return AsyncStream(self._store, partial(self._store.reader, key))

    def writer(self, key: Any, **options: Any) -> AsyncStream:
        """As the store's: ``async with store.aio.writer(key) as file: await file.write(data)``."""
        return AsyncStream(self._store, partial(self._store.writer, key, **options))

    # -- atomic, compute, watch ------------------------------------------------------------------------------

    def transaction(self) -> AsyncTransaction:
        return AsyncTransaction(self._store)

    async def get_or_compute(self, key: Any, fn: Callable[[], Any], *, ttl: Seconds | None = None,
                             stale: Seconds | None = None) -> Any:
        """As the store's, and ``fn`` may be a coroutine function.

        The computation is a task of its own: it goes on when the caller that began it is cancelled, as long as
        others wait for it, and is cancelled with the last of them.
        """
        state, value = await self._call(self._store._lookup, key)
        if state == FRESH:
            return value
        check_spans(self._store, fn, ttl, stale)
        while True:
            mine = Computation(self._store, key, asyncio.get_running_loop())
            flight = self._store._flights.setdefault(mine.name, mine)
            if flight is mine:
                mine.task = mine.loop.create_task(self._fly(mine, fn, ttl, stale))
            elif flight.pid != mine.pid:    # of the process that this one was forked off from
                forget(self._store, flight)
                continue
            elif state == STALE and stale is not None:
                return value
            late = flight.voided
            await self._join(flight)
            if not (late or flight.abandoned):
                return flight.outcome()
            state, value = await self._call(self._store._lookup, key)
            if state == FRESH:
                return value

    async def _fly(self, flight: Computation, fn: Callable[[], Any], ttl: Seconds | None,
                   stale: Seconds | None) -> None:
        _inside.set(flight)     # in the context of this task alone
        try:
            flight.token, value = await self._call(self._store._read, flight.key)
            if value is MISSING:
                value = await self._call(fn)
                if inspect.isawaitable(value):
                    value = await value
                await self._call(self._store._publish, flight, flight.key, value, ttl, stale)
        except BaseException as error:
            flight.land(self._store, error=error)
            if not isinstance(error, Exception):
                raise
        else:
            flight.land(self._store, value)

    async def _join(self, flight: Computation) -> None:
        with waiting(flight):
            flight.waiters += 1
            try:
                await asyncio.wrap_future(flight.done)
            finally:
                flight.waiters -= 1
                if not flight.waiters and flight.task is not None and not flight.done.done():
                    flight.task.cancel()

    def memoize(self, *, ttl: Seconds | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        return memoized(self._store, ttl)

    async def subscribe(self, pattern: str, callback: Callable[[Event], Any], *, values: bool = False) -> Any:
        """As the store's; ``callback`` runs in this event loop, as a task if it is a coroutine function."""
        loop = asyncio.get_running_loop()
        tasks: set[Any] = set()

        def deliver(event: Event) -> None:
            result = callback(event)
            if inspect.isawaitable(result):
                task = asyncio.ensure_future(result)
                tasks.add(task)     # the loop itself holds tasks only weakly
                task.add_done_callback(tasks.discard)
        return self._store.subscribe(pattern, lambda event: loop.call_soon_threadsafe(deliver, event), values=values)

    # -- care ------------------------------------------------------------------------------------------------

    async def stats(self) -> dict[str, Any]:
        return await self._call(self._store.stats)

    async def flush(self) -> None:
        await self._call(self._store.flush)

    async def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        """As the store's; ``progress`` is called in the thread that does the work."""
        return await self._call(self._store.verify, progress=progress)

    async def record_trace(self, path: Any, *, sample: float = 1.0) -> Any:
        """Its ``stop()``, which waits for the disk, is called as it is."""
        return await self._call(self._store.record_trace, path, sample=sample)

    async def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        await self._call(self._store.backup, path, progress=progress)

    async def clear(self, prefix: Any = "") -> None:
        await self._call(self._store.clear, prefix)

    async def expire(self) -> int:
        return await self._call(self._store.expire)

    async def close(self) -> None:
        await self._call(self._store.close)

    async def __aenter__(self) -> AsyncSurface:
        self._store.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{self._store!r}.aio"


class AsyncStream(Caller):
    """A value as a binary file, to be awaited; it is opened by ``async with``."""

    __slots__ = ("_file", "_open")

    def __init__(self, store: Any, open: Callable[[], Any]) -> None:
        super().__init__(store)
        self._open = open

    async def __aenter__(self) -> AsyncStream:
        self._file = await self._call(self._open)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._call(self._file.__exit__, *error)

    async def read(self, size: int = -1) -> bytes:
        return await self._call(self._file.read, size)

    async def write(self, data: Any) -> int:
        return await self._call(self._file.write, data)

    async def seek(self, offset: int, whence: int = 0) -> int:
        return await self._call(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    async def close(self) -> None:
        await self._call(self._file.close)

    async def abandon(self) -> None:
        """Of a writer: give up what was written."""
        await self._call(self._file.abandon)


class AsyncTransaction(Caller):
    """``async with store.aio.transaction() as t:`` all that is written through ``t``, or nothing."""

    __slots__ = ("_transaction",)

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._transaction: Transaction = store.transaction()

    async def __aenter__(self) -> AsyncTransaction:
        await self._call(self._transaction.__enter__)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._call(self._transaction.__exit__, *error)

    async def get(self, key: Any, default: Any = None) -> Any:
        return await self._call(self._transaction.get, key, default)

    async def set(self, key: Any, value: Any, **options: Any) -> None:
        self._transaction.set(key, value, **options)

    async def delete(self, key: Any) -> bool:
        return await self._call(self._transaction.delete, key)

    async def pop(self, key: Any, *default: Any) -> Any:
        return await self._call(self._transaction.pop, key, *default)

    async def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        return await self._call(self._transaction.add, key, value, ttl=ttl)

    async def replace(self, key: Any, expected: Any, value: Any) -> bool:
        return await self._call(self._transaction.replace, key, expected, value)

    async def incr(self, key: Any, by: int = 1) -> int:
        return await self._call(self._transaction.incr, key, by)

    async def setdefault(self, key: Any, default: Any = None) -> Any:
        return await self._call(self._transaction.setdefault, key, default)

    async def contains(self, key: Any) -> bool:
        return await self._call(self._transaction.__contains__, key)

    async def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        return await self._call(self._transaction.get_many, keys, default)

    async def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        self._transaction.set_many(items, ttl=ttl)

    async def delete_many(self, keys: Iterable[Any]) -> int:
        return await self._call(self._transaction.delete_many, keys)

    async def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        return await self._call(self._transaction.contains_many, keys)

    def scan(self, prefix: Any = "", **options: Any) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(lambda: self._transaction.scan(prefix, **options))

    def keys(self, prefix: Any = "") -> AsyncIterator[Any]:
        return self._each(lambda: self._transaction.keys(prefix))

    async def count(self, prefix: Any = "") -> int:
        return await self._call(self._transaction.count, prefix)

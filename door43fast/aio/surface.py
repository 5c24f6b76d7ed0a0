"""The methods of a store as coroutines.

A store in memory answers at once, without a thread. One that may wait for a disk or a network works in a thread
of the event loop's executor, unless it has a client of its own for event loops: then it hands out a subclass of this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

from door43fast.aio.computing import AsyncCompute
from door43fast.aio.events import AsyncSubscription
from door43fast.aio.streams import AsyncStream
from door43fast.aio.transaction import AsyncTransaction
from door43fast.contracts import Capabilities, Event, Items, Progress, Seconds


class AsyncSurface(AsyncCompute):
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

    # -- atomic, watch ------------------------------------------------------------------------------------

    def transaction(self) -> AsyncTransaction:
        return AsyncTransaction(self._store)

    def subscribe(self, pattern: str | None = None, callback: Callable[[Event], Any] | None = None, *, key: Any = None,
                  prefix: Any = None, tag: str | None = None, values: bool = False, queue: int = 1024,
                  overflow: str = "drop", others: bool = False, since: int | None = None,
                  every: Seconds | None = None) -> AsyncSubscription:
        """Events to be awaited: ``async for event in store.aio.subscribe(prefix="a/"):``.

        As the store's, with a queue in any case. With a ``callback`` it is to be awaited instead, as in
        ``await store.aio.subscribe("*", callback)``: ``callback`` runs in this event loop, as a task if it is a
        coroutine function. Where the store answers in the loop itself, ``overflow="block"`` cannot wait, and drops.
        """
        return AsyncSubscription(self._store, pattern, callback, queue, overflow,
                                 {"key": key, "prefix": prefix, "tag": tag},
                                 {"values": values, "others": others, "since": since, "every": every})

    # -- care ------------------------------------------------------------------------------------------------

    async def stats(self) -> dict[str, Any]:
        return await self._call(self._store.stats)

    async def flush(self) -> None:
        await self._call(self._store.flush)

    async def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        """As the store's; ``progress`` is called in the thread that does the work."""
        return await self._call(self._store.verify, progress=progress)

    async def changes(self, since: int = 0) -> AsyncIterator[Any]:
        """As the store's, as an asynchronous iterator: what is written while it runs is yielded too."""
        more = True
        while more:
            more = False
            async for change in self._each(partial(self._store.changes, since)):
                yield change
                since, more = change.seq, True

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
        """As the store's: waits for the calls under way, also where the caller is cancelled."""
        await self._end(self._store.close)

    async def __aenter__(self) -> AsyncSurface:
        self._store.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        """Whatever else a store has, such as ``train`` and ``readers`` of one on disk, as a coroutine."""
        method = None if name.startswith("_") else getattr(self._store, name, None)
        if not callable(method):
            raise AttributeError(f"{self!r} has no {name!r}")
        return partial(self._call, method)

    def __repr__(self) -> str:
        return f"{self._store!r}.aio"



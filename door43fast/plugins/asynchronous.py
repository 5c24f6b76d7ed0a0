"""The base of a backend that only event loops can use: four coroutines, and ``aio`` comes with them.

It has no other methods that wait: whoever calls one is told to await it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NoReturn

from door43fast.contracts import Capabilities, Progress
from door43fast.errors import Error, UnsupportedError
from door43fast.plugins import record as frames
from door43fast.plugins.awaiting import AsyncRecords
from door43fast.plugins.backend import CHUNK, TAGS, _key, _reserved, name_of
from door43fast.plugins.ranges import after_prefix, bounds
from door43fast.plugins.record import Record
from door43fast.plugins.records import STEP, RecordStore
from door43fast.plugins.section import DELETE, Change, Found, Step
from door43fast.reference.packing import pack_pairs


class AsyncBackend(RecordStore):
    """A store over something that keeps bytes under names, and is to be awaited.

    A subclass defines the methods of :class:`~door43fast.plugins.Backend` as coroutines: ``read(names)``,
    ``write(changes)``, ``names(prefix)``, ``shut()``. It is used in one event loop, by ``store.aio``. It has no
    transactions and no streams.
    """

    asynchronous = True
    capabilities = Capabilities(persistent=True, transactions=False, streams=False, traces=True)

    async def read(self, names: list[str]) -> list[bytes | None]:
        raise NotImplementedError(f"{type(self).__name__} must define the coroutine read(self, names)")

    async def write(self, changes: dict[str, bytes | None]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define the coroutine write(self, changes)")

    async def names(self, prefix: str) -> Iterable[str]:
        raise NotImplementedError(f"{type(self).__name__} must define the coroutine names(self, prefix)")

    async def shut(self) -> None:
        """Let go of everything."""

    def where(self, key: str) -> str:
        """What the record of a key is called in an error."""
        return f"the record of key {key!r}"

    @property
    def aio(self) -> Awaited:
        """The methods of the store, to be awaited."""
        return Awaited(self)

    _tags_now: dict[str, int] = {}      # as of the change that is being made

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        return self._tags_now

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        self._open()
        raise UnsupportedError(f"{type(self).__name__} is only for event loops: await the method of the same name of "
                               "store.aio")

    _fetch = _change = _walk = _held = _at_once = _sync = _due = _sound = _refuse
    __enter__ = _refuse

    def close(self) -> None:
        """It is to be awaited too, unless it is closed already."""
        if not self._is_closed:
            self._refuse()


class Awaited(AsyncRecords):
    """What ``aio`` of an :class:`AsyncBackend` is: nothing of it runs in a thread."""

    __slots__ = ()

    def __init__(self, store: AsyncBackend) -> None:
        super().__init__(store)
        self._threads = False       # of functions given to get_or_compute too

    def _turn(self) -> asyncio.Lock:
        """Held while a change is made."""
        return self._store.__dict__.setdefault("_turns", asyncio.Lock())

    async def _records(self, keys: Sequence[str], tags: bool) -> tuple[Found, dict[str, int]]:
        store = self._store
        data = await store.read([name_of(key) for key in keys] + [TAGS] * tags)
        held = data.pop() if tags else None
        found: Found = [None if one is None else frames.unpack(one, store.where(key), key)[1]
                        for key, one in zip(keys, data, strict=True)]
        if not tags and any(record is not None and record.tags for record in found):
            held, tags = (await store.read([TAGS]))[0], True
        now = {} if held is None else json.loads(frames.unpack(held, "the record of tags", TAGS)[1].payload)
        return [record._replace(revoked=any(now.get(tag, 0) != generation for tag, generation in record.tags))
                if record is not None and record.tags else record for record in found], now

    async def fetch(self, keys: Sequence[str]) -> Found:
        return (await self._records(keys, False))[0]

    async def change(self, keys: Sequence[str], step: Step, *, void: bool = True, look: bool = True,
                     durable: bool = False) -> Any:
        async def made() -> Any:
            store = self._store
            async with self._turn():
                store._open()
                found, store._tags_now = await self._records(keys, True)
                result, changes = step(found if look else [None] * len(keys))
                if changes:
                    await store.write({name_of(change.key): None if change.record is None else
                                       frames.pack(change.key, change.record) for change in changes})
                    store._serial += 1
                with store._lock:
                    store._applied(keys, changes, void)
            store._queue.drain()
            return result
        return await self._whole(made())

    @staticmethod
    async def _whole(work: Any) -> Any:
        """What has begun is made as a whole, also if its caller is cancelled."""
        return await asyncio.shield(asyncio.ensure_future(work))

    # -- ranges ----------------------------------------------------------------------------------------------

    async def _range(self, low: str, high: str | None) -> list[str]:
        prefix = low if after_prefix(low) == high else ""
        keys = [_key(name) for name in await self._store.names(name_of(prefix) if prefix else "")
                if not _reserved(name)]
        return sorted(key for key in keys if key >= low and (high is None or key < high))

    async def _walk(self, low: str, high: str | None, reverse: bool = False) -> AsyncIterator[tuple[str, Record]]:
        self._store._open()
        keys = (await self._range(low, high))[::-1 if reverse else 1]
        for at in range(0, len(keys), CHUNK):
            self._store._open()
            chunk = keys[at:at + CHUNK]
            for key, record in zip(chunk, await self.fetch(chunk), strict=True):
                if record is not None and self._store._live(record):
                    yield key, record

    async def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
                   limit: int | None = None) -> AsyncIterator[tuple[Any, Any]]:
        self._store._lacks("ordered", "has no order of keys")
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"limit={limit!r} must be a whole number of 0 or more, or None")
        left = limit
        async for key, record in self._walk(*bounds(prefix, start, stop), reverse):
            if left is not None:
                if left == 0:
                    return
                left -= 1
            yield key, self._store._decode(record)

    async def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> AsyncIterator[tuple[Any, Any]]:
        self._store._lacks("packed", "packs no batches")
        for pair in pack_pairs(iter([record async for record in self.scan(prefix)]), chunk):
            yield pair

    async def keys(self, prefix: Any = "") -> AsyncIterator[Any]:
        async for key, _ in self._walk(*bounds(prefix)):
            yield key

    def items(self) -> AsyncIterator[tuple[Any, Any]]:
        return self.scan()

    async def values(self) -> AsyncIterator[Any]:
        async for _, value in self.scan():
            yield value

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.keys()

    async def count(self, prefix: Any = "") -> int:
        return len([key async for key in self.keys(prefix)])

    async def length(self) -> int:
        self._store._open()
        return len(await self._range("", None))

    async def popitem(self) -> tuple[Any, Any]:
        async for key in self.keys():
            missing = object()
            value = await self.pop(key, missing)
            if value is not missing:
                return key, value
        raise KeyError(f"popitem: {self._store!r} is empty")

    # -- everything at once ----------------------------------------------------------------------------------

    async def clear(self, prefix: Any = "") -> None:
        self._store._lacks("writes", "takes no writes")
        low, high = bounds(prefix)

        async def made() -> None:
            async with self._turn():
                self._store._open()
                await self._store.write({name_of(key): None for key in await self._range(low, high)})
                self._store._serial += 1
                with self._store._lock:
                    self._store._void_all()
                    self._store._queue.push("clear", prefix, "user")
            self._store._queue.drain()
        await self._whole(made())

    async def invalidate(self, tag: str) -> None:
        self._store._lacks("tags", "has no tags")
        self._store._lacks("writes", "takes no writes")
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")

        async def made() -> None:
            async with self._turn():
                self._store._open()
                now = (await self._records([], True))[1]
                now[tag] = now.get(tag, 0) + 1
                await self._store.write({TAGS: frames.pack(TAGS, Record(0, json.dumps(now).encode()))})
                self._store._serial += 1
                with self._store._lock:
                    self._store._void_all()
                    self._store._queue.push("invalidate", tag, "user")
            self._store._queue.drain()
        await self._whole(made())

    async def expire(self) -> int:
        store = self._store
        store._open()
        if not store.capabilities.writes:
            return 0

        def due(record: Record | None) -> bool:
            return record is not None and record.deadline is not None and (
                record.deadline + record.stale <= store._clock.seconds)
        named = await self._range("", None)
        keys = [key for key, record in zip(named, await self.fetch(named), strict=True) if due(record)]

        def step(found: Found) -> tuple[int, list[Change]]:
            gone = [Change(key, None, DELETE, "expire", None, record)
                    for key, record in zip(keys, found, strict=True) if due(record)]
            return len(gone), gone
        return await self.change(keys, step, void=False) if keys else 0

    # -- care ------------------------------------------------------------------------------------------------

    async def stats(self) -> dict[str, Any]:
        return {"entries": await self.length(), **self._store._counts, "bytes": None}

    async def flush(self) -> None:
        """What was written is in the backend's hands; listeners have had it."""
        self._store._open()
        self._store._queue.flush()

    async def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        self._store._open()
        keys = await self._range("", None)
        errors = []
        for done, key in enumerate(keys, 1):
            try:
                for record in await self.fetch([key]):
                    if record is not None:
                        self._store._decode(record)
            except Error as error:
                errors.append(str(error))
            if progress is not None and done % STEP == 0:
                progress(done, len(keys), "records")
        if progress is not None:
            progress(max(len(keys), 1), max(len(keys), 1), "records")
        return {"checked": len(keys), "errors": errors}

    async def close(self) -> None:
        async def made() -> None:
            async with self._turn():        # after the change that is under way
                if not self._store._is_closed:
                    self._store._is_closed = True
                    await self._store.shut()
            if self._store._recording is not None:
                self._store._recording._close()
        await self._whole(made())

    async def __aenter__(self) -> Awaited:
        self._store._open()
        return self

"""``aio`` of a backend that has a client of its own for event loops: keys and batches, without a thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from door43fast.aio import AsyncSurface
from door43fast.arguments import span
from door43fast.contracts import MISSING, Items, Seconds
from door43fast.plugins.record import Record
from door43fast.plugins.section import Found, Step
from door43fast.reference.packing import pack, unpack


class AsyncRecords(AsyncSurface):
    """The methods for keys and batches of a :class:`RecordStore`, over two coroutines.

    A store that has such a client makes its property ``aio`` return a subclass, which defines

    - ``fetch(keys)``: what the store's ``_fetch`` gives,
    - ``change(keys, step, ...)``: what the store's ``_change`` does. After it has applied the changes of ``step`` it
      calls ``self._store._applied(keys, changes, void)``, and at the end ``self._store._queue.drain()``.

    All other methods go on in threads, until the subclass overrides them too.
    """

    __slots__ = ()

    async def fetch(self, keys: Sequence[str]) -> Found:
        raise NotImplementedError(f"{type(self).__name__} must define fetch(self, keys)")

    async def change(self, keys: Sequence[str], step: Step, *, void: bool = True, look: bool = True,
                     durable: bool = False) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define change(self, keys, step, ...)")

    # -- reads -----------------------------------------------------------------------------------------------

    async def _asked(self, key: str) -> Record | None:
        """The record of a read that is counted and recorded."""
        self._store._open()
        if self._store._recording is not None:
            self._store._recording.note(hash(key))
        return (await self.fetch([key]))[0]

    async def get(self, key: Any, default: Any = None) -> Any:
        store = self._store
        record = await self._asked(store._key(key))
        live = store._live(record)
        store._count(live, not live)
        return store._value(key, record) if live else default

    async def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        store = self._store
        wanted = [store._key(key) for key in keys]
        store._open()
        if store._recording is not None:
            for key in wanted:
                store._recording.note(hash(key))
        values = [store._value(key, record) if store._live(record) else MISSING
                  for key, record in zip(wanted, await self.fetch(wanted), strict=True)]
        misses = values.count(MISSING)
        store._count(len(values) - misses, misses)
        return [default if value is MISSING else value for value in values]

    async def contains(self, key: Any) -> bool:
        return (await self.contains_many([key]))[0]

    async def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        wanted = [self._store._key(key) for key in keys]
        self._store._open()
        return [self._store._live(record) for record in await self.fetch(wanted)]

    async def ttl(self, key: Any) -> float | None:
        store = self._store
        store._open()
        record = (await self.fetch([store._key(key)]))[0]
        if not store._live(record):
            raise KeyError(key)
        return None if record.deadline is None else record.deadline - store._clock.seconds

    async def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        self._store._lacks("packed", "packs no batches")
        keys = list(keys)
        return pack(keys, await self.get_many(keys, MISSING), out)

    # -- writes ----------------------------------------------------------------------------------------------

    async def _put(self, keys: list[str], drafts: list[Any], durable: bool = False) -> None:
        self._store._lacks("writes", "takes no writes")
        await self.change(keys, self._store._step_put(keys, drafts), look=self._store._looks(drafts), durable=durable)

    async def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (),
                  pin: bool = False, durable: bool = False) -> None:
        await self._put([self._store._key(key)], [self._store._draft(value, ttl, tags, pin)], durable)

    async def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        drafts = self._store._drafts(items, ttl)
        await self._put(list(drafts), list(drafts.values()))

    async def update(self, items: Items = (), /, **named: Any) -> None:
        await self.set_many(items)
        if named:
            await self.set_many(named)

    async def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        self._store._lacks("packed", "packs no batches")
        await self.set_many(unpack(keys, data, offsets))

    async def delete(self, key: Any) -> bool:
        return await self.delete_many([key]) == 1

    async def delete_many(self, keys: Iterable[Any]) -> int:
        wanted = list(dict.fromkeys(self._store._key(key) for key in keys))
        self._store._lacks("writes", "takes no writes")
        return await self.change(wanted, self._store._step_take(wanted))

    async def pop(self, key: Any, *default: Any) -> Any:
        self._store._lacks("writes", "takes no writes")
        name = self._store._key(key)
        record = await self.change([name], self._store._step_pop(name))
        if record is not None:
            return self._store._value(name, record)
        if not default:
            raise KeyError(key)
        return default[0]

    async def touch(self, key: Any, ttl: Seconds | None) -> bool:
        self._store._lacks("ttl", "has no expiry")
        self._store._lacks("writes", "takes no writes")
        seconds = None if ttl is None else span(ttl, "ttl")
        name = self._store._key(key)
        return await self.change([name], self._store._step_touch(name, seconds), void=seconds == 0)

    async def _swap(self, key: str, token: Any, draft: Any, keep: bool = False) -> bool:
        self._store._lacks("writes", "takes no writes")
        return await self.change([key], self._store._step_swap(key, token, draft, keep))

    async def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        return await self._swap(self._store._key(key), 0, self._store._draft(value, ttl))

    async def setdefault(self, key: Any, default: Any = None) -> Any:
        while True:
            value = await self.get(key, MISSING)
            if value is not MISSING:
                return value
            if await self.add(key, default):
                return default

    async def replace(self, key: Any, expected: Any, value: Any) -> bool:
        name = self._store._key(key)
        self._store._lacks("writes", "takes no writes")
        while True:
            token, current = await self._read(name)
            if current is MISSING or not (current is expected or current == expected):
                return False
            if await self._swap(name, token, self._store._draft(value, None)):
                return True

    async def incr(self, key: Any, by: int = 1) -> int:
        name = self._store._key(key)
        self._store._lacks("writes", "takes no writes")
        while True:
            token, current = await self._read(name)
            total = self._store._sum(name, current, by)
            if await self._swap(name, token, self._store._draft(total, None), keep=True):
                return total

    # -- computations ----------------------------------------------------------------------------------------

    async def _lookup(self, key: Any) -> tuple[int, Any]:
        self._store._lacks("compute", "stores nothing that is computed")
        key = self._store._key(key)
        return self._store._state(key, await self._asked(key))

    async def _read(self, key: Any) -> tuple[Any, Any]:
        self._store._open()
        record = (await self.fetch([self._store._key(key)]))[0]
        live = self._store._live(record)
        return (record.version, self._store._value(key, record)) if live and record is not None else (0, MISSING)

    async def _publish(self, flight: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> Any:
        key = self._store._key(flight.key)
        step = self._store._step_publish(flight, key, self._store._draft(value, ttl, stale=stale))
        return await self.change([key], step, void=False)

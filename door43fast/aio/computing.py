"""One computation at a time per key, for functions and coroutine functions."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from door43fast.aio.calls import Caller
from door43fast.claims import Patience, claim_on
from door43fast.compute import FRESH, STALE, Computation, _inside, check_spans, left_behind, memoized, waiting
from door43fast.contracts import DEADLINE, MISSING, Seconds


class AsyncCompute(Caller):
    """``get_or_compute`` and ``memoize``. A store of another kind brings the three steps as coroutines."""

    __slots__ = ()

    async def _lookup(self, key: Any) -> tuple[int, Any]:
        return await self._call(self._store._lookup, key)

    async def _read(self, key: Any) -> tuple[Any, Any]:
        return await self._call(self._store._read, key)

    async def _publish(self, flight: Computation, value: Any, ttl: Seconds | None, stale: Seconds | None) -> Any:
        return await self._call(self._store._publish, flight, flight.key, value, ttl, stale)

    async def get_or_compute(self, key: Any, fn: Callable[[], Any], *, ttl: Seconds | None = None,
                             stale: Seconds | None = None, deadline: Seconds = DEADLINE) -> Any:
        """As the store's, and ``fn`` may be a coroutine function.

        The computation is a task of its own: it goes on when the caller that began it is cancelled, as long as
        others wait for it, and is cancelled with the last of them.
        """
        state, value = await self._lookup(key)
        if state == FRESH:
            return value
        check_spans(self._store, fn, ttl, stale, deadline)
        while True:
            mine = Computation(self._store, key, asyncio.get_running_loop())
            flight = self._store._flights.setdefault(mine.name, mine)
            if flight is mine:
                mine.task = mine.loop.create_task(self._fly(mine, fn, ttl, stale, deadline))
            elif left_behind(self._store, flight, mine):
                continue
            elif state == STALE and stale is not None:
                self._store._served_stale()
                return value
            late = flight.voided
            await self._join(flight)
            if not late and (not flight.abandoned or flight is mine and flight.error is None):
                return flight.outcome()     # if it is mine, a stale value too, for which I asked
            state, value = await self._lookup(key)
            if state == FRESH:
                return value

    async def _fly(self, flight: Computation, fn: Callable[[], Any], ttl: Seconds | None,
                   stale: Seconds | None, deadline: Seconds) -> None:
        _inside.set(flight)     # in the context of this task alone
        fresh = True
        try:
            claim = claim_on(self._store, flight, deadline)
            try:
                value, fresh = await self._claimed(flight, claim, stale)
                if value is MISSING:
                    value = await self._call_foreign(fn)
                    if inspect.isawaitable(value):
                        value = await value
                    await self._publish(flight, value, ttl, stale)
            finally:
                if claim is not None:
                    await self._of(claim, claim.release)
        except BaseException as error:
            flight.land(self._store, error=error)
            if not isinstance(error, Exception):
                raise
        else:
            flight.land(self._store, value, share=fresh)

    async def _of(self, claim: Any, method: Callable[[], Any]) -> Any:
        return await self._end(method) if claim.waits else method()

    async def _claimed(self, flight: Computation, claim: Any, stale: Seconds | None) -> tuple[Any, bool]:
        """As of a thread's flight, without keeping the event loop from anything."""
        patience = Patience()
        while True:
            mine = claim is None or await self._of(claim, claim.take)
            flight.token, value = await self._read(flight.key)
            if mine or value is not MISSING:
                return value, True
            if stale is not None:
                state, value = await self._lookup(flight.key)
                if state == STALE:
                    self._store._served_stale()
                if state in (FRESH, STALE):
                    return value, state == FRESH
            rival = claim.rival()
            if rival is None:
                await asyncio.sleep(patience.pause())
            else:
                with waiting(rival):
                    await asyncio.wrap_future(rival.done)

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

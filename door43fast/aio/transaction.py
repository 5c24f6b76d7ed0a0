"""A transaction, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from door43fast.aio.calls import Caller
from door43fast.contracts import Items, Seconds
from door43fast.transactions import Transaction


class AsyncTransaction(Caller):
    """``async with store.aio.transaction() as t:`` all that is written through ``t``, or nothing."""

    __slots__ = ("_transaction",)

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._transaction: Transaction = store.transaction()

    async def __aenter__(self) -> AsyncTransaction:
        await self._take(self._transaction.__enter__, _abandon)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._end(self._transaction.__exit__, *error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)     # which refuses what a transaction cannot

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

    async def update(self, items: Items = (), /, **named: Any) -> None:
        self._transaction.update(items, **named)

    async def delete_many(self, keys: Iterable[Any]) -> int:
        return await self._call(self._transaction.delete_many, keys)

    async def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        return await self._call(self._transaction.contains_many, keys)

    def scan(self, prefix: Any = "", **options: Any) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(lambda: self._transaction.scan(prefix, **options))

    def keys(self, prefix: Any = "") -> AsyncIterator[Any]:
        return self._each(lambda: self._transaction.keys(prefix))

    def items(self) -> AsyncIterator[tuple[Any, Any]]:
        return self._each(self._transaction.items)

    def values(self) -> AsyncIterator[Any]:
        return self._each(self._transaction.values)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.keys()

    async def length(self) -> int:
        return await self._call(self._transaction.__len__)

    async def count(self, prefix: Any = "") -> int:
        return await self._call(self._transaction.count, prefix)


def _abandon(transaction: Transaction) -> None:
    """End what nobody got, so that it holds no snapshot."""
    error = asyncio.CancelledError()
    transaction.__exit__(type(error), error, None)

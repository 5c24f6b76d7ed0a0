"""Values as binary files, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from door43fast.aio.calls import Caller


class AsyncStream(Caller):
    """A value as a binary file, to be awaited; it is opened by ``async with``."""

    __slots__ = ("_file", "_open")

    def __init__(self, store: Any, open: Callable[[], Any]) -> None:
        super().__init__(store)
        self._open = open

    async def __aenter__(self) -> AsyncStream:
        self._file = await self._take(self._open, _abandon)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._end(self._file.__exit__, *error)

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


def _abandon(file: Any) -> None:
    """Close what nobody got; a writer gives up what it would write."""
    error = asyncio.CancelledError()
    file.__exit__(type(error), error, None)

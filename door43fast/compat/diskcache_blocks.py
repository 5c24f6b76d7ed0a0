"""The blocks of ``Cache.transact``: one at a time over all processes, each a transaction of the store.

A block holds an exclusive lock of the file ``transact.lock`` from its beginning to its end, so two blocks never
conflict. A write outside of every block does not wait for one; if it changes what the block has read, the block's
commit says so.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import Error

LOOK_AGAIN = 0.001      # seconds


class Timeout(Error):
    """Another block of ``transact`` took longer than the cache's ``timeout``; run it again."""


def left(expire: float | None) -> float | None:
    """An expiry as a time to live: what lies in the past is expired at once."""
    return None if expire is None else max(expire, 0)


class Block:
    """One block: the transaction, and of what it wrote also the expiry and the tag."""

    def __init__(self, transaction: Any, cache: Any) -> None:
        self.transaction = transaction
        self.cache = cache
        self.about: dict[Any, tuple[float | None, str | None]] = {}

    def get(self, name: Any, default: Any = None) -> Any:
        return self.transaction.get(name, default)

    def __contains__(self, name: Any) -> bool:
        return name in self.transaction

    def scan(self, **bounds: Any) -> Iterator[tuple[Any, Any]]:
        return self.transaction.scan(**bounds)

    def read(self, name: Any) -> tuple[Any, float | None, str | None] | None:
        """Value, expiry and tag. If those two are of another version than the value, the commit finds it out."""
        value = self.transaction.get(name, MISSING)
        if value is MISSING:
            return None
        if name not in self.about:
            found = self.cache._whole(name)
            return (value, None, None) if found is None else (value, *found[1:])
        return (value, *self.about[name])

    def write(self, name: Any, value: Any, expire: float | None, tag: str | None) -> None:
        self.transaction.set(name, value, ttl=left(expire), tags=self.cache._tag_names(tag))
        self.about[name] = (None if expire is None else time.time() + expire, tag)

    def delete(self, name: Any) -> bool:
        self.about.pop(name, None)
        return self.transaction.delete(name)

    def pop(self, name: Any, default: Any) -> Any:
        self.about.pop(name, None)
        return self.transaction.pop(name, default)


class Blocks:
    """The blocks of one cache, by the threads that are inside them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._by_thread: dict[int, Block] = {}

    def mine(self) -> Block | None:
        """The block that this thread is inside of."""
        return self._by_thread.get(threading.get_ident()) if self._by_thread else None

    def read(self, cache: Any, name: Any) -> tuple[Any, float | None, str | None] | None:
        block = self.mine()
        return cache._whole(name) if block is None else block.read(name)

    @contextmanager
    def enter(self, cache: Any, timeout: float | None) -> Iterator[None]:
        thread = threading.get_ident()
        if self.mine() is not None:
            yield
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take(fd, timeout)
            with cache.store.transaction() as transaction:
                self._by_thread[thread] = Block(transaction, cache)
                try:
                    yield
                finally:
                    del self._by_thread[thread]
        finally:
            os.close(fd)        # which lets go of the lock

    def _take(self, fd: int, timeout: float | None) -> None:
        if timeout is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
            return
        end = time.monotonic() + timeout
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Timeout(f"another transact() block holds {self._path} for longer than {timeout} s: run "
                                  "yours again, give retry=True, or a longer timeout=") from None
                time.sleep(LOOK_AGAIN)

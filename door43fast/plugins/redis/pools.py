"""Connections of redis-py: a pool for each server, and others for each event loop.

Threads share the pools of the process. A connection is of one event loop, so each loop has pools of its own, which are
closed when the loop ends. In the child of a fork all are others, and those of the parent go on there.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from door43fast.plugins.redis.options import Place, RedisOptions, Server, tls_arguments
from door43fast.plugins.redis.passage import loop_here, wait


class OfLoop:
    """The pools of one event loop, and what closes them."""

    def __init__(self, pools: dict[Server, Any], end: Any) -> None:
        self.pools = pools
        self.end = end


async def _ending(pools: dict[Server, Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for pool in list(pools.values()):
            await pool.disconnect()
        pools.clear()


class Pools:
    """The pools of one store."""

    def __init__(self, options: RedisOptions, place: Place) -> None:
        self._options = options
        self._place = place
        self._lock = threading.Lock()
        self._blocking: dict[Server, Any] = {}
        self._of_parent: list[Any] = []
        self._of_loops: weakref.WeakKeyDictionary[Any, OfLoop] = weakref.WeakKeyDictionary()

    def arguments(self, server: Server, retry: type) -> dict[str, Any]:
        """How a connection to ``server`` is made: it never tries anything again by itself."""
        options, place = self._options, self._place
        tls = tls_arguments(options) if place.tls else {}
        return {"host": server.host, "port": server.port, "db": place.db, "username": place.username,
                "password": place.password, "socket_timeout": options.timeout, "protocol": 3,
                "socket_connect_timeout": options.connect_timeout, "socket_keepalive": True,
                "retry": retry(NoBackoff(), 0), "driver_info": None,
                "maint_notifications_config": MaintNotificationsConfig(enabled=False), **tls}

    def connection(self, server: Server, timeout: float) -> Any:
        """A blocking connection of the caller's own, in no pool, which waits ``timeout`` for each answer."""
        kind = redis.SSLConnection if self._place.tls else redis.Connection
        return kind(**{**self.arguments(server, redis.retry.Retry), "socket_timeout": timeout})

    def at(self, server: Server) -> Any:
        """The pool for ``server``: that of the event loop that the caller runs on, or the one of all threads."""
        loop = loop_here()
        if loop is not None and loop not in self._of_loops:
            self._begin(loop)
        with self._lock:
            pools = self._blocking if loop is None else self._of_loops[loop].pools
            pool = pools.get(server)
            if pool is None:
                pool = pools[server] = self._make(server, loop)
        return pool

    def _begin(self, loop: Any) -> None:
        """Have pools for a loop, and have them closed where ``asyncio.run`` ends it: as an open generator is."""
        with self._lock:
            if loop in self._of_loops:
                return
            own = self._of_loops[loop] = OfLoop({}, None)
        own.end = _ending(own.pools)
        wait(own.end.__anext__())

    def _make(self, server: Server, loop: Any) -> Any:
        module: Any = redis if loop is None else redis.asyncio
        retry: Any = redis.retry.Retry if loop is None else redis.asyncio.retry.Retry
        kind = module.SSLConnection if self._place.tls else module.Connection
        return module.BlockingConnectionPool(
            max_connections=self._options.connections, timeout=self._options.timeout, connection_class=kind,
            **self.arguments(server, retry))

    def renew(self) -> None:
        """In the child of a fork.

        The parent's connections are closed here, not shut down: redis-py knows which process opened them. Those of its
        event loops are kept as they are, since to let go of one takes it out of the selector, which the parent shares.
        """
        self._lock = threading.Lock()
        self._blocking = {}
        self._of_parent.append(list(self._of_loops.items()))
        self._of_loops = weakref.WeakKeyDictionary()

    def close(self) -> None:
        """Close those of the threads and those of the loop that the caller runs on; others end with their loops."""
        with self._lock:
            here = loop_here()
            blocking, self._blocking = list(self._blocking.values()), {}
            own = None if here is None else self._of_loops.pop(here, None)
        for pool in blocking:
            pool.disconnect()
        if own is not None:
            wait(own.end.aclose())

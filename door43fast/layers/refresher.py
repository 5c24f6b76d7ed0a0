"""Values that are renewed in the background while they are given past their time: one fetch a key, two threads."""

from __future__ import annotations

import os
import sys
import threading
import types
import weakref
from collections import deque
from typing import Any

from door43fast.errors import blames_layer

THREADS = 2
MOST = 1024     # keys that wait to be renewed; whoever reads one beyond that asks again later
IDLE = 5.0      # seconds after which a thread without work ends
PATIENCE = 5.0  # seconds that the end of a store waits for a fetch under way

_refreshers: weakref.WeakSet[Refresher] = weakref.WeakSet()


class Refresher:
    """Of one cascade, which it does not keep alive. Its threads begin with the first key and end when idle."""

    def __init__(self, cascade: Any) -> None:
        self._cascade = weakref.ref(cascade)
        self._closed = False
        self.anew()
        _refreshers.add(self)

    def anew(self) -> None:
        """Begin with nothing to do, as in the child of a fork, where the threads are not."""
        self._change = threading.Condition()
        self._waiting: deque[tuple[Any, Any]] = deque()
        self._under_way: set[Any] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0

    def ask(self, key: Any, local: Any) -> None:
        """Have ``key`` renewed, unless it is being renewed already. ``local`` tells it from others."""
        with self._change:
            if self._closed or local in self._under_way or len(self._under_way) >= MOST:
                return
            self._under_way.add(local)
            self._waiting.append((key, local))
            if self._idle >= len(self._waiting) or len(self._threads) == THREADS:
                self._change.notify()
                return
            thread = threading.Thread(target=_work, args=(self,), daemon=True, name="door43fast refresh")
            self._threads.add(thread)
            thread.start()

    def _next(self) -> tuple[Any, Any] | None:
        """What to do next; None: the thread ends."""
        with self._change:
            self._idle += 1
            try:
                self._change.wait_for(lambda: self._waiting or self._closed, IDLE)
            finally:
                self._idle -= 1
            if self._waiting and not self._closed:
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())
            return None

    def _renew(self, key: Any) -> bool:
        """Renew one value. False: the cascade is gone."""
        cascade = self._cascade()
        if cascade is None or cascade.closed:
            return False
        try:
            cascade._refresh(key)
        except Exception as error:      # counted by the cascade; the stale value stays until its window ends
            if not blames_layer(error) and not cascade.closed:
                sys.unraisablehook(types.SimpleNamespace(       # type: ignore[arg-type]
                    exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__,
                    err_msg=f"Exception ignored while {key!r} was renewed in the background", object=cascade))
        return True

    def _done(self, local: Any) -> None:
        with self._change:
            self._under_way.discard(local)

    def close(self) -> None:
        """End the threads. A fetch under way is waited for, but not for long."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(PATIENCE)


def _work(refresher: Refresher) -> None:
    while (job := refresher._next()) is not None:
        try:
            going = refresher._renew(job[0])
        finally:
            refresher._done(job[1])
        if not going:
            refresher.close()


def _after_fork() -> None:
    for refresher in list(_refreshers):
        refresher.anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

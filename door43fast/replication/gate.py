"""A gate that writers go through, and that a promotion closes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """``entered`` waits while it is closed; ``closed`` waits until nobody is inside, within a bound."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def entered(self, nested: bool) -> Iterator[None]:
        """A write. ``nested``: of a thread that is inside already, by a listener."""
        with self._moved:
            while self._closed and not nested:
                self._moved.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._moved:
                self._inside -= 1
                self._moved.notify_all()

    @contextmanager
    def closed(self, seconds: float) -> Iterator[None]:
        """Nobody comes in; who is inside after so many seconds finds that the lineup is another one."""
        with self._moved:
            while self._closed:
                self._moved.wait()
            self._closed = True
            self._moved.wait_for(lambda: self._inside == 0, seconds)
        try:
            yield
        finally:
            with self._moved:
                self._closed = False
                self._moved.notify_all()

"""The server's clock, as far as it can be known here: its answer to TIME, and what has passed since."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

AGAIN = 60.0        # seconds after which it is asked again: clocks of computers part by some milliseconds in that


# Seconds on a clock that nobody sets, and that goes on while the machine sleeps where there is one such.
passed: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic)


class ServerClock:
    """``seconds`` is Unix time by the server, off by half of what asking it took, at the most."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._asking = threading.Lock()
        self._base = 0.0
        self._asked = float("-inf")

    @property
    def seconds(self) -> float:
        now = passed()
        if now - self._asked > AGAIN:
            self._set()
            now = passed()
        return self._base + now

    def _set(self) -> None:
        before = passed()
        seconds, microseconds = self._ask()
        after = passed()
        with self._asking:
            self._base = int(seconds) + int(microseconds) / 1e6 - (before + after) / 2
            self._asked = before

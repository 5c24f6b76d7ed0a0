"""The server's clock, as far as it can be known here: its answer to TIME, and what has passed since."""

from __future__ import annotations

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
        self._known = (0.0, float("-inf"))      # server's time less ours, and when it was asked: one, for all threads

    @property
    def seconds(self) -> float:
        base, asked = self._known
        now = passed()
        if now - asked > AGAIN:
            seconds, microseconds = self._ask()
            after = passed()
            base = int(seconds) + int(microseconds) / 1e6 - (now + after) / 2
            self._known = (base, now)
            now = after
        return base + now

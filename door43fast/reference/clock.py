"""The clocks of the reference engine."""

from __future__ import annotations

import time


class MonotonicClock:
    """Seconds that never go back; their zero means nothing."""

    @property
    def seconds(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until :meth:`advance` is called: for tests, in place of sleeping."""

    def __init__(self) -> None:
        self.seconds = 1e9

    def advance(self, seconds: float) -> None:
        """Move the clock by ``seconds``, which may be negative (a wall clock that is set back)."""
        self.seconds += seconds

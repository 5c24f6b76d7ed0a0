"""The clocks of the reference engine, and the reading of time spans given by a caller."""

from __future__ import annotations

import math
import time
from datetime import timedelta

LONGEST = 3e9  # seconds; what the native clocks can add to the time of this century


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


def span(seconds: object, what: str) -> float:
    """Seconds of a span given as a number or a timedelta; negative, NaN and endless ones are refused."""
    if isinstance(seconds, timedelta):
        value = seconds.total_seconds()
    elif isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        value = float(seconds)
    else:
        raise TypeError(f"{what} is seconds (a number) or a timedelta, not {type(seconds).__name__}")
    if math.isnan(value) or not 0 <= value <= LONGEST:
        raise ValueError(f"{what}={seconds!r} is out of range: give seconds from 0 to {LONGEST:.0f}, "
                         "or None for no expiry")
    return value

"""How many keys a namespace may read and write in a second: a bucket that fills steadily."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from door43fast.errors import RateError


class Bucket:
    """``rate`` tokens a second drip in, ``burst`` at the most lie there, and each key takes one.

    A batch of more than ``burst`` keys is let through by a full bucket, which it leaves owing: so over time the rate
    is kept exactly. Of one process: others have buckets of their own. ``now`` gives seconds that never go back.
    """

    def __init__(self, name: str, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._name, self._now = name, now
        self._lock = threading.Lock()
        self._tokens, self._at = float(burst), now()

    def take(self, keys: int) -> None:
        """Let ``keys`` through, or raise RateError."""
        with self._lock:
            now = self._now()
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
            self._at = now
            lack = min(keys, self.burst) - self._tokens
            if lack <= 0:
                self._tokens -= keys
                return
        raise RateError(self._name, self.rate, lack / self.rate)

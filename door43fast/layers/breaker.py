"""A circuit breaker: who has failed several times in a row is spared for a while, and then tried with single calls.

Closed, all calls pass. After ``failures`` in a row it is open, and none does. ``reset`` seconds later it is half-open:
up to ``probes`` calls pass at a time, as many successes close it, and one failure opens it again. What began before it
last opened or closed says nothing any more.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from door43fast.errors import ConfigError
from door43fast.layers.failures import Spared

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
ABSENT = "absent"       # what is told of a layer that has not been there since the plan was opened


class Breaker:
    """The state of one layer. Every method may be called from any thread.

    Parameters
    ----------
    name : str
        What the layer is called in errors.
    failures, reset, probes
        As of :class:`door43fast.layers.Guard`.
    clock : object
        Something with ``seconds``.
    """

    def __init__(self, name: str, failures: int, reset: float, probes: int, clock: Any) -> None:
        for option, value in (("failures", failures), ("probes", probes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{option}={value!r} is not allowed: give a whole number of 1 or more")
        if isinstance(reset, bool) or not isinstance(reset, (int, float)) or not 0 <= reset < 1e9:
            raise ConfigError(f"reset={reset!r} is not allowed: give seconds, 0 or more")
        self.name, self.clock = name, clock
        self.limit, self.reset, self.probes = failures, reset, probes
        self.failures = self.rejected = 0       # since the store was opened
        self._state = CLOSED
        self._turn = 0          # how often it has opened or closed
        self._row = 0           # failures in a row while closed, successes in a row while half-open
        self._trying = 0        # probes under way
        self._until = 0.0       # when it may be tried again
        self._since = 0.0       # Unix time of its opening, for people
        self.why = ""
        self.renew_lock()

    def renew_lock(self) -> None:
        """The lock, anew: a fork may have left it held by a thread that is not there."""
        self._lock = threading.Lock()
        self._trying = 0

    @property
    def state(self) -> str:
        """``"closed"``, ``"open"``, or ``"half-open"``: the next call is a probe."""
        return HALF_OPEN if self._state == OPEN and self.clock.seconds >= self._until else self._state

    def admit(self) -> int:
        """The turn that a call belongs to, negative for a probe; Spared if it must not be made."""
        if self._state == CLOSED:
            return self._turn
        with self._lock:
            if self._state == OPEN and self.clock.seconds >= self._until:
                self._state, self._row, self._trying = HALF_OPEN, 0, 0
            if self._state == HALF_OPEN and self._trying < self.probes:
                self._trying += 1
                return ~self._turn
            if self._state == CLOSED:
                return self._turn
            self.rejected += 1
            again = "is being tried now" if self._state == HALF_OPEN else (
                f"is tried again in {max(self._until - self.clock.seconds, 0):.3g} seconds")
            raise Spared(f"{self.name} was not asked: it has failed since {time.ctime(self._since)} ({self.why}) and "
                         f"{again}; mend it, or wait")

    def answered(self, turn: int) -> None:
        """The call has succeeded."""
        if turn >= 0 and not self._row:
            return
        with self._lock:
            if not self._mine(turn):
                return
            if turn >= 0:
                self._row = 0
                return
            self._row += 1
            if self._row >= self.probes:
                self._state, self._row = CLOSED, 0
                self._turn += 1

    def failed(self, turn: int, error: BaseException) -> None:
        """The call has failed, and the layer is to blame."""
        with self._lock:
            self.failures += 1
            if not self._mine(turn):
                return
            self._row = self._row + 1 if turn >= 0 else self.limit
            if self._row >= self.limit:
                self._open(f"{type(error).__name__}: {error}")

    def excused(self, turn: int) -> None:
        """The call has ended in a way that says nothing of the layer."""
        if turn < 0:
            with self._lock:
                self._mine(turn)

    def trip(self, why: str) -> None:
        """Open it now."""
        with self._lock:
            self._open(why)

    def _open(self, why: str) -> None:
        if self._state == CLOSED:       # not of a probe that failed: it has failed since before that
            self._since = time.time()
        self._state, self.why, self._row = OPEN, why, 0
        self._turn += 1
        self._until = self.clock.seconds + self.reset

    def _mine(self, turn: int) -> bool:
        """Whether a call is of this turn; a probe gives its place back."""
        if (turn if turn >= 0 else ~turn) != self._turn:
            return False
        if turn < 0:
            self._trying -= 1
        return True

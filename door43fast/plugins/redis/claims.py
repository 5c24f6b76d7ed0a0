"""Who computes a key, of all who share a server: a claim there, which ends by itself.

A claim is a name whose value says whose it is, and which the server forgets when its lease is over: after the deadline
of whoever holds it, though no sooner than a second and no later than ten. As long as its process lives it is renewed
(``leases.py``). Who takes a key out takes its claim away too. So one look at the claim tells, when a result is to be
stored, whether another has taken over and whether the key was deleted meanwhile; on one server the script that stores
it looks itself, and in a cluster, where it could not, the claim is looked at just before.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from typing import Any

from door43fast.errors import BackendUnavailableError
from door43fast.plugins.redis import scripts
from door43fast.plugins.redis.leases import Leases
from door43fast.plugins.redis.link import Call

LEAST, MOST = 1.0, 10.0     # seconds of a lease


class ServerClaim:
    """The claim of one flight on its key. To be tried until it is got, or until it is not needed any more."""

    waits = True        # for the server
    mark = None

    def __init__(self, leases: Leases, name: bytes, deadline: float) -> None:
        self.name, self.own = name, os.urandom(12)
        self.lease = min(max(deadline, LEAST), MOST)
        self.milliseconds = math.ceil(self.lease * 1000)
        self._leases, self._link, self._deadline = leases, leases.link, deadline
        self._pid = os.getpid()
        self._seen = b""            # whose it was at the last try,
        self._since = 0.0           # and since when that is known
        self._over = False

    def take(self) -> bool:
        """Whether this flight is to compute now. Takes it over from whoever has had it for the whole deadline."""
        if self._over:
            return False
        now = time.monotonic()
        late = self._seen if self._seen and now >= self._since + self._deadline else b""
        holder = self._ask(scripts.OF_CLAIM, self.milliseconds, late)
        if holder != self._seen:
            self._seen, self._since = holder, now
        if holder != self.own:
            return False
        self._leases.hold(self)
        if self._over:      # it was given up while the server was asked
            self.release()
        return not self._over

    def rival(self) -> None:
        """What is known of who holds it is on the server alone."""

    def good(self) -> bool:
        """Whether it is still held."""
        return self._link.read([Call(self.name, ("GET", self.name))]) == [self.own]

    def release(self) -> None:
        """Let others have it. Also for one that was never got."""
        self._over = True
        if self._seen == self.own and self._pid == os.getpid():     # else it is of the parent of a fork
            self._leases.leave(self)
            with suppress(BackendUnavailableError):     # then it ends by itself, and the result is its caller's
                self._ask(scripts.OF_RELEASE)

    def _ask(self, script: bytes, *more: Any) -> Any:
        return self._link.write([Call(self.name, ("EVALSHA", script, 1, self.name, self.own, *more))])[0]

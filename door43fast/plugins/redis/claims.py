"""Who computes a key, of all who share a server: a claim there, which ends by itself.

A claim is a name whose value says whose it is, and which the server forgets after the deadline of whoever holds it. Who
takes a key out takes its claim away too. So one look at the claim tells, when a result is to be stored, whether its
computation took too long and whether the key was deleted meanwhile; on one server the script that stores it looks
itself, and in a cluster, where it could not, the claim is looked at just before.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from typing import Any

from door43fast.errors import BackendUnavailableError
from door43fast.plugins.redis import scripts
from door43fast.plugins.redis.link import Call, Link


class ServerClaim:
    """The claim of one flight on its key. To be tried until it is got, or until it is not needed any more."""

    waits = True        # for the server
    mark = None

    def __init__(self, link: Link, name: bytes, deadline: float) -> None:
        self.name, self.own = name, os.urandom(12)
        self._link, self._deadline = link, deadline
        self._seen = b""            # whose it was at the last try,
        self._since = 0.0           # and since when that is known
        self._over = False

    def take(self) -> bool:
        """Whether this flight is to compute now. Takes it over from whoever has had it for the whole deadline."""
        if self._over:
            return False
        now = time.monotonic()
        late = self._seen if self._seen and now >= self._since + self._deadline else b""
        holder = self._ask(scripts.OF_CLAIM, max(math.ceil(self._deadline * 1000), 1), late)
        if self._over and holder == self.own:   # it was given up while the server was asked
            self._ask(scripts.OF_RELEASE)
            return False
        if holder != self._seen:
            self._seen, self._since = holder, now
        return holder == self.own

    def rival(self) -> None:
        """What is known of who holds it is on the server alone."""

    def good(self) -> bool:
        """Whether it is still held."""
        return self._link.read([Call(self.name, ("GET", self.name))]) == [self.own]

    def release(self) -> None:
        """Let others have it. Also for one that was never got."""
        self._over = True
        if self._seen == self.own:
            with suppress(BackendUnavailableError):     # then it ends by itself, and the result is its caller's
                self._ask(scripts.OF_RELEASE)

    def _ask(self, script: bytes, *more: Any) -> Any:
        return self._link.write([Call(self.name, ("EVALSHA", script, 1, self.name, self.own, *more))])[0]

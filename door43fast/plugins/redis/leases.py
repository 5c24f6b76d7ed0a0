"""How a claim on a server outlasts a computation that takes long: one thread of a store renews all that it holds.

The server forgets a claim when its lease is over, so that of who has died it is soon free. Until then it is renewed,
three times in a lease, by a script that looks whose it is: one that was taken away is lost, and not made anew. The
thread is there while claims are held, and a moment longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from door43fast.errors import Error
from door43fast.plugins.redis import scripts
from door43fast.plugins.redis.link import Call, Link

TIMES = 3           # in a lease
AGAIN = 0.1         # seconds before the next try where the server did not answer
LINGER = 1.0        # seconds that the thread waits for another claim


class Leases:
    """Those of one store. Every method may be called by any thread, and never waits for the server."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._held: dict[Any, float] = {}       # claims, and when each is to be renewed
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._until = 0.0                       # when the thread looks again, unless it is called
        self._closed = False

    def hold(self, claim: Any) -> None:
        """The claim was got just now."""
        with self._changed:
            if self._closed:
                return
            self._held[claim] = at = time.monotonic() + claim.lease / TIMES
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="door43fast-redis-leases")
                self._thread.start()
            elif at < self._until:
                self._changed.notify()

    def leave(self, claim: Any) -> None:
        """It is not needed any more."""
        with self._changed:
            self._held.pop(claim, None)

    def holds(self, claim: Any) -> bool:
        """Whether it is renewed: what was lost is not, as soon as that is known."""
        return claim in self._held

    def close(self) -> None:
        """Renew nothing any more."""
        with self._changed:
            self._closed = True
            self._held.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._goes_on():
                with self._changed:
                    now = time.monotonic()
                    due = [claim for claim, at in self._held.items() if at <= now]
                kept = self._renewed(due)
                with self._changed:
                    for claim in due:
                        if kept is not None and claim not in kept:
                            self._held.pop(claim, None)
                        elif claim in self._held:
                            self._held[claim] = time.monotonic() + AGAIN if kept is None else now + claim.lease / TIMES
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _goes_on(self) -> bool:
        """Wait until one is due; False when there have been none for a while."""
        with self._changed:
            while not self._closed:
                idle, now = not self._held, time.monotonic()
                self._until = now + LINGER if idle else min(self._held.values())
                if self._until <= now:
                    return True
                self._changed.wait(self._until - now)
                if idle and not self._held:
                    break
            self._thread = None
            return False

    def _renewed(self, claims: Iterable[Any]) -> set[Any] | None:
        """Those that are still ours; None where the server did not say."""
        try:
            answers = self.link.write([Call(claim.name, (
                "EVALSHA", scripts.OF_RENEWAL, 1, claim.name, claim.own, claim.milliseconds)) for claim in claims])
        except Error:       # whoever computes is told by its own calls
            return None
        return {claim for claim, answer in zip(claims, answers, strict=True) if answer}

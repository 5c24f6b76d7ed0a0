"""What a replicated store and the threads of its replicas share: the term, and the news of who got how far."""

from __future__ import annotations

import threading

from door43fast.errors import FencedError


class Standing:
    """``moved`` is notified of each position that was reached and of each failure."""

    def __init__(self, term: int) -> None:
        self.term = term
        self.passive = False        # another writes, and this store only looks where the replicas are
        self.fenced: FencedError | None = None      # since then nothing is written any more
        self.renew()

    def renew(self) -> None:
        """In the child of a fork: the locks may be held by threads that are not here."""
        self.moved = threading.Condition()

    def tell(self) -> None:
        with self.moved:
            self.moved.notify_all()

    def fence(self, error: FencedError) -> None:
        if self.fenced is None:
            self.fenced = error
        self.tell()

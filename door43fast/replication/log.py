"""The logs that replicas follow: the journal of the primary where it has one, else a queue in memory.

A log tells which keys were changed, in order, by number. It holds no values: these are read from the primary when they
are applied. ``settled()`` is the number up to which every change is made, and ``rows(since)`` may reach beyond it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

from door43fast.errors import PrunedError
from door43fast.layers.failures import Spared
from door43fast.replication.head import Head

PAUSE = 0.25        # seconds for which a change waits at the most while a portion is read
WHOLE = ("clear", "invalidate")     # what concerns keys that the log does not name


class Row(NamedTuple):
    """Changes of one call. ``seq`` is the number of the last; ``op`` "keys", or one that concerns a range."""

    seq: int
    op: str
    keys: tuple[Any, ...]       # of a clear the prefix
    time: float


class JournalLog:
    """The journal that the primary keeps itself. It is complete: others who write to the primary are in it too."""

    name = "journal"
    foreign = True      # changes may come that this process did not make

    def __init__(self, primary: Any) -> None:
        self.primary = primary

    def begin(self, op: str, keys: Any, nested: bool = False) -> Any:
        return None

    def end(self, ticket: Any, changed: bool = True) -> int:
        """The change is made. Its number, or that of a later one."""
        return self.settled()

    def settled(self) -> int:
        for _ in range(2):
            journal = self.primary.stats().get("journal")
            if journal is not None:
                return journal["last"]
            len(self.primary)       # a guard that spares it tells of itself alone, and finds out by calls like this
        raise Spared(f"{self.primary!r} was not asked how far its journal is, since it has failed; wait until it is "
                     "back")

    last = settled

    def rows(self, since: int, most: int) -> list[Row]:
        return [Row(change.seq, change.op if change.op in WHOLE else "keys", (change.key,), change.time)
                for change in islice(self.primary.changes(since), most)]

    def mark(self, seq: int) -> str:
        """What tells change ``seq`` from that of another store; PrunedError if it is not kept any more."""
        if not seq:
            return ""
        change = next(self.primary.changes(seq - 1))
        return f"{change.origin}/{change.time!r}/{change.hash:x}/{change.op}"

    def believes(self, head: Head) -> bool:
        """Whether the number of a head is one of this log, and not of a store that was the primary once."""
        if head.log != self.name or not 0 < head.seq <= self.settled():
            return False
        try:
            return head.mark == self.mark(head.seq)
        except PrunedError:
            return False

    def renew(self) -> None:
        """In the child of a fork: nothing is of one process alone."""


class QueueLog:
    """A queue in memory, for a primary without a journal: what this process changes, until ``size`` changes are kept.

    A change takes its number before it is made, so that whoever reads the primary afterwards knows of all that may be
    in what it reads. What is under way is not settled.
    """

    foreign = False

    def __init__(self, size: int) -> None:
        self.size = size
        self.renew()

    def renew(self) -> None:
        """A new log, without a past."""
        self.name = f"queue {os.urandom(16).hex()}"
        self._rows: deque[Row] = deque()
        self._kept = 0              # changes in the rows
        self._last = 0
        self._pending: dict[int, int] = {}      # last number of each change under way: the one before its first
        self._void: set[int] = set()            # of rows of which nothing came
        self._still = False         # nobody begins a change
        self._moved = threading.Condition()

    def begin(self, op: str, keys: Any, nested: bool = False) -> int:
        """A change is about to be made. ``nested``: by a listener of one that this thread has under way."""
        keys = tuple(keys)
        with self._moved:
            if self._still and not nested:
                self._moved.wait_for(lambda: not self._still, PAUSE)
            before = self._last
            self._last += max(len(keys), 1)
            self._rows.append(Row(self._last, op, keys, time.time()))
            self._kept += max(len(keys), 1)
            self._pending[self._last] = before
            while self._kept > self.size and len(self._rows) > 1:
                gone = self._rows.popleft()
                self._kept -= max(len(gone.keys), 1)
                self._void.discard(gone.seq)
            return self._last

    def end(self, ticket: int, changed: bool = True) -> int:
        """The change is made, or may be; or nothing came of it. Its number."""
        with self._moved:
            del self._pending[ticket]
            if not changed:
                self._void.add(ticket)
            self._moved.notify_all()
        return ticket

    def settled(self) -> int:
        with self._moved:
            return min(self._pending.values(), default=self._last)

    def last(self) -> int:
        return self._last

    def rows(self, since: int, upto: int | None = None) -> list[Row]:
        """Those of the changes after ``since``, up to ``upto`` or all, also those under way."""
        with self._moved:
            oldest = self._last - self._kept + 1
            if since + 1 < oldest:
                raise PrunedError(f"the queue keeps {self.size} changes, the oldest is {oldest}, and those after "
                                  f"{since} are asked for: the replica is copied anew", oldest)
            newer = 0
            for row in reversed(self._rows):
                if row.seq <= since:
                    break
                newer += 1
            return [row for row in islice(self._rows, len(self._rows) - newer, None)
                    if row.seq not in self._void and (upto is None or row.seq <= upto)]

    @contextmanager
    def still(self) -> Iterator[None]:
        """Changes wait for so long, and those under way are waited for; both within a bound."""
        with self._moved:
            self._still = True
            self._moved.wait_for(lambda: not self._pending, PAUSE)
        try:
            yield
        finally:
            with self._moved:
                self._still = False
                self._moved.notify_all()

    def mark(self, seq: int) -> str:
        return ""

    def believes(self, head: Head) -> bool:
        return head.log == self.name and head.seq <= self._last


def log_of(primary: Any, size: int) -> JournalLog | QueueLog:
    """The log of a primary: its journal where it keeps one; nothing keeps a second."""
    return JournalLog(primary) if primary.capabilities.journal else QueueLog(size)

"""What was written and not yet flushed: the last write of each key, in the order in which the keys became dirty."""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Container, Iterable
from typing import Any

OVERHEAD = 300      # bytes of an entry beyond its key and value


class Entry:
    """The last write of a key: a value until ``deadline``, or ``gone``. Nothing of it changes but its place.

    ``seq`` is the number of the write that made the key dirty and ``since`` when that was, by the monotonic clock;
    ``later`` is when the flusher may try again what the store below has refused.
    """

    __slots__ = ("deadline", "gone", "later", "mark", "pin", "seq", "since", "size", "tags", "value")

    def __init__(self, value: Any = None, mark: int | None = None, deadline: float | None = None,
                 tags: tuple[str, ...] = (), pin: bool = False, gone: bool = False) -> None:
        self.value, self.mark, self.deadline = value, mark, deadline
        self.tags, self.pin, self.gone = tags, pin, gone
        self.seq = 0
        self.since = self.later = 0.0
        self.size = 0

    def live(self, now: float) -> bool:
        """Whether a read finds the value."""
        return not self.gone and (self.deadline is None or now < self.deadline)

    def until(self, deadline: float | None) -> Entry:
        """The same value with another deadline."""
        return Entry(self.value, self.mark, deadline, self.tags, self.pin)


class Backlog:
    """The dirty entries, and which keys are being written past them.

    All but ``rows.get`` is done with ``lock`` held. A key that is *going* has a write under way that goes straight to
    the store below: until that has ended no write of it becomes dirty, so that neither overtakes the other. ``news``
    grows whenever what is below may have changed by this store.
    """

    def __init__(self) -> None:
        self.rows: OrderedDict[Any, Entry] = OrderedDict()
        self.bytes = 0
        self.seq = 0
        self.news = 0
        self.going: dict[Any, int] = {}
        self.all_going = 0
        self.expired = 0        # entries whose time was over before they were flushed, and that nobody was told of
        # What was done here, less what was done again below.
        self.counts = dict.fromkeys(("hits", "misses", "sets", "deletes", "expirations"), 0)
        self.renew()

    def renew(self) -> None:
        """New locks: in the child of a fork the old ones may be held by threads that are not there."""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)

    def forget(self) -> None:
        """Let go of everything."""
        self.rows.clear()
        self.going.clear()
        self.all_going = self.bytes = 0

    def put(self, key: Any, entry: Entry) -> None:
        """The last write of a key. A key that is dirty keeps its place."""
        last = self.rows.get(key)
        self.seq += 1
        if last is None:
            entry.seq, entry.since = self.seq, time.monotonic()
        else:
            entry.seq, entry.since = last.seq, last.since
            self.bytes -= last.size
        entry.size = OVERHEAD + sys.getsizeof(key) + (0 if entry.gone else sys.getsizeof(entry.value))
        self.bytes += entry.size
        self.rows[key] = entry

    def drop(self, key: Any, entry: Entry) -> None:
        """Take ``entry`` out if it is still the last write of its key."""
        if self.rows.get(key) is entry:
            del self.rows[key]
            self.bytes -= entry.size

    def written(self, run: Iterable[tuple[Any, Entry]]) -> None:
        """These are below now. A key that was written again meanwhile is dirty anew, behind all others."""
        for key, entry in run:
            now = self.rows.get(key)
            if now is entry:
                self.drop(key, entry)
            elif now is not None:
                self.last(key, now)
        self.news += 1
        self.changed.notify_all()

    def last(self, key: Any, entry: Entry) -> None:
        """Put a key behind all others."""
        self.seq += 1
        entry.seq, entry.since = self.seq, time.monotonic()
        self.rows.move_to_end(key)      # in one step: whoever reads meanwhile must find it

    def head(self, upto: int, count: int, flying: Container[Entry], now: float | None) -> list[tuple[Any, Entry]]:
        """The first entries in order, up to ``count``, that became dirty by write ``upto`` and are not ``flying``.

        With ``now`` only those that may be tried by then.
        """
        taken: list[tuple[Any, Entry]] = []
        for key, entry in self.rows.items():
            if entry.seq > upto or len(taken) == count:
                break
            if (now is None or entry.later <= now) and entry not in flying:
                taken.append((key, entry))
        return taken

    def begin(self, keys: list[Any] | None) -> None:
        """A write of ``keys``, None for any, goes straight below."""
        if keys is None:
            self.all_going += 1
            return
        for key in keys:
            self.going[key] = self.going.get(key, 0) + 1

    def end(self, keys: list[Any] | None) -> None:
        """It has ended."""
        self.news += 1
        if keys is None:
            self.all_going = max(self.all_going - 1, 0)     # a fork may have come between
            return
        for key in keys:
            left = self.going.get(key, 1) - 1
            if left:
                self.going[key] = left
            else:
                self.going.pop(key, None)

    def passes(self, keys: Iterable[Any]) -> bool:
        """Whether a write of any of ``keys`` must go straight below."""
        return bool(self.all_going) or bool(self.going) and any(key in self.going for key in keys)


def bufferable(key: Any) -> bool:
    """Whether a key is equal to no key of another kind: what is not must be asked for below.

    ``1 == 1.0 == True`` for a dict, but not for every store, and a subclass may bring an ``__eq__`` of its own.
    """
    kind = type(key)
    return kind is str or kind is bytes or kind is int or kind is tuple and all(map(bufferable, key))

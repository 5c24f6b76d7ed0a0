"""Which events a subscription wants, and where they wait for whoever reads them one by one."""

from __future__ import annotations

import fnmatch
import re
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from door43fast.contracts import Event
from door43fast.errors import ClosedError, ConfigError, LostEventsError, did_you_mean

Wants = Callable[[str, Any], bool]      # of an event's op and key; of ``clear`` the prefix, of ``invalidate`` the tag
OVERFLOWS = ("drop", "block", "raise")
SLICE = 0.2     # seconds after which a waiting reader looks if the store is still open


def wanted(pattern: Any = None, *, key: Any = None, prefix: Any = None, tag: Any = None) -> tuple[str, Wants | None]:
    """What a subscription is called, and what it wants; None for every change of a key.

    A ``clear`` is wanted where what it cleared and what is wanted have keys in common. Of the changes of entries that
    carry a ``tag`` a queue of events decides by itself: it is given the tag beside this.
    """
    given = [name for name, one in (("pattern", pattern), ("key", key), ("prefix", prefix), ("tag", tag))
             if one is not None]
    if len(given) != 1:
        raise TypeError("subscribe takes one of pattern, key=, prefix= and tag=, and was given "
                        f"{' and '.join(given) or 'none'}")
    for name, one in (("pattern", pattern), ("tag", tag)):
        if one is not None and not isinstance(one, str):
            raise TypeError(f"a {name} is a str such as {'en_tn@84/*' if name == 'pattern' else 'en_tn'!r}, "
                            f"not {type(one).__name__}")
    if pattern is not None:
        return pattern, None if pattern == "*" else _of_glob(pattern)
    if tag is not None:
        return f"tag {tag}", lambda op, what: what == tag if op == "invalidate" else op == "clear"
    if prefix is not None:
        return f"prefix {prefix!r}", lambda op, what: op != "invalidate" and (
            begins(what, prefix) or op == "clear" and begins(prefix, what))
    return f"key {key!r}", lambda op, what: begins(key, what) if op == "clear" else op != "invalidate" and what == key


def begins(key: Any, prefix: Any) -> bool:
    """Whether a key is under a prefix: any is under an empty one."""
    if not isinstance(prefix, int | float) and not len(prefix):
        return True
    if isinstance(prefix, tuple):
        return isinstance(key, tuple) and key[:len(prefix)] == prefix
    return isinstance(prefix, str | bytes) and isinstance(key, type(prefix)) and key.startswith(prefix)


def _of_glob(pattern: str) -> Wants:
    matches = re.compile(fnmatch.translate(pattern), re.DOTALL).match

    def wants(op: str, key: Any) -> bool:
        if op == "clear":
            return not isinstance(key, str) or _reaches(pattern, key)
        return op != "invalidate" and isinstance(key, str) and matches(key) is not None
    return wants


def _reaches(pattern: str, prefix: str) -> bool:
    """Whether the glob ``pattern`` matches any text that begins with ``prefix``."""
    at = 0
    for letter in prefix:
        if at == len(pattern):
            return False
        if pattern[at] == "*":
            return True
        end = at + 1
        if pattern[at] == "[":      # a class ends at the first ] that is not its first member
            first = at + 2 if pattern[at + 1:at + 2] == "!" else at + 1
            end = pattern.find("]", first + 1) + 1 or at + 1
        if not fnmatch.fnmatchcase(letter, pattern[at:end] if end > at + 1 or pattern[at] != "[" else "[[]"):
            return False
        at = end
    return True


class Inbox:
    """A bounded queue of events, with a rule for what happens when it is full.

    ``"drop"``: the oldest goes, and an event ``lost`` in its place says how many went. ``"block"``: the thread that
    brings the event waits until there is room; where it is the one that reads, that would be for ever, and the oldest
    goes. ``"raise"``: nothing more is taken, and the reader gets ``LostEventsError`` after what there was.
    """

    def __init__(self, size: int, overflow: str, wake: Callable[[], Any] | None = None) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"queue={size!r} is not allowed: give how many events may wait, 1 or more")
        if overflow not in OVERFLOWS:
            raise ConfigError(f"overflow={overflow!r} is unknown: {did_you_mean(overflow, OVERFLOWS)}")
        self._size, self._overflow = size, overflow
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._wake = wake
        self._gap: Event | None = None  # the newest of those that went and were not told of yet
        self._gone = 0                  # how many these are
        self.lost = 0
        self.ended = False
        self.reader = 0                 # the thread that reads

    def put(self, event: Event) -> None:
        with self._changed:
            while len(self._events) >= self._size and not self.ended and self._overflow == "block" and (
                    self.reader != threading.get_ident()):
                self._changed.wait(SLICE)
            if self.ended:
                return
            if len(self._events) >= self._size or self._overflow == "raise" and self._gap is not None:
                self.lost += 1
                self._gone += 1
                if self._overflow == "raise":
                    self._gap = event
                    return
                self._gap = self._events.popleft()
            self._events.append(event)
            self._changed.notify_all()
        if self._wake is not None:
            self._wake()

    def take(self) -> Event | None:
        """The next event, None where there is none."""
        with self._changed:
            self.reader = threading.get_ident()
            if self._gap is not None and (self._overflow != "raise" or not self._events):
                gap, gone = self._gap, self._gone
                self._gap, self._gone = None, 0
                if self._overflow == "raise":
                    self.ended = True
                    raise LostEventsError(f"{gone} events did not fit the queue of {self._size} and were lost, up to "
                                          f"number {gap.seq}: read the store as it is, and subscribe anew")
                return Event(gap.seq, "lost", None, "overflow", gap.origin, gap.time, gone)
            if not self._events:
                return None
            event = self._events.popleft()
            self._changed.notify_all()
            return event

    def wait(self, seconds: float) -> None:
        """Until there may be something to take, or for so long."""
        with self._changed:
            if not self._events and self._gap is None and not self.ended:
                self._changed.wait(seconds)

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._events)


class Stream:
    """Events to be read one by one: ``for event in store.subscribe(prefix="a/", queue=1000):``. Also a context manager.

    ``lost`` is how many did not fit. The iteration ends with :meth:`cancel` and when the store is closed.
    """

    def __init__(self, store: Any, inbox: Inbox, subscription: Any) -> None:
        self._store, self._inbox, self._subscription = store, inbox, subscription
        self.pattern: str = subscription.pattern

    @property
    def lost(self) -> int:
        return self._inbox.lost

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event; None if none came for ``timeout`` seconds.

        Raises
        ------
        ClosedError
            If there will be none: it was cancelled, or the store is closed.
        LostEventsError
            If events were lost and ``overflow="raise"``.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            event = self._inbox.take()
            if event is not None:
                return event
            if self._inbox.ended or self._store.closed:
                raise ClosedError(f"the subscription to {self.pattern} has ended: subscribe anew, to an open store")
            left = SLICE if end is None else min(SLICE, end - time.monotonic())
            if left <= 0:
                return None
            self._inbox.wait(left)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            event = self.get()
        except ClosedError:
            raise StopIteration from None
        assert event is not None
        return event

    def cancel(self) -> None:
        """Stop listening, and let go of what was not read."""
        self._subscription.cancel()
        self._inbox.end()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __len__(self) -> int:
        return len(self._inbox)

    def __bool__(self) -> bool:
        return True


def stream_of(store: Any, listen: Callable[..., Any], size: int, overflow: str) -> Stream:
    """What ``store.subscribe(..., queue=size)`` gives. ``listen(callback, ended)`` subscribes."""
    inbox = Inbox(size, overflow)
    return Stream(store, inbox, listen(inbox.put, inbox.end))


def report(subscription: Any, event: Event, error: Exception) -> None:
    """A listener's exception is the listener's: it is shown by sys.unraisablehook and stops nobody else."""
    sys.unraisablehook(types.SimpleNamespace(
        exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__,
        err_msg=f"Exception ignored in the listener of {subscription.pattern!r} for event {event.seq}",
        object=subscription))

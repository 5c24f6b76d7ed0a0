"""Events of the reference engine, in the order of the changes that they tell of."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from door43fast.contracts import Event
from door43fast.events import Wants


class Subscription:
    """A listener of one store; :meth:`cancel` ends it. Also a context manager."""

    def __init__(self, queue: EventQueue, pattern: str, callback: Callable[[Event], Any], values: bool,
                 wants: Wants | None, tag: str | None) -> None:
        self.queue = queue
        self.pattern = pattern
        self.values = values
        self.callback = callback
        self.tag = tag
        self._wants = wants

    def wants(self, event: Event, tags: Collection[str]) -> bool:
        if self.tag is not None and event.op in ("set", "delete"):
            return self.tag in tags
        return event.op != "invalidate" if self._wants is None else self._wants(event.op, event.key)

    def cancel(self) -> None:
        """Stop listening. An event that is being delivered at this moment may still arrive."""
        self.queue._listen(tuple(s for s in self.queue.subscriptions if s is not self))

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


class EventQueue:
    """Changes are pushed inside the section that makes them and delivered outside of it.

    One thread at a time delivers, in order; the others return at once and leave it theirs.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.subscriptions: tuple[Subscription, ...] = ()
        self.tagged = False     # somebody listens by tag: whoever pushes a change of an entry says which it carries
        self.sequence = 0
        self._delivered = 0
        self._due: deque[tuple[Event, Collection[str]]] = deque()
        self._delivery = threading.Lock()
        self._drainer = 0
        self._idle = threading.Condition()

    def subscribe(self, pattern: str, callback: Callable[[Event], Any] | None, *, values: bool = False,
                  wants: Wants | None = None, tag: str | None = None) -> Subscription:
        """Call ``callback(event)`` for each change that ``wants(op, key)``; for each of a key if that is None.

        With ``tag``, sets and deletes are those of entries that carry it, whatever their keys.
        """
        if not callable(callback):
            raise TypeError(f"a listener must be callable, not {type(callback).__name__}")
        subscription = Subscription(self, pattern, callback, values, wants, tag)
        self._listen((*self.subscriptions, subscription))
        return subscription

    def _listen(self, subscriptions: tuple[Subscription, ...]) -> None:
        self.subscriptions = subscriptions
        self.tagged = any(s.tag is not None for s in subscriptions)

    def push(self, op: str, key: Any, reason: str, value: Any = None, tags: Collection[str] = ()) -> None:
        """``tags`` are those that the entry carries before or after the change; only asked for if ``tagged``.

        REQUIRES: the caller is in the section that makes the change.
        """
        if self.subscriptions:
            self.sequence += 1
            self._due.append((Event(self.sequence, op, key, reason, self.origin, time.time(), value), tags))

    def drain(self) -> None:
        """Deliver what is due, unless another thread, or a caller further up in this one, is doing so."""
        while self._due and self._delivery.acquire(blocking=False):
            self._drainer = threading.get_ident()
            try:
                while self._due:
                    event, tags = self._due.popleft()
                    self._delivered = event.seq
                    self._deliver(event, tags)
            finally:
                self._drainer = 0
                self._delivery.release()
                with self._idle:
                    self._idle.notify_all()

    def _deliver(self, event: Event, tags: Collection[str]) -> None:
        for subscription in self.subscriptions:
            if not subscription.wants(event, tags):
                continue
            try:
                subscription.callback(event if subscription.values else event._replace(value=None))
            except Exception as error:  # the listener's, shown and not passed on: the change was made
                sys.unraisablehook(types.SimpleNamespace(
                    exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, object=subscription,
                    err_msg=f"Exception ignored in the listener of {subscription.pattern!r} for event {event.seq}"))

    def flush(self) -> None:
        """Return when every listener has had what happened before this call; inside a listener, at once."""
        upto = self.sequence
        while self._drainer != threading.get_ident():
            self.drain()
            with self._idle:
                if self._delivered >= upto and not self._drainer:
                    return
                self._idle.wait(0.05)

"""Subscriptions to the journal of a store: told of what every process changed, in one order, each change once.

A store that somebody has subscribed to in this way has a follower: a thread that looks every few milliseconds whether
the file has a newer transaction, and if so reads the journal on from where it was. Each subscription has a number of
its own up to which it was told, so that they may begin at different ones. The thread begins with the first subscription
and ends with the last, or with the store. It holds no reference to the store while it waits.

A child of a fork has no such thread. What its parent had subscribed to is its parent's; a subscription of its own
begins one.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from door43fast.arguments import span
from door43fast.contracts import MISSING, Change, Event, Seconds
from door43fast.errors import ClosedError, PrunedError, UnsupportedError
from door43fast.events import SLICE, Wants

EVERY, LEAST = 0.01, 0.001      # seconds between two looks, if not told, and at the least
DELETES = ("expire", "evict")   # what a journal calls a delete with this reason


class Following:
    """A subscription to a journal; :meth:`cancel` ends it. Also a context manager."""

    def __init__(self, follower: Follower, pattern: str, callback: Callable[[Event], Any], values: bool,
                 wants: Wants | None, last: int, every: float, ended: Callable[[], Any] | None) -> None:
        self.pattern = pattern
        self.values = values
        self.last = last            # the number up to which it was told
        self.every = every
        self.over = False
        self._follower, self._callback, self._wants, self._ended = follower, callback, wants, ended

    def cancel(self) -> None:
        """Stop listening. An event that is being delivered at this moment may still arrive."""
        self._follower.drop(self)

    def end(self) -> None:
        """Nothing will come any more."""
        self.over = True
        if self._ended is not None:
            self._ended()

    def tell(self, store: Any, event: Event) -> None:
        """Deliver an event, if it is wanted."""
        if self.over or event.op != "lost" and not (
                event.op != "invalidate" if self._wants is None else self._wants(event.op, event.key)):
            return
        if self.values and event.op == "set":
            value = store._read(event.key)[1]
            event = event._replace(value=None if value is MISSING else value)
        try:
            self._callback(event)
        except Exception as error:      # the listener's, shown and not passed on: the others are told too
            self.report(error, f"in the listener of {self.pattern!r} for event {event.seq}")

    def report(self, error: BaseException, where: str) -> None:
        sys.unraisablehook(types.SimpleNamespace(
            exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, object=self,
            err_msg=f"Exception ignored {where}"))

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


class Follower:
    """Reads the journal of one store for all who have subscribed to it."""

    def __init__(self, store: Any) -> None:
        self._store = weakref.ref(store)
        self._told = threading.Condition()      # guards all below; notified after each round
        self._all: tuple[Following, ...] = ()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._again = False                     # read on, also where the file has nothing new

    # -- who listens -----------------------------------------------------------------------------------------

    def add(self, store: Any, pattern: str, callback: Callable[[Event], Any], values: bool, wants: Wants | None,
            since: int | None, every: float, ended: Callable[[], Any] | None) -> Following:
        with self._told:
            last = store._last_change()
            if since is not None and since != last:
                check_since(store, since)
                last = since
            one = Following(self, pattern, callback, values, wants, last, every, ended)
            self._all += (one,)
            self._again = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="door43fast-follower", daemon=True)
                self._thread.start()
        self._wake.set()
        return one

    def drop(self, one: Following) -> None:
        one.over = True
        with self._told:
            self._all = tuple(other for other in self._all if other is not one)
            self._told.notify_all()
        self._wake.set()

    def flush(self, store: Any) -> None:
        """Return when all were told of what is in the journal now; in a listener, at once."""
        if not self._all or self._thread is threading.current_thread():
            return
        upto = store._last_change()
        self._wake.set()
        with self._told:
            while any(one.last < upto for one in self._all):
                self._told.wait(SLICE)

    def end(self) -> None:
        """Nobody will be told of anything any more."""
        with self._told:
            gone, self._all = self._all, ()
            self._told.notify_all()
        for one in gone:
            one.end()
        self._wake.set()

    # -- the thread ------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        seen = 0
        try:
            while True:
                with self._told:
                    store = self._store()
                    if not self._all or store is None:
                        self._thread = None
                        return
                    pause = min(one.every for one in self._all)
                    again, self._again = self._again, False
                newest = store._look(seen)      # first, so that what comes while it is read is seen the next time
                if newest != seen or again:
                    self._read(store)
                    seen = newest
                    with self._told:
                        self._told.notify_all()
                del store
                self._wake.wait(pause)
                self._wake.clear()
        except ClosedError:
            pass
        except BaseException as error:
            for one in self._all:
                one.report(error, f"while the journal was read for {one.pattern!r}, which hears no more")
        finally:
            if self._thread is threading.current_thread():
                self._thread = None
                self.end()

    def _read(self, store: Any) -> None:
        """Tell all of what has come since they were told."""
        listeners = self._all
        since = min((one.last for one in listeners), default=0)
        try:
            for change in store._changes(since):
                event = event_of(change)
                for one in listeners:
                    if one.last < event.seq:
                        one.tell(store, event)
                        one.last = event.seq
                if all(one.over for one in listeners):
                    return
        except PrunedError as error:
            for one in listeners:
                missed = error.oldest - 1 - one.last
                if missed > 0:
                    one.tell(store, Event(error.oldest - 1, "lost", None, "pruned", "", 0.0, missed))
                    one.last = error.oldest - 1
            self._again = True
            self._wake.set()


def event_of(change: Change) -> Event:
    """A change as a listener is told of it."""
    op, reason = ("delete", change.op) if change.op in DELETES else (change.op, "user")
    return Event(change.seq, op, change.key, reason, change.origin, change.time)


def check_since(store: Any, since: int) -> None:
    """Refuse a number that is no change of this store. What is pruned by now is told as lost."""
    try:
        store._changes(since)
    except PrunedError:
        pass


_followers: weakref.WeakKeyDictionary[Any, Follower] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def _bottom(store: Any) -> Any:
    while hasattr(store, "slow"):
        store = store.slow
    return store


def listen(store: Any, pattern: str, callback: Any, ended: Callable[[], Any] | None = None, *, values: bool,
           wants: Wants | None, tag: str | None, others: bool, since: int | None, every: Seconds | None) -> Any:
    """A subscription to what this open store changes or, with ``others`` or ``since``, to its journal."""
    if not others and since is None:
        if every is not None:
            raise TypeError("every= is for subscriptions that also tell of others: give others=True or since=")
        return store._events.subscribe(pattern, callback, values=values, wants=wants, tag=tag)
    if not callable(callback):
        raise TypeError(f"a listener must be callable, not {type(callback).__name__}")
    if not store.capabilities.journal:
        raise UnsupportedError(f"{type(store).__name__} keeps no journal, so it cannot tell of what others change: "
                               "open a LmdbStore, or a path, with journal=True, or subscribe without others=True and "
                               "since=")
    pause = EVERY if every is None else span(every, "every")
    store = _bottom(store)
    with _guard:
        follower = _followers.get(store)
        if follower is None:
            follower = _followers[store] = Follower(store)
    return follower.add(store, pattern, callback, values, wants, since, max(pause, LEAST), ended)


def flush(store: Any) -> None:
    """Wait until those who listen to the journal of ``store`` have had what is in it."""
    follower = _followers.get(store)
    if follower is not None:
        follower.flush(store)


def _end_all() -> None:
    """Before the interpreter goes: no thread of ours is in native code then."""
    threads = [follower._thread for follower in _followers.values()]
    for follower in list(_followers.values()):
        follower.end()
    for thread in threads:
        if thread is not None:
            thread.join(1.0)


def _after_fork() -> None:
    global _guard
    _guard = threading.Lock()
    inherited = list(_followers.values())
    _followers.clear()
    for follower in inherited:
        follower._told, follower._wake, follower._thread = threading.Condition(), threading.Event(), None
        for one in follower._all:
            one.over = True
        follower._all = ()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

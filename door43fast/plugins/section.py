"""What every backend in Python is: open or closed, with one writer at a time, events to tell, computations under way.

A write finds its records, decides, and stores within :meth:`Section._change`, which holds the store's lock and
whatever keeps other processes out (:meth:`_writing`). No code of a caller runs in it: values are encoded before,
compared before and checked again by their versions, and listeners are told after. Only a finalizer may run anywhere in
Python; if one writes in the middle of a step, the step is made anew.
"""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, NamedTuple

from door43fast.claims import name_hash
from door43fast.contracts import Capabilities
from door43fast.errors import ClosedError, ReadOnlyError, UnsupportedError
from door43fast.plugins.record import Record
from door43fast.reference.events import EventQueue

COUNTS = ("hits", "misses", "sets", "deletes", "evictions", "expirations", "stale")
SET, DELETE = "set", "delete"
COUNTED = {(SET, "user"): "sets", (DELETE, "user"): "deletes", (DELETE, "expire"): "expirations"}

_open_stores: weakref.WeakSet[Section] = weakref.WeakSet()


class Change(NamedTuple):
    """One step of a write: what to keep under a key, None to take it out; and what to tell of it, if anything.

    ``before`` is what it replaces or takes out, where that was looked at: its tags are told of too.
    """

    key: str
    record: Record | None
    op: str | None = None
    reason: str = "user"
    value: Any = None
    before: Record | None = None


Found = list[Record | None]
Step = Callable[[Found], tuple[Any, Sequence[Change]]]


class Section:
    """The state that all methods share."""

    capabilities = Capabilities(persistent=True, traces=True, streams=True)
    _text_keys = True
    _flights_file: str | None = None    # the path of a file of ours that all processes share which have the store open
    _depth = 0      # how many stores with locks stand below it: theirs are taken after its own

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._counts = dict.fromkeys(COUNTS, 0)
        self._serial = 0            # grows with each write of this store
        self._queue = EventQueue(f"{type(self).__name__}-{os.urandom(6).hex()}")
        self._flight_table: dict[Any, Any] = {}
        self._marks: Any = None     # of computations in all processes
        self._recording: Any = None
        self._is_closed = False
        self._renumber()
        _open_stores.add(self)

    def _renumber(self) -> None:
        """Versions are unlike those of every other store, process and run."""
        self._versions = count(random.SystemRandom().getrandbits(61) + 1)

    def _after_fork(self) -> None:
        """In the child of a fork: locks may be held by threads that are not here."""
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._queue._delivery = threading.Lock()
        self._queue._idle = threading.Condition()
        self._queue._drainer = 0
        self._renumber()
        if not self._is_closed:
            self._forked()

    # -- for the shared surface ------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._is_closed

    @property
    def _events(self) -> EventQueue:
        return self._queue

    @property
    def _flights(self) -> dict[Any, Any]:
        return self._flight_table

    def _open(self) -> None:
        if self._is_closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")

    def _lacks(self, capability: str, what: str) -> None:
        """Refuse a call that the capabilities rule out."""
        self._open()
        if not getattr(self.capabilities, capability):
            kind = ReadOnlyError if capability == "writes" else UnsupportedError
            raise kind(f"{type(self).__name__} {what}, as its capabilities say: use a MemoryStore or a LmdbStore for "
                       "that, or open this one so that it can")

    # -- one step --------------------------------------------------------------------------------------------

    def _change(self, keys: Sequence[str], step: Step, *, void: bool = True, look: bool = True,
                durable: bool = False, prefixes: Sequence[str] = ()) -> Any:
        """Run ``step(records of keys)`` with nobody else writing; it gives a result and the changes to make.

        ``look=False`` gives None for every record, without looking. ``void`` ends the computations under way of all
        ``keys``. ``prefixes`` are those of ranges that the step looks at besides: for whoever has no lock.
        """
        self._lacks("writes", "takes no writes")
        with self._lock:
            self._open()
            with self._writing():
                while True:
                    serial = self._serial
                    result, changes = step(self._fetch(keys) if look else [None] * len(keys))
                    if serial == self._serial:
                        break
                if void:
                    self._void_elsewhere(keys, changes)
                if changes:
                    self._serial += 1
                    self._apply([(change.key, change.record) for change in changes])
            self._applied(keys, changes, void)
        if durable:
            self._sync()
        self._queue.drain()
        return result

    def _applied(self, keys: Sequence[str], changes: Sequence[Change], void: bool) -> None:
        """Count and tell of changes that were applied, and end the computations of ``keys``. The caller drains.

        REQUIRES: the store's lock is held.
        """
        for change in changes:
            if change.op is not None:
                self._note(change)
        if void and self._flight_table:
            for key in keys:
                flight = self._flight_table.get(key)
                if flight is not None:
                    flight.voided = True

    def _shared_marks(self) -> Any:
        """What computations in other processes can be told by; None where there are no others."""
        if self._marks is None and self._flights_file is not None:
            from door43fast.native.marks import Marks
            self._marks = Marks(self._flights_file)
        return self._marks

    def _void_elsewhere(self, keys: Sequence[str], changes: Sequence[Change]) -> None:
        """What other processes compute of ``keys`` that are taken out, or were not there, is not to be stored.

        A set is seen by its version. REQUIRES: inside :meth:`_writing`.
        """
        kept = {change.key for change in changes if change.record is not None}
        gone = [key for key in keys if key not in kept]
        marks = self._shared_marks() if gone else None
        if marks is not None:
            for key in gone:
                marks.touch(self._flight_hash(key))

    def _flight_hash(self, key: str) -> int:
        """The hash of a key among those that share the marks."""
        return name_hash(key)

    def _note(self, change: Change) -> None:
        """Count a change and have it told. REQUIRES: the store's lock is held."""
        self._counts[COUNTED[change.op or SET, change.reason]] += 1
        carried = {tag for record in (change.before, change.record) if record is not None
                   for tag, _ in record.tags} if self._queue.tagged else ()
        self._queue.push(change.op or SET, change.key, change.reason, change.value, carried)

    def _at_once(self, work: Callable[[], None], op: str, what: Any) -> None:
        """Do ``work`` that changes any number of records, with nobody else writing, and tell of it once it is kept."""
        with self._lock:
            self._open()
            with self._writing():
                self._serial += 1
                marks = self._shared_marks()
                if marks is not None:
                    marks.touch_all()
                work()
            self._void_all()
            self._queue.push(op, what, "user")
        self._queue.drain()

    def _void_all(self) -> None:
        for flight in list(self._flight_table.values()):
            flight.voided = True

    def _count(self, hits: int, misses: int) -> None:
        with self._counting:
            self._counts["hits"] += hits
            self._counts["misses"] += misses

    def _served_stale(self) -> None:
        with self._counting:
            self._counts["stale"] += 1

    # -- what a backend brings -------------------------------------------------------------------------------

    def _writing(self) -> AbstractContextManager[Any]:
        """Keeps other processes from writing; what is applied within it is kept at its end, or not at all.

        May be entered again by the same thread, and then belongs to the outer one.
        """
        return nullcontext()

    def _fetch(self, keys: Sequence[str]) -> Found:
        """The records under ``keys``, with ``revoked`` set, expired ones among them; None where there is none."""
        raise NotImplementedError

    def _apply(self, changes: list[tuple[str, Record | None]]) -> None:
        """Keep these records, in this order. REQUIRES: inside :meth:`_writing`."""
        raise NotImplementedError

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        """Keys and records from ``low`` up to before ``high``, in order, expired ones among them. Others may write
        meanwhile."""
        raise NotImplementedError

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        """How often each of ``tags`` was invalidated."""
        raise NotImplementedError

    def _revoke(self, tag: str) -> None:
        """Count one more invalidation of ``tag``. REQUIRES: inside :meth:`_writing`."""
        raise NotImplementedError

    def _held(self) -> int:
        """How many records are kept, expired ones among them."""
        return sum(1 for _ in self._walk("", None))

    def _erase(self, low: str, high: str | None) -> None:
        """Take out all from ``low`` up to before ``high``. REQUIRES: inside :meth:`_writing`."""
        self._apply([(key, None) for key, _ in self._walk(low, high)])

    def _due(self, now: float) -> list[str]:
        """Keys that may have expired by ``now``, their stale windows over."""
        return [key for key, record in self._walk("", None)
                if record.deadline is not None and record.deadline + record.stale <= now]

    def _sync(self) -> None:
        """Have what was written survive a power loss."""

    def _sound(self) -> Iterator[str]:
        """Check what is kept: for each record what is wrong with it, empty text if nothing is."""
        raise NotImplementedError

    def _occupied(self) -> int | None:
        """Bytes that are occupied, None where that is not known."""
        return None

    def _forking(self) -> None:
        """Before a fork, in the thread that forks and with nobody else writing."""

    def _forked_here(self) -> None:
        """After a fork, in the parent."""

    def _forked(self) -> None:
        """After a fork, in the child."""

    def _shut(self) -> None:
        """Let go of everything; waits for calls under way."""


_paused: list[Section] = []     # between the two ends of a fork


def _each(stores: Iterable[Section], call: Callable[[Section], None]) -> None:
    """One that fails must not leave the others unprepared, or locked; what it raised is told in the end."""
    failed: BaseException | None = None
    for store in stores:
        try:
            call(store)
        except BaseException as error:
            failed = error
    if failed is not None:
        raise failed


def _pause(store: Section) -> None:
    store._lock.acquire()
    _paused.append(store)
    if not store._is_closed:
        store._forking()


def _go_on(store: Section) -> None:
    try:
        if not store._is_closed:
            store._forked_here()
    finally:
        store._lock.release()


def _before() -> None:
    _each(sorted(_open_stores, key=lambda store: (-store._depth, id(store))), _pause)


def _in_parent() -> None:
    paused, _paused[:] = _paused[::-1], []
    _each(paused, _go_on)


def _in_child() -> None:
    paused, _paused[:] = _paused[::-1], []
    _each(paused, Section._after_fork)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

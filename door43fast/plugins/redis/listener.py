"""What keeps a memory tier true over Redis: a connection to each server on which it tells of every change.

The server is asked to tell of all names under the namespace, whoever changed them and whether they were read
(``CLIENT TRACKING ON BCAST``). A change of one key has that key leave the tiers above, by the same means as an eviction
below, which voids the promotions under way; a change of a tag, or of all, has them let go of everything, by the epoch
that they ask for before each read.

A connection may be dead long before anybody knows. So each is asked for a sign of life, again and again, and what was
asked comes back behind the changes that were made before. **The tiers are believed for no longer than ``bound``
seconds after the latest question that every server has answered**; beyond that, and whenever a connection is lost, each
epoch that is asked for is another, so that nothing in memory is served. When the connection is there again all starts
afresh.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from door43fast.plugins.redis.clock import passed
from door43fast.plugins.redis.failures import LOST
from door43fast.plugins.redis.link import Link
from door43fast.plugins.redis.names import Names
from door43fast.plugins.redis.options import Server

BEATS = 4               # signs of life within a bound
NEVER = float("-inf")
SOONEST, LATEST = 0.02, 0.5     # seconds between two attempts to connect


class Ear:
    """The connection to one server, and the thread that listens on it."""

    def __init__(self, listener: Listener, server: Server) -> None:
        self.server = server
        self.confirmed = NEVER      # when the latest question was asked that has been answered
        self.stopped = threading.Event()
        self.connection: Any = None
        self.thread = threading.Thread(target=_listen, args=(weakref.ref(listener), self, listener.bound / BEATS),
                                       daemon=True, name=f"door43fast-redis-{server}")
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        connection = self.connection
        if connection is not None:
            with contextlib.suppress(Exception):    # the thread may be closing it at this moment
                connection.disconnect()

    def abandon(self) -> None:
        """In the child of a fork: close the copy of the socket, and touch nothing else.

        The connection goes on in the parent, so it is not shut down; and the lock of ``stopped`` may be held by the
        thread, which is not here to let go of it.
        """
        connection, self.connection = self.connection, None
        socket = getattr(connection, "_sock", None)     # None while it is being made, and then a copy stays open
        if socket is not None:
            socket.close()


class Listener:
    """Of one store."""

    def __init__(self, link: Link, names: Names, bound: float) -> None:
        self.bound = bound
        self.link = link
        self.names = names
        self._lock = threading.Lock()
        self._ears: dict[Server, Ear] = {}
        self._tiers: list[Any] = []         # weak references, the lowest tier first
        self._numbers = count(1)
        self.news = 0                       # the epoch while all is well
        self._handed = 0                    # the last one handed out while it was not
        self.until = NEVER                  # up to when all is well,
        self.version = -1                   # while the servers are those of this version
        self._closed = False

    def tier(self, reference: Any) -> None:
        """A tier above, which takes ``_evicted(keys)``."""
        with self._lock:
            self._tiers = [one for one in self._tiers if one() is not None] + [reference]

    def epoch(self) -> int:
        """What a tier asks before each read: the same number only while what it holds may be served."""
        if self.hears:
            return self.news
        if not self._closed:
            version = self.link.version     # before: if there is another by then, this is done once more
            self._listen_to(self.link.primaries(), version)
        with self._lock:
            if self.hears:
                return self.news
            self._handed = next(self._numbers)
            return self._handed

    @property
    def hears(self) -> bool:
        """Whether all is well now: every server that can change something is heard."""
        return passed() < self.until and self.version == self.link.version

    def _listen_to(self, servers: list[Server], version: int) -> None:
        with self._lock:
            self.version = version
            for server in [server for server in self._ears if server not in servers]:
                self._ears.pop(server).stop()
            for server in servers:
                ear = self._ears.get(server)
                if ear is None or not ear.thread.is_alive():
                    self._ears[server] = Ear(self, server)
            self._reckon()

    def _reckon(self) -> None:
        self.until = min((ear.confirmed for ear in self._ears.values()), default=NEVER) + self.bound

    # -- from the threads ------------------------------------------------------------------------------------

    def opened(self, ear: Ear, asked: float) -> None:
        """A server tells of changes from now on; what it did not tell of may have changed."""
        with self._lock:
            self.news = next(self._numbers)
            ear.confirmed = asked
            self._reckon()

    def confirm(self, ear: Ear, asked: float) -> None:
        """All that had changed at ``asked`` has been heard."""
        with self._lock:
            ear.confirmed = asked
            if self._handed > self.news:
                self.news = next(self._numbers)
            self._reckon()

    def lost(self, ear: Ear) -> None:
        with self._lock:
            ear.confirmed = NEVER
            self._reckon()

    def heard(self, changed: list[bytes] | None) -> None:
        """These names have changed; None for all."""
        tiers = [tier for tier in (reference() for reference in self._tiers) if tier is not None]
        keys = None if changed is None or not tiers else self.names.keys(changed)
        if keys is None:
            with self._lock:
                self.news = next(self._numbers)
            return
        for tier in tiers:
            tier._evicted(list(keys))

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        with self._lock:
            self._closed = True
            ears, self._ears = list(self._ears.values()), {}
            self.until = NEVER
        for ear in ears:
            ear.stop()
        for ear in ears:
            if ear.thread is not threading.current_thread():
                ear.thread.join(1.0)

    def renewed(self) -> Listener:
        """In the child of a fork, where the threads are not: another, for the same tiers."""
        for ear in self._ears.values():
            ear.abandon()
        fresh = Listener(self.link, self.names, self.bound)
        fresh._tiers = self._tiers
        fresh._numbers = count(max(self.news, self._handed) + 1)
        return fresh


def _listen(reference: weakref.ref[Listener], ear: Ear, beat: float) -> None:
    delay = SOONEST
    while not ear.stopped.is_set():
        listener = reference()
        if listener is None:
            return
        try:
            link, prefix = listener.link, listener.names.prefix
            ear.connection = link.pools.connection(ear.server, listener.bound)
            del listener
            _converse(reference, ear, beat, prefix, link)
        except LOST:
            pass        # told below: what it means is in the epoch, and another attempt follows
        except Exception:
            if not ear.stopped.is_set():     # a connection that is closed in the middle of an answer fails in many ways
                raise
        finally:
            opened = ear.confirmed > NEVER
            _tell(reference, Listener.lost, ear)
            if ear.connection is not None:
                ear.connection.disconnect()
        delay = SOONEST if opened else min(delay * 2, LATEST)
        ear.stopped.wait(delay)


def _tell(reference: weakref.ref[Listener], method: Callable[..., None], *arguments: Any) -> bool:
    """Call a method of the listener, if it is still there; it is not held while its thread waits."""
    listener = reference()
    if listener is not None:
        method(listener, *arguments)
    return listener is not None


def _converse(reference: weakref.ref[Listener], ear: Ear, beat: float, prefix: bytes, link: Link) -> None:
    """Listen until the connection is lost, who serves what has changed, or nobody wants to know."""
    connection = ear.connection
    told: list[Any] = []
    connection.connect()
    connection._get_parser().set_invalidation_push_handler(told.append)
    asked = passed()
    connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix)
    connection.read_response()
    connection.send_command(*link.question)
    if not link.still(connection.read_response(disable_decoding=True)):
        return
    told.clear()
    _tell(reference, Listener.opened, ear, asked)
    questions: deque[float] = deque()
    due = asked + beat
    while not ear.stopped.is_set():
        now = passed()
        if now >= due:
            questions.append(now)
            connection.send_command(*link.question)
            due = now + beat
        if connection.can_read(timeout=max(due - now, 0.001)):
            answer = connection.read_response(disable_decoding=True, push_request=True)
            if told:
                going = all([_tell(reference, Listener.heard, names) for _, names in told])
                told.clear()
            else:
                going = link.still(answer) and _tell(reference, Listener.confirm, ear, questions.popleft())
        else:
            going = reference() is not None
        if not going:
            return

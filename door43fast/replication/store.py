"""A store that is kept in several others: a primary that decides, and replicas that follow its log."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from door43fast.arguments import span
from door43fast.claims import claim_on
from door43fast.compute import flight_name
from door43fast.contracts import Capabilities, Progress, Seconds
from door43fast.errors import ClosedError, ConfigError, Error, FencedError, ReplicationError, UnsupportedError
from door43fast.layers.failures import blames_layer
from door43fast.layers.forwarding import Call, Forwarding
from door43fast.replication.acknowledging import failures, needed, refuse_if_too_few, wait
from door43fast.replication.head import Place
from door43fast.replication.log import QueueLog, log_of
from door43fast.replication.members import PRIMARY, Lineup, check_members, close_all, seconds_of
from door43fast.replication.reading import Reads
from door43fast.replication.replica import Replica
from door43fast.replication.session import Session
from door43fast.replication.standing import Standing

_open_stores: weakref.WeakSet[Replicated] = weakref.WeakSet()


class Replicated(Forwarding):
    """A primary store and its replicas, as one store. See docs/replication.md.

    Every write goes to the primary, which decides what comes of it. Replicas follow its log: the journal of a primary
    that keeps one, else a queue in memory. Each by a thread of its own, in order, batches and transactions as units.

    Parameters
    ----------
    primary : Store
        Where writes are decided; a ``LmdbStore`` with ``journal=True`` is best, since its log outlives the process.
    replicas : sequence of Store
        Copies of it. They belong to this store from now on: nothing else may write to them.
    consistency : str
        When a write returns: ``"strong"``, when all replicas have it; ``"quorum"``, when most of all members have, or
        ``"quorum(2)"``, when so many have, the primary among them; ``"eventual"``, when the primary has.
    read : {"primary", "nearest", "any"}
        Who answers a read: the primary; who has answered fastest; each in turn. Of replicas those that may.
    max_lag : seconds, optional
        A replica that is further behind answers no read; no bound if not given.
    timeout : seconds
        How long a write waits for replicas, after which it raises ``ReplicationError``.
    queue : int
        Changes that are kept for replicas where the primary has no journal. A replica that lacks more is copied anew.
    poll : seconds
        How often the journal is asked for what other processes have written.
    close_timeout : seconds
        How long ``close`` waits for replicas under ``"eventual"``.
    overwrite : bool
        Take as a replica a store with records of its own, which are lost.
    progress : callable, optional
        ``progress(done, total, what)`` is called while a replica is copied, by its thread.

    Raises
    ------
    ConfigError
        If an option is out of range, or a replica holds what is not of this primary.
    FencedError
        If another store was promoted to be the primary.
    """

    def __init__(self, primary: Any, replicas: Sequence[Any], consistency: str = "strong", *, read: str = "primary",
                 max_lag: Seconds | None = None, timeout: Seconds = 5.0, queue: int = 100_000, poll: Seconds = 0.05,
                 close_timeout: Seconds = 10.0, overwrite: bool = False, progress: Progress | None = None) -> None:
        stores = [primary, *replicas]
        check_members(stores, queue, overwrite)
        self.consistency = consistency
        self._need = needed(consistency, len(stores))
        self._timeout = seconds_of(timeout, "timeout")
        self._poll = seconds_of(poll, "poll")
        self._close_timeout = seconds_of(close_timeout, "close_timeout")
        self._queue, self._overwrite, self._progress = queue, overwrite, progress
        self.reads = Reads(read, None if max_lag is None else seconds_of(max_lag, "max_lag"), self._timeout)
        self._shut = self._orphan = False
        self._mine = threading.local()      # of each thread: changes under way, and the last number of them
        self._starting = threading.Lock()
        self._started = False
        place = Place(primary)
        self._standing = Standing(self._term(primary, place))
        self._lineup = self._lined_up(primary, place, [(f"replica {i}", one) for i, one in enumerate(replicas, 1)])
        for replica in self._lineup.replicas:   # what is wrong with the set is said here; what fails is tried again
            replica.round(replica.attach)
            if isinstance(replica.error, ConfigError | FencedError):
                raise replica.error
        _open_stores.add(self)
        self._start()

    def _lined_up(self, primary: Any, place: Place, replicas: Sequence[tuple[str, Any]]) -> Lineup:
        log = log_of(primary, self._queue)
        return Lineup(primary, place, log, tuple(
            Replica(name, store, primary, log, self._standing, poll=self._poll, overwrite=self._overwrite,
                    progress=self._progress) for name, store in replicas))

    @staticmethod
    def _term(primary: Any, place: Place) -> int:
        head = place.read()[1]
        if head is not None and head.role != PRIMARY:
            raise FencedError(f"{primary!r} is a replica of another primary since term {head.term}: open the set with "
                              "that one as the primary", head.term)
        return 0 if head is None else head.term

    # -- the threads -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._starting:
            if not self._started and not self._shut:
                self._started = True
                for replica in self._lineup.replicas:
                    replica.start()

    def _after_fork(self) -> None:
        """In the child of a fork: its threads are not here, and its queue is not that of the parent."""
        self._starting = threading.Lock()
        self._started = False
        self._mine = threading.local()
        self._standing.renew()
        self._lineup.log.renew()
        for replica in self._lineup.replicas:
            replica.renew()
            replica.head = None
        if isinstance(self._lineup.log, QueueLog):
            capabilities = [store.capabilities for _, store in self._lineup.stores]
            self._orphan = any(one.shared or one.persistent for one in capabilities)
            for replica in self._lineup.replicas:
                replica.claimed, replica.seq = "", 0

    def _wake(self) -> None:
        if not self._started:
            self._start()
        for replica in self._lineup.replicas:
            replica.wake()

    # -- what kind of store it is ----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the primary can do, without tags and pins: the log does not tell them."""
        return self._lineup.primary.capabilities._replace(tags=False, pins=False)

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._shut

    @property
    def primary(self) -> Any:
        """The store that decides."""
        return self._lineup.primary

    @property
    def replicas(self) -> tuple[Any, ...]:
        """The stores that follow it."""
        return tuple(replica.store for replica in self._lineup.replicas)

    @property
    def term(self) -> int:
        """How often a primary was promoted before."""
        return self._standing.term

    @property
    def _events(self) -> Any:
        return self._below().primary._events

    @property
    def _flights(self) -> Any:
        return self._lineup.primary._flights

    def _flight_name(self, key: Any) -> Any:
        return flight_name(self._lineup.primary, key)

    def _claim(self, flight: Any, deadline: Seconds) -> Any:
        return claim_on(self._lineup.primary, flight, deadline)

    # -- reading ---------------------------------------------------------------------------------------------

    def _below(self) -> Lineup:
        if self._shut:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self._lineup

    def ask(self, call: Call, since: int) -> tuple[Any, int | None]:
        """What a member that has change ``since`` says to a read, and how far it was; None for the primary."""
        lineup = self._below()
        hidden = lineup.place.key if lineup.place.known else None
        return self.reads.ask(call, lineup.primary, hidden, lineup.replicas, since)

    def _ask(self, call: Call) -> Any:
        return self.ask(call, 0)[0]

    _ask_key = _ask_keys = _ask_all = _ask

    def session(self, seq: int = 0) -> Session:
        """The same store for one user, whose reads see at least change ``seq``, what was written through it, and what
        they saw before, whichever member answers."""
        self._below()
        return Session(self, seq)

    # -- writing ---------------------------------------------------------------------------------------------

    def _change(self, call: Call) -> Any:
        lineup = self._below()
        self._refuse(call)
        if call.keys is not None and not len(call.keys):
            return call.on(lineup.primary)
        what = f"{call.name}({call.keys[0]!r})" if call.keys is not None and len(call.keys) == 1 else f"{call.name}()"
        refuse_if_too_few(lineup.replicas, self._need, self._timeout, what)
        if call.name == "expire":
            return call.on(lineup.primary)      # replicas let expire by themselves
        mine, outer = self._mine, self._under_way()
        kept = ("clear", call.args) if call.name == "clear" else ("keys", _plain(call))
        ticket = lineup.log.begin(*kept, nested=outer > 0)
        before = failures(lineup.replicas)
        mine.depth = outer + 1
        mine.seq = mine.seq if outer else 0
        changed = True
        try:
            result = call.on(lineup.primary)
        except BaseException as error:
            changed = blames_layer(error) or not isinstance(error, Exception)   # else nothing came of it
            raise
        finally:
            mine.depth = outer
            mine.seq = max(lineup.log.end(ticket, changed), mine.seq)
            self._wake()
        if not outer:       # what a listener writes while the change goes on is waited for with it
            wait(lineup.replicas, self._standing, mine.seq, self._need, self._timeout, what, before)
        return result

    def _under_way(self) -> int:
        """How many changes this thread is in the middle of: a listener of one may call any method."""
        return getattr(self._mine, "depth", 0)

    def _refuse(self, call: Call) -> None:
        if self._standing.fenced is not None:
            raise self._standing.fenced
        if self._orphan:
            raise FencedError("this process was forked off the one that writes to the replicas, and a primary without "
                              "a journal has one writer: write there, or open the store anew with a journal")
        if call.name == "invalidate" or call.options.get("tags"):
            raise UnsupportedError("a replicated store has no tags, as its capabilities say: its log tells none")
        if call.options.get("pin"):
            raise UnsupportedError("a replicated store pins nothing, as its capabilities say: its log tells none")

    # -- how far it is ---------------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """The number of the last change; a replica that is there has all of them."""
        return self._below().log.last()

    @property
    def written(self) -> int:
        """The number of this thread's last change, 0 if it made none."""
        return getattr(self._mine, "seq", 0)

    def wait_for(self, seq: int | None = None, *, timeout: Seconds | None = None, replicas: int | None = None) -> None:
        """Return when the replicas have change ``seq``, all that was written before this call if not given.

        Parameters
        ----------
        seq : int, optional
            A number that ``sequence`` or ``written`` gave.
        timeout : seconds, optional
            For how long at the most; the store's own if not given.
        replicas : int, optional
            How many of them; all if not given.

        Raises
        ------
        ReplicationError
            If they have not got it by then: ``failed`` and ``unknown`` say which.
        """
        lineup = self._below()
        wanted = self.sequence if seq is None else seq
        if isinstance(wanted, bool) or not isinstance(wanted, int):
            raise TypeError(f"seq is the number of a change, not {type(wanted).__name__}")
        count = len(lineup.replicas) if replicas is None else replicas
        if not 0 <= count <= len(lineup.replicas):
            raise ValueError(f"replicas={replicas} is out of range: there are {len(lineup.replicas)}")
        self._wake()
        wait(lineup.replicas, self._standing, wanted, count + 1,
             self._timeout if timeout is None else span(timeout, "timeout"), "what was waited for")

    # -- care ------------------------------------------------------------------------------------------------

    def _care(self, call: Call) -> Any:
        lineup = self._below()
        if call.name == "stats":
            return self._stats(lineup)
        if call.name == "verify":
            return _verified(lineup, call.options["progress"])
        result = call.on(lineup.primary)
        if call.name == "flush" and not self._under_way():
            self.wait_for(replicas=self._need - 1 if self._need > 1 else None)
            for replica in lineup.replicas:
                if not replica.late(self._timeout):
                    replica.store.flush()
        return result

    def _stats(self, lineup: Lineup) -> dict[str, Any]:
        return {**lineup.primary.stats(), "replication": {
            "consistency": self.consistency, "term": self.term, "sequence": lineup.log.last(),
            "replicas": [replica.told() for replica in lineup.replicas]}}

    def close(self) -> None:
        """Let the replicas have all, under ``"eventual"`` and for ``close_timeout`` at the most; then close them.

        Raises
        ------
        ReplicationError
            If a replica lacks changes; it says which and how many. Everything is closed all the same.
        """
        if self._shut:
            return
        missing: Exception | None = None
        if self._need == 1 and not self._orphan and self._standing.fenced is None:
            try:
                self.wait_for(timeout=self._close_timeout)
            except (Error, OSError) as error:
                missing = self._missing(error)
        self._shut = True
        end = time.monotonic() + self._close_timeout
        for replica in self._lineup.replicas:
            replica.stop()
        for replica in self._lineup.replicas:
            if replica.thread is not None and replica.thread is not threading.current_thread():
                replica.thread.join(max(end - time.monotonic(), 0.1))
        failed = close_all([store for _, store in self._lineup.stores])
        if missing is not None or failed is not None:
            raise missing or failed     # type: ignore[misc]

    def _missing(self, error: Exception) -> Exception:
        if not isinstance(error, ReplicationError):
            return error
        lags = {replica.name: replica.lag()[0] for replica in self._lineup.replicas if replica.lag()[0]}
        return ReplicationError(
            f"closed after {self._close_timeout:g} seconds with replicas that lack changes: "
            f"{', '.join(f'{name} lacks {count}' for name, count in lags.items())} ({error}). They get them when the "
            "set is opened again", error.done, error.failed, error.unknown)

    def __del__(self) -> None:
        if hasattr(self, "_lineup"):
            for replica in self._lineup.replicas:
                replica.stop()


def replicated(primary: Any, replicas: Sequence[Any], consistency: str = "strong", **options: Any) -> Replicated:
    """A store kept in a primary and its replicas; see :class:`Replicated`."""
    return Replicated(primary, replicas, consistency, **options)


def _plain(call: Call) -> Any:
    """The keys that a call changes, as a log keeps them."""
    keys: Any = () if call.keys is None else call.keys
    return keys.tolist() if hasattr(keys, "tolist") else keys


def _verified(lineup: Lineup, progress: Progress | None) -> dict[str, Any]:
    checked, errors = 0, []
    for name, store in lineup.stores:
        found = store.verify(progress=None if progress is None else partial(_told, progress, checked, name))
        checked += found["checked"]
        errors += [f"{name}: {error}" for error in found["errors"]]
    return {"checked": checked, "errors": errors}


def _told(progress: Progress, before: int, name: str, done: int, total: int, what: str) -> None:
    progress(before + done, before + total, f"{what} of {name}")


def _renewed() -> None:
    for store in list(_open_stores):
        store._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renewed)

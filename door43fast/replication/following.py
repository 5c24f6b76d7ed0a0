"""What a replicated store is while nobody reads or writes: its members, their threads, how far they are, their end."""

from __future__ import annotations

import os
import threading
import time
import weakref
from functools import partial
from typing import Any

from door43fast.arguments import span
from door43fast.claims import claim_on
from door43fast.compute import flight_name
from door43fast.contracts import Capabilities, Progress, Seconds
from door43fast.errors import ClosedError, Error, ReplicationError, UnsupportedError, blames_layer
from door43fast.layers.forwarding import Call, Forwarding
from door43fast.replication.acknowledging import failures, flush, wait
from door43fast.replication.comparing import Comparison, compare
from door43fast.replication.gate import Gate
from door43fast.replication.log import QueueLog
from door43fast.replication.members import Lineup, close_all
from door43fast.replication.replica import Replica
from door43fast.replication.standing import Standing

_open_stores: weakref.WeakSet[Following] = weakref.WeakSet()


class Following(Forwarding):
    """A subclass makes the lineup, starts the threads, and says where reads and writes go."""

    consistency: str
    _lineup: Lineup
    _standing: Standing
    _need: int
    _timeout: float
    _close_timeout: float
    _one_reads = True       # all reads go to the primary

    def __init__(self) -> None:
        self._shut = self._orphan = False
        self._mine = threading.local()      # of each thread: changes under way, and the last number of them
        self._starting = threading.Lock()
        self._started = False
        self._gate = Gate()

    # -- the threads -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._starting:
            if not self._started and not self._shut:
                self._started = True
                _open_stores.add(self)
                for replica in self._lineup.replicas:
                    replica.start()

    def _after_fork(self) -> None:
        """In the child of a fork: its threads are not here, and its queue is not that of the parent."""
        self._starting = threading.Lock()
        self._started = False
        self._mine = threading.local()
        self._gate = Gate()
        self._standing.renew()
        self._lineup.log.renew()
        for replica in self._lineup.replicas:
            replica.renew()
            replica.head, replica.whole = None, False
        if isinstance(self._lineup.log, QueueLog):
            capabilities = [store.capabilities for _, store in self._lineup.stores]
            self._orphan = any(one.shared or one.persistent for one in capabilities)
            for replica in self._lineup.replicas:
                replica.claimed, replica.seq = "", -1

    def _wake(self) -> None:
        if not self._started:
            self._start()
        for replica in self._lineup.replicas:
            replica.wake()

    # -- what kind of store it is ----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """What the primary can do; without tags where a member takes none, pins, and traces of several."""
        tags = all(store.capabilities.tags for _, store in self._lineup.stores)
        can = self._lineup.primary.capabilities._replace(tags=tags, pins=False)
        return can if self._one_reads else can._replace(traces=False)

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

    def _claim(self, flight: Any, name: Any, deadline: Seconds) -> Any:
        return claim_on(self._lineup.primary, flight, deadline, name)

    def _below(self) -> Lineup:
        if self._shut:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self._lineup

    def _under_way(self) -> int:
        """How many changes this thread is in the middle of: a listener of one may call any method."""
        return getattr(self._mine, "depth", 0)

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
        try:
            wait(lineup.replicas, self._standing, wanted, count + 1,
                 self._timeout if timeout is None else span(timeout, "timeout"), "what was waited for")
        except ReplicationError as error:
            if seq is None or (last := self._last_known(lineup)) is None or seq <= last:
                raise
            raise ReplicationError(
                f"there has been no change {seq} to wait for: the last is {last}; give a number that sequence or "
                "written gave, of this set", [], error.failed, error.unknown) from None

    @staticmethod
    def _last_known(lineup: Lineup) -> int | None:
        """The number of the last change, None if it cannot be asked for."""
        try:
            return lineup.log.last()
        except Exception as error:
            if not blames_layer(error):
                raise
            return None

    # -- care ------------------------------------------------------------------------------------------------

    def _care(self, call: Call) -> Any:
        lineup = self._below()
        if call.name == "stats":
            return self._stats(lineup)
        if call.name == "verify":
            return _verified(lineup, call.options["progress"])
        if call.name == "record_trace" and not self._one_reads:
            raise UnsupportedError("the reads of a replicated store that several members answer are not recorded, as "
                                   "its capabilities say: record those of a member, or open it with read='primary'")
        result = call.on(lineup.primary)
        if call.name == "flush" and not self._under_way():
            needed = self._need - 1 if self._need > 1 else len(lineup.replicas)
            self._wake()
            wait(lineup.replicas, self._standing, lineup.log.last(), needed + 1, self._timeout, "flush()",
                 failures(lineup.replicas))
            flush(lineup.replicas, needed, self._timeout)
        return result

    def _stats(self, lineup: Lineup) -> dict[str, Any]:
        found = lineup.primary.stats()
        if not self._one_reads:     # a read is counted by whoever answered it
            for name in ("hits", "misses"):
                found[name] += sum(replica.store.stats()[name] for replica in lineup.replicas
                                   if not replica.late(self._timeout))
        return {**found, "replication": {
            "consistency": self.consistency, "term": self.term, "sequence": lineup.log.last(),
            "replicas": [replica.told() for replica in lineup.replicas], **self._led()}}

    def _sure(self, lineup: Lineup, within: float) -> None:
        """Raise if another is the writer."""
        raise NotImplementedError

    def _led(self) -> dict[str, Any]:
        """What ``stats()`` says of who leads."""
        return {}

    def compare(self, *, progress: Progress | None = None) -> list[Comparison]:
        """Compare the replicas with the primary, by hashes of ranges of keys. Deadlines are not compared.

        Returns
        -------
        list of Comparison
            One for each replica: ``different`` are the keys that are not alike.

        Raises
        ------
        ReplicationError
            If a replica cannot be brought up to date first.
        """
        return self._compared(False, progress)

    def repair(self, *, progress: Progress | None = None) -> list[Comparison]:
        """Compare, and write the primary's records over those of the replicas that differ."""
        return self._compared(True, progress)

    def _compared(self, mend: bool, progress: Progress | None) -> list[Comparison]:
        lineup = self._below()
        if mend:
            self._sure(lineup, 0)

        def catch_up(replica: Replica) -> None:
            self._wake()
            seq = lineup.log.last()
            wait([replica], self._standing, seq, 2, self._timeout, "a comparison")
        return compare(lineup.primary, lineup.replicas, mend, catch_up, progress)

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
        if self._need == 1 and not (self._orphan or self._standing.fenced or self._standing.passive):
            try:
                self.wait_for(timeout=self._close_timeout)
            except (Error, OSError) as error:
                missing = self._missing(error)
        self._shut = True
        self._stop(self._close_timeout)
        failed = close_all([store for _, store in self._lineup.stores])
        if missing is not None or failed is not None:
            raise missing or failed     # type: ignore[misc]

    def _stop(self, seconds: float) -> None:
        """End the threads, waiting for them within a bound: one may hang in its store."""
        end = time.monotonic() + seconds
        for replica in self._lineup.replicas:
            replica.stop()
        for replica in self._lineup.replicas:
            if replica.thread is not None and replica.thread is not threading.current_thread():
                replica.thread.join(max(end - time.monotonic(), 0.1))

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

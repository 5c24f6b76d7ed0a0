"""A store that is kept in several others: what it takes, who answers a read, and what a write goes through."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from door43fast.contracts import Progress, Seconds
from door43fast.errors import ConfigError, FencedError, ReplicationError, UnsupportedError
from door43fast.layers.failures import blames_layer
from door43fast.layers.forwarding import Call
from door43fast.replication.acknowledging import failures, needed, refuse_if_too_few, wait
from door43fast.replication.following import Following
from door43fast.replication.head import KEYS, Head, Place
from door43fast.replication.hiding import unhidden
from door43fast.replication.log import log_of
from door43fast.replication.members import PRIMARY, Lineup, check_members, seconds_of
from door43fast.replication.promotion import Promotion
from door43fast.replication.reading import Reads
from door43fast.replication.replica import Replica
from door43fast.replication.session import Session
from door43fast.replication.standing import Standing

LEVEL = 1.0         # seconds for which a promotion waits for the replicas that stay replicas


class Replicated(Following):
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
        super().__init__()
        stores = [primary, *replicas]
        check_members(stores, queue, overwrite)
        self.consistency = consistency
        self._need = needed(consistency, len(stores))
        self._timeout = seconds_of(timeout, "timeout")
        self._poll = seconds_of(poll, "poll")
        self._close_timeout = seconds_of(close_timeout, "close_timeout")
        self._queue, self._overwrite, self._progress = queue, overwrite, progress
        self.reads = Reads(read, None if max_lag is None else seconds_of(max_lag, "max_lag"), self._timeout)
        place = Place(primary)
        self._standing = Standing(self._term(primary, place))
        self._looked = 0.0          # when the primary was asked who is the writer
        self._acknowledged = 0      # the last change that was, by this store
        self._lineup = self._lined_up(primary, place, [(f"replica {i}", one) for i, one in enumerate(replicas, 1)])
        for replica in self._lineup.replicas:   # what is wrong with the set is said here; what fails is tried again
            replica.round(replica.attach)
            if isinstance(replica.error, ConfigError | FencedError):
                raise replica.error
        self._start()

    def _lined_up(self, primary: Any, place: Place, replicas: Sequence[tuple[str, Any]], log: Any = None) -> Lineup:
        log = log_of(primary, self._queue) if log is None else log
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

    # -- reading ---------------------------------------------------------------------------------------------

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
        mine.seq = mine.seq if outer else 0
        before = failures(lineup.replicas)
        with self._gate.entered(outer > 0):
            lineup = self._lineup       # a promotion may have been waited for
            self._sure(lineup, self._poll)
            ranged = call.name == "clear"
            ticket = lineup.log.begin("clear" if ranged else "keys", call.args if ranged else _plain(call), outer > 0)
            mine.depth, changed = outer + 1, True
            try:
                result = self._carried_out(lineup, call)
            except BaseException as error:
                changed = blames_layer(error) or not isinstance(error, Exception)   # else nothing came of it
                raise
            finally:
                mine.depth = outer
                mine.seq = max(lineup.log.end(ticket, changed), mine.seq)
                self._wake()
            self._sure(lineup, 0)
            if not outer:       # what a listener writes while the change goes on is waited for with it
                wait(lineup.replicas, self._standing, mine.seq, self._need, self._timeout, what, before)
                self._acknowledged = max(self._acknowledged, mine.seq)
        return result

    def _carried_out(self, lineup: Lineup, call: Call) -> Any:
        """A change of the primary, whose head, where it has one, is not the caller's."""
        primary, place = lineup.primary, lineup.place
        if not place.known:
            return call.on(primary)
        token, head = place.read()
        if call.name == "_commit":
            reads, writes = call.args
            return primary._commit(reads, writes, ranges=unhidden(call.options["ranges"], place.key, token))
        result = call.on(primary)
        if call.name == "clear" and head is not None and place.read()[1] is None:
            place.put(head)
        return result

    def _sure(self, lineup: Lineup, within: float) -> None:
        """Raise if another is the writer by now; the primary is asked if that is longer ago than ``within`` seconds."""
        if lineup is not self._lineup:
            raise ReplicationError("another primary was promoted while the write went on: whether it is in that one is "
                                   "not known; read what holds now", unknown=[PRIMARY])
        now = time.monotonic()
        if lineup.primary.capabilities.shared and now - self._looked >= within:
            head = lineup.place.read()[1]
            if head is not None and (head.term > self.term or head.role != PRIMARY):
                self._standing.fence(FencedError(
                    f"another primary was promoted in term {head.term}, and this store is the writer of term "
                    f"{self.term}: nothing it writes is acknowledged. Close it, and open the set with that one",
                    head.term))
            self._looked = now
        if self._standing.fenced is not None:
            raise self._standing.fenced

    def _refuse(self, call: Call) -> None:
        if self._standing.fenced is not None:
            raise self._standing.fenced
        if self._orphan:
            raise FencedError("this process was forked off the one that writes to the replicas, and a primary without "
                              "a journal has one writer: write there, or open the store anew with a journal")
        if call.name == "invalidate" or call.options.get("tags"):
            raise UnsupportedError("a replicated store has no tags, as its capabilities say: its log tells none")
        if call.keys is not None and len(call.keys) == 1 and isinstance(call.keys[0], str | bytes) and (
                call.keys[0] in KEYS):
            raise ValueError(f"the key {call.keys[0]!r} is that of the head of a member: take another")
        if call.options.get("pin"):
            raise UnsupportedError("a replicated store pins nothing, as its capabilities say: its log tells none")


    # -- promotion -------------------------------------------------------------------------------------------

    def promote(self, replica: Any, *, force: bool = False) -> None:
        """Make a replica the primary, and the primary a replica, which is copied anew.

        Writes of this store wait meanwhile. If the primary can be reached, the replica first gets all that is in its
        log. Subscriptions stay with the store that was the primary: subscribe anew.

        Parameters
        ----------
        replica : Store or str
            One of ``replicas``, or its name in ``stats()``.
        force : bool
            Also where it may lack writes that were acknowledged.

        Raises
        ------
        ReplicationError
            If it may lack some; the message says what is known. The set is as it was.
        """
        with self._gate.closed(self._timeout + 1):
            lineup = self._below()
            if self._standing.fenced is not None:
                raise self._standing.fenced
            chosen = _chosen(lineup, replica)
            made: Promotion | None = None
            try:
                alive = self._followed(lineup, chosen, force)
                others = {name: store for name, store in lineup.stores if store is not chosen.store and (
                    alive or name != PRIMARY)}
                made = Promotion(chosen.name, chosen.store, others, len(lineup.stores), self._need, force)
                if alive:
                    made.fence([PRIMARY])       # nothing is acknowledged any more, by whomever
                    self._followed(lineup, chosen, force)
                level = [one.name for one in lineup.replicas if alive and one.seq == chosen.seq and one.whole]
                self._stop(self._timeout)
                made.look()
                made.refuse(self._acknowledged)
                made.fence([name for name in others if name != PRIMARY])
                made.enough()
                made.crown()
            except BaseException:
                self._stop(self._timeout)
                if made is not None:
                    self._standing.term = made.restored(lineup.place, self.term)
                self._begin(lineup.primary, lineup.place, [(one.name, one.store) for one in lineup.replicas],
                            log=lineup.log)
                raise
            self._standing.term = made.term
            members = [(one.name, lineup.primary if one is chosen else one.store) for one in lineup.replicas]
            self._begin(chosen.store, made.chosen, members, old=lineup.primary, level=level)

    def _followed(self, lineup: Lineup, chosen: Replica, force: bool) -> bool:
        """Let a replica have all that is in the primary; False if that cannot be reached."""
        try:
            lineup.place.read()
            last = lineup.log.settled()
        except Exception as error:      # told by the promotion, if it then knows too little
            if not blames_layer(error):
                raise
            return False
        try:
            wait([chosen], self._standing, last, 2, self._timeout, f"the promotion of {chosen.name}")
        except ReplicationError:
            if not force:
                raise
        with self._standing.moved:
            self._standing.moved.wait_for(lambda: chosen.whole, self._timeout)
            self._standing.moved.wait_for(lambda: all(       # those that are level with it need no copy
                one.seq >= last or one.late(self._timeout) for one in lineup.replicas), LEVEL)
        return True

    def _begin(self, primary: Any, place: Place, members: Sequence[tuple[str, Any]], old: Any = None,
               level: Sequence[str] = (), log: Any = None) -> None:
        """A new lineup. ``old`` was the primary, and is overwritten; those of ``level`` have what the new one has."""
        lineup = self._lined_up(primary, place, members, log)
        for replica in lineup.replicas:
            replica.overwrite = replica.overwrite or replica.store is old
            if replica.name in level and replica.store is not old:
                seq = lineup.log.settled()
                replica.round(partial(replica.stand, Head(
                    term=self.term, log=lineup.log.name, seq=seq, mark=lineup.log.mark(seq), whole=True)))
        self._acknowledged = 0 if old is not None else self._acknowledged
        self._lineup = lineup
        self._started = False
        self._start()


def replicated(primary: Any, replicas: Sequence[Any], consistency: str = "strong", **options: Any) -> Replicated:
    """A store kept in a primary and its replicas; see :class:`Replicated`."""
    return Replicated(primary, replicas, consistency, **options)


def _plain(call: Call) -> Any:
    """The keys that a call changes, as a log keeps them."""
    keys: Any = () if call.keys is None else call.keys
    return keys.tolist() if hasattr(keys, "tolist") else keys


def _chosen(lineup: Lineup, replica: Any) -> Replica:
    for one in lineup.replicas:
        if one.store is replica or one.name == replica:
            return one
    raise ConfigError(f"{replica!r} is none of the replicas: {', '.join(one.name for one in lineup.replicas)}")

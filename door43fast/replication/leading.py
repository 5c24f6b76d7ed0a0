"""Who is the primary and who the writer: the lineup, promotions, and the lease that decides where there is one."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from door43fast.contracts import Progress
from door43fast.errors import ConfigError, FencedError, ReplicationError, blames_layer
from door43fast.replication.acknowledging import wait
from door43fast.replication.following import Following
from door43fast.replication.head import Head, Place
from door43fast.replication.lease import Lease
from door43fast.replication.log import log_of
from door43fast.replication.members import PRIMARY, Lineup
from door43fast.replication.promotion import Promotion, discovered, installed, latest_term, most_advanced, restored
from door43fast.replication.replica import Replica

LEVEL = 1.0         # seconds for which a promotion waits for the replicas that stay replicas
BEATS = 4           # renewals of a lease in its time


class Leading(Following):
    """A subclass sets the options, and calls ``_lead`` at the end of its beginning."""

    _poll: float
    _queue: int
    _overwrite: bool
    _progress: Progress | None
    _lease: Lease | None = None
    _own_lease = False

    def __init__(self) -> None:
        super().__init__()
        self._looked = 0.0          # when the primary was asked who is the writer
        self._acknowledged = 0      # the last change that was, by this store
        self._away: float | None = None     # since when the primary does not answer
        self._wrong: Exception | None = None        # what kept the lease's holder from its office
        self._keeping: threading.Event | None = None
        self._unsaid = False        # whether the head of the primary may not say that it is it, in this term

    def _lead(self, stores: Sequence[Any]) -> None:
        """Find out who is the primary, and become the writer, at once or when the lease falls to us."""
        names = [PRIMARY, *(f"replica {i}" for i in range(1, len(stores)))]
        self._members = dict(zip(names, stores, strict=True))
        if self._lease is None:
            self._lineup = self._lined_up(stores[0], Place(stores[0]), [*self._members.items()][1:])
            self._standing.term = self._term()
        else:
            self._standing.passive = True
            self._lineup = self._lined_up(*self._discovered())
            self._beat()
        for replica in self._lineup.replicas:   # what is wrong with the set is said here; what fails is tried again
            if not self._standing.passive:
                replica.round(replica.attach)
            if isinstance(replica.error, ConfigError | FencedError):
                raise replica.error
        self._start()
        if self._lease is not None:
            self._keeping = threading.Event()
            threading.Thread(target=_keep, args=(weakref.ref(self), self._keeping, self._lease.seconds / BEATS),
                             daemon=True, name="door43fast lease").start()

    def _lined_up(self, primary: Any, place: Place, replicas: Sequence[tuple[str, Any]], log: Any = None) -> Lineup:
        log = log_of(primary, self._queue) if log is None else log
        return Lineup(primary, place, log, tuple(
            Replica(name, store, primary, log, self._standing, poll=self._poll, overwrite=self._overwrite,
                    progress=self._progress) for name, store in replicas))

    def _term(self) -> int:
        """The term of which the primary says that it is it."""
        primary, place = self._lineup.primary, self._lineup.place
        head = place.read()[1]
        if head is not None and head.role != PRIMARY:
            raise FencedError(f"{primary!r} is a replica of another primary since term {head.term}: open the set with "
                              "that one as the primary", head.term)
        return 0 if head is None else head.term

    def _sure(self, lineup: Lineup, within: float) -> None:
        """Raise if another is the writer by now; the primary is asked if that is longer ago than ``within`` seconds."""
        if lineup is not self._lineup:
            raise ReplicationError("another primary was promoted while the write went on: whether it is in that one is "
                                   "not known; read what holds now", unknown=[PRIMARY])
        if self._lease is not None and (self._standing.passive or not self._lease.held()):
            raise FencedError("this store is not the writer: another has the lease, or it could not be renewed. It may "
                              f"be read, and becomes the writer when the lease falls to it{self._told_wrong()}",
                              self.term)
        if self._unsaid and self._standing.fenced is None:
            self._say(lineup)
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

    def _led(self) -> dict[str, Any]:
        return {} if self._lease is None else {"lease": {
            "held": self._lease.held(), "writer": not self._standing.passive,
            "error": None if self._wrong is None else f"{type(self._wrong).__name__}: {self._wrong}"}}

    def _told_wrong(self) -> str:
        return "" if self._wrong is None else f" ({type(self._wrong).__name__}: {self._wrong})"

    # -- by hand ---------------------------------------------------------------------------------------------

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
        FencedError
            If this store is not the writer.
        """
        with self._gate.closed(self._timeout + 1):
            lineup = self._below()
            if self._lease is not None and (self._standing.passive or not self._lease.held()):
                raise FencedError("this store is not the writer, and only that may promote: another has the lease",
                                  self.term)
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
                made.carry_out(self._acknowledged, [name for name in others if name != PRIMARY])
            except BaseException:
                self._stop(self._timeout)
                if made is not None and made.crowning:
                    self._standing.fence(FencedError(
                        f"a promotion of {made.name} was cut short in the moment in which it became the primary, and "
                        "whether it is, is not known: close this store, and open the set with each member in turn as "
                        "the primary until one is it; if none is, promote() one", made.term))
                    raise
                try:
                    if made is not None and made.begun:
                        self._cut_short(made, lineup)
                finally:
                    self._begin(lineup.primary, lineup.place, [(one.name, one.store) for one in lineup.replicas],
                                log=lineup.log)
                raise
            self._standing.term, self._unsaid = made.term, False
            members = [(one.name, lineup.primary if one is chosen else one.store) for one in lineup.replicas]
            self._begin(chosen.store, made.chosen, members, old=lineup.primary, level=level)

    def _cut_short(self, made: Promotion, lineup: Lineup) -> None:
        """A promotion has failed after it has begun. The set goes on in its term, which must be said in the head of the
        old primary too, at the latest before the next write."""
        self._standing.term = made.term
        self._unsaid = True
        try:
            self._say(lineup)
        except Exception as error:      # tried again by who would write
            if not blames_layer(error):
                raise

    def _say(self, lineup: Lineup) -> None:
        """Have the head of the primary say that it is it, if what has failed has left that to be said."""
        if self._unsaid and restored(lineup.place, self.term):
            self._unsaid = False

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

    # -- by lease --------------------------------------------------------------------------------------------

    def _discovered(self) -> tuple[Any, Place, list[tuple[str, Any]]]:
        """Who is the primary by the heads of the members, and who the replicas are."""
        name = discovered({name: Place(store) for name, store in self._members.items()}, PRIMARY)
        others = [(one, store) for one, store in self._members.items() if one != name]
        return self._members[name], Place(self._members[name]), [
            (name if one == PRIMARY else one, store) for one, store in others]

    def _beat(self) -> None:
        """Renew the lease, or take it when it is free; take office, or leave it. Called by the thread that keeps it."""
        lease = self._lease
        assert lease is not None
        try:
            if lease.term is not None:
                lease.renew()
            if lease.term is None or self._standing.fenced is not None:
                self._retire()
                lease.acquire(self.term)
            elif not self._standing.passive and self._gone():
                lease.acquire(self.term)        # a new term, for another primary
                self._retire()
            if lease.term is not None and self._standing.passive and not self._shut:
                self._take_office(lease.term)
            self._wrong = None
        except Exception as error:      # whatever a store raised: told by who would write, and tried again
            self._wrong = error

    def _gone(self) -> bool:
        """Whether the primary has not answered for as long as a lease lasts."""
        assert self._lease is not None
        try:
            self._lineup.place.read()
        except Exception as error:      # counted from the first
            if not blames_layer(error):
                raise
            self._away = self._away or time.monotonic()
            return time.monotonic() - self._away >= self._lease.seconds
        self._away = None
        return False

    def _retire(self) -> None:
        """Another is the writer, or will be: write no more, and see where the members are."""
        if not self._standing.passive:
            with self._gate.closed(self._timeout + 1):
                self._stop(self._timeout)
                self._standing.passive, self._standing.fenced = True, None
                self._begin(*self._discovered())
        elif self._standing.fenced is not None:
            self._standing.fenced = None

    def _take_office(self, term: int) -> None:
        """Be the writer of a term: of the primary that there is, or of a replica if that has been gone for a lease."""
        assert self._lease is not None
        latest = latest_term({name: Place(store) for name, store in self._members.items()})
        if latest >= term:      # it was promoted by hand since
            term = self._lease.acquire(latest) or 0
            if term <= latest:
                return
        with self._gate.closed(self._timeout + 1):
            self._stop(self._timeout)
            primary, place, members = self._discovered()
            self._lineup = self._lined_up(primary, place, members)
            old = None
            try:
                gone = self._gone()
                if self._away is None:
                    installed(place, {name: Place(store) for name, store in members}, term)
                elif gone:
                    primary, place, members, old = self._replaced(primary, members, term)
                else:
                    raise ReplicationError("the primary does not answer; when it has not for as long as the lease "
                                           "lasts, a replica is promoted")
                self._standing.term, self._standing.passive, self._standing.fenced = term, False, None
                self._away = None
            finally:
                self._begin(primary, place, members, old=old)

    def _replaced(self, primary: Any, members: Sequence[tuple[str, Any]], term: int) -> tuple[Any, ...]:
        """Promote the replica that has most; refused where it may lack what was acknowledged."""
        name = most_advanced({name: Place(store) for name, store in members})
        stores = dict(members)
        others = {other: store for other, store in members if other != name}
        made = Promotion(name, stores[name], others, len(self._members), self._need, False, term)
        made.carry_out(0, list(others))
        return stores[name], made.chosen, [(other, primary if other == name else store) for other, store in members], (
            primary)

    def close(self) -> None:
        """As :meth:`Following.close`; the lease falls to another at once.

        Raises
        ------
        ReplicationError
            If a promotion or a ``clear`` has failed and the primary still cannot be told that it is the primary. All
            is closed all the same.
        """
        try:
            try:
                if not self._shut:
                    self._say(self._lineup)
            except Exception as error:
                if not blames_layer(error):
                    raise
                raise ReplicationError(
                    f"the primary does not answer, and could not be told that it is the primary in term {self.term} "
                    "that others know of: if opening the set is refused, promote() it, or another, with force=True",
                    (), {PRIMARY: error}) from error
            finally:
                super().close()
        finally:
            self._end_lease()
            if self._own_lease and self._lease is not None:
                self._lease.store.close()

    def _abandon(self) -> None:
        """It could not be opened: end what was begun, and leave the stores open."""
        self._shut = True
        if hasattr(self, "_lineup"):
            self._stop(self._timeout)
        self._end_lease()

    def _after_fork(self) -> None:
        super()._after_fork()
        if self._lease is not None:     # the parent keeps it; this process may read
            self._lease.renew_holder()
            self._standing.passive, self._keeping = True, None

    def _end_lease(self) -> None:
        if self._lease is None:
            return
        if self._keeping is not None:
            self._keeping.set()
        try:
            self._lease.release()
        except Exception as error:      # it then ends by itself
            if not blames_layer(error):
                raise


def _keep(reference: weakref.ref[Leading], ended: threading.Event, pause: float) -> None:
    """The thread that keeps a lease, or waits for it."""
    while not ended.wait(pause):
        store = reference()
        if store is None or store.closed:
            return
        store._beat()
        del store


def _chosen(lineup: Lineup, replica: Any) -> Replica:
    for one in lineup.replicas:
        if one.store is replica or one.name == replica:
            return one
    raise ConfigError(f"{replica!r} is none of the replicas: {', '.join(one.name for one in lineup.replicas)}")

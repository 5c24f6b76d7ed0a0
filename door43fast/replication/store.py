"""A store that is kept in several others: what it takes, who answers a read, and what a write goes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from door43fast.contracts import Progress, Seconds
from door43fast.errors import ConfigError, FencedError, UnsupportedError, blames_layer
from door43fast.layers.forwarding import Call
from door43fast.replication import hiding
from door43fast.replication.acknowledging import failures, needed, refuse_if_too_few, taken, wait
from door43fast.replication.fencing import fenced
from door43fast.replication.head import KEYS
from door43fast.replication.leading import Leading
from door43fast.replication.lease import Lease
from door43fast.replication.log import WHOLE
from door43fast.replication.marking import committed, marked, published
from door43fast.replication.members import Lineup, check_members, seconds_of
from door43fast.replication.reading import LATER, Reads
from door43fast.replication.session import Session
from door43fast.replication.standing import Standing

LEASE = 10.0        # seconds


class Replicated(Leading):
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
    lease : Store, optional
        A store that all sides can reach, such as one on Redis or a ``LmdbStore`` in a shared directory: who has the
        lease in it is the writer, and promotes a replica by itself when the primary is gone.
    lease_ttl : seconds
        How long the lease lasts after its holder was heard of last.
    lease_name : str
        Tells the leases of several sets in one store apart.
    own_lease : bool
        Close the lease's store with this one.
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
                 close_timeout: Seconds = 10.0, lease: Any = None, lease_ttl: Seconds = LEASE,
                 lease_name: str = "lease", own_lease: bool = False, overwrite: bool = False,
                 progress: Progress | None = None) -> None:
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
        self._one_reads = read == "primary"
        self._standing = Standing(0)
        if lease is not None:
            self._own_lease = own_lease
            self._lease = Lease(lease, seconds_of(lease_ttl, "lease_ttl"), lease_name)
        elif lease_ttl != LEASE or lease_name != "lease":
            raise ConfigError("lease_ttl= and lease_name= have no effect without lease=, a store that all sides can "
                              "reach: without one a replica is promoted by hand, with promote()")
        try:
            self._lead(stores)
        except BaseException:
            self._abandon()
            raise

    # -- reading ---------------------------------------------------------------------------------------------

    def ask(self, call: Call, since: int) -> tuple[Any, int | None]:
        """What a member that has change ``since`` says to a read, and how far it was; None for the primary."""
        lineup = self._below()
        # A promotion may write it while the store is read on.
        hidden = lineup.place.key if lineup.place.known or call.name in LATER else None
        if self._under_way():       # a listener sees what it is told of
            return marked(lineup.primary, call, hiding.read(lineup.primary, call, hidden)), None
        found, at = self.reads.ask(call, lineup.primary, hidden, lineup.replicas, since)
        return (found, at) if at is not None else (marked(lineup.primary, call, found), None)

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
            return self._carried_out(lineup, call, True)
        what = f"{call.name}({call.keys[0]!r})" if call.keys is not None and len(call.keys) == 1 else f"{call.name}()"
        refuse_if_too_few(lineup.replicas, self._need, self._timeout, what)
        if call.name == "expire" and not lineup.log.foreign:
            return call.on(lineup.primary)      # replicas let expire by themselves; a journal tells what was taken out
        mine, outer = self._mine, self._under_way()
        mine.seq = mine.seq if outer else 0
        before = failures(lineup.replicas)
        with self._gate.entered(outer > 0):
            lineup = self._lineup       # a promotion may have been waited for
            self._sure(lineup, self._poll)
            ranged = call.name in WHOLE
            ticket = lineup.log.begin(call.name if ranged else "keys", call.args if ranged else _plain(call), outer > 0)
            mine.depth, changed = outer + 1, True
            try:
                result = self._carried_out(lineup, call)
            except BaseException as error:
                changed = blames_layer(error) or not isinstance(error, Exception)   # else nothing came of it
                raise
            finally:
                mine.depth = outer
                with taken(what):
                    mine.seq = max(lineup.log.end(ticket, changed), mine.seq)
                self._wake()
            with taken(what):
                self._sure(lineup, 0)
            if not outer:       # what a listener writes while the change goes on is waited for with it
                wait(lineup.replicas, self._standing, mine.seq, self._need, self._timeout, what, before)
                self._acknowledged = max(self._acknowledged, mine.seq)
        return result

    def _carried_out(self, lineup: Lineup, call: Call, empty: bool = False) -> Any:
        """A change of the primary, whose head, where it has one, is not the caller's. Who may read may
        make an empty one."""
        if call.name == "_publish":
            return published(lineup.primary, call, lambda: self._made(lineup, call, empty))
        return self._made(lineup, committed(lineup.primary, call) if call.name == "_commit" else call, empty)

    def _made(self, lineup: Lineup, call: Call, empty: bool) -> Any:
        primary, place = lineup.primary, lineup.place
        if not place.known:
            return call.on(primary)
        token, head = place.read()
        if not empty and self._lease is not None and primary.capabilities.shared and primary.capabilities.transactions:
            try:
                result = fenced(primary, place, self.term, call)
            except FencedError as error:
                self._standing.fence(error)
                raise
        elif call.name == "_commit":
            reads, writes = call.args
            return primary._commit(reads, writes, ranges=hiding.unhidden(call.options["ranges"], place.key, token))
        else:
            self._unsaid = self._unsaid or call.name == "clear" and head is not None     # it goes with all there is
            result = call.on(primary)
        if call.name == "clear" and head is not None:
            with taken("clear()"):
                if place.read()[1] is None:
                    place.put(head)
                self._unsaid = False
        return result

    def _refuse(self, call: Call) -> None:
        if self._standing.fenced is not None:
            raise self._standing.fenced
        if self._orphan:
            raise FencedError("this process was forked off the one that writes to the replicas, and a primary without "
                              "a journal has one writer: write there, or open the store anew with a journal")
        if (call.name == "invalidate" or call.options.get("tags")) and not self.capabilities.tags:
            raise UnsupportedError("this replicated store takes no tags, as its capabilities say: one of its members "
                                   "takes none")
        if call.keys is not None and len(call.keys) == 1 and isinstance(call.keys[0], str | bytes) and (
                call.keys[0] in KEYS):
            raise ValueError(f"the key {call.keys[0]!r} is that of the head of a member: take another")
        if call.options.get("pin") or call.name == "_commit" and any(
                write is not None and write[3] for write in call.args[1].values()):
            raise UnsupportedError("a replicated store pins nothing, as its capabilities say: a pin is kept from the "
                                   "budget of one member, and nothing tells the others of it")


def replicated(primary: Any, replicas: Sequence[Any], consistency: str = "strong", **options: Any) -> Replicated:
    """A store kept in a primary and its replicas; see :class:`Replicated`."""
    return Replicated(primary, replicas, consistency, **options)


def _plain(call: Call) -> Any:
    """The keys that a call changes, as a log keeps them."""
    keys: Any = () if call.keys is None else call.keys
    return keys.tolist() if hasattr(keys, "tolist") else keys

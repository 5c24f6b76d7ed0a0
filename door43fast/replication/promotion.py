"""The promotion of a replica: who may become the primary, and how the one before is kept from writing.

A promotion takes a new term and writes it into the heads of the members, the old primary's first. A writer of an
earlier term finds it there: in a replica, in the transaction that would write to it; in the primary, after the write
and before the acknowledgement. So what was acknowledged was in the log before the old primary was fenced, and is read
from it if it can be. If it cannot, so many others must be fenced that those left can acknowledge nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from door43fast.errors import ConfigError, ConflictError, ReplicationError, blames_layer
from door43fast.replication.acknowledging import needed
from door43fast.replication.copying import COPYING
from door43fast.replication.head import Head, Place
from door43fast.replication.members import PRIMARY, check_member

TRIES = 20          # of a write of a head that others write at the same time


class Promotion:
    """Of the store ``chosen``. ``members`` are the others by name, ``need`` of ``total`` acknowledge a write."""

    def __init__(self, name: str, chosen: Any, members: Mapping[str, Any], total: int, need: int, force: bool,
                 term: int | None = None) -> None:
        self.name, self.total, self.need, self.force = name, total, need, force
        self.chosen = Place(chosen)
        self.places = {other: Place(store) for other, store in members.items()}
        self.errors: dict[str, Exception] = {}
        self.begun = False          # the new term may stand in a head
        self.crowning = False       # and in that of the chosen one, as the primary
        self.heads: dict[str, Head | None] = {}
        self.look()
        highest = max([self.head.term, *(one.term for one in self.heads.values() if one is not None)])
        self.term = highest + 1 if term is None else term

    def look(self) -> None:
        """Read all heads."""
        for other, place in self.places.items():
            try:
                self.heads[other] = place.read()[1]
            except Exception as error:      # it is told, and counted as not fenced
                if not blames_layer(error):
                    raise
                self.errors[other] = error
        head = self.chosen.read()[1]
        if head is None or not head.log or head.log.startswith(COPYING):
            raise ReplicationError(f"{self.name} cannot become the primary: it is no replica yet, or only a part of a "
                                   "copy")
        self.head = head

    def refuse(self, acknowledged: int = 0) -> None:
        """Raise if what was acknowledged would be lost, as far as anybody knows."""
        ahead = {name: head.seq for name, head in self.heads.items()
                 if head is not None and head.role != PRIMARY and head.log == self.head.log
                 and head.seq > self.head.seq}
        lacks = acknowledged - self.head.seq
        if self.force:
            return
        if not self.head.whole:
            raise ReplicationError(f"{self.name} is between two states of the primary: promote another replica, or "
                                   "give force=True")
        if lacks > 0:
            raise ReplicationError(f"{self.name} lacks {lacks} changes that were acknowledged: promote another "
                                   "replica, or give force=True to lose them", failed=self.errors)
        if ahead:
            best = max(ahead, key=lambda name: ahead[name])
            raise ReplicationError(f"{self.name} is at change {self.head.seq}, and {best} at {ahead[best]}: promote "
                                   "that one, or give force=True to lose what is between")

    def fence(self, names: Sequence[str]) -> None:
        """Write the new term into the heads of members; those that cannot be reached are remembered."""
        for name in names:
            if name not in self.errors:
                self.begun = True
                try:
                    self._fence(self.places[name])
                except Exception as error:      # told by enough(), unless enough others are fenced
                    if not blames_layer(error):
                        raise
                    self.errors[name] = error

    def _fence(self, place: Place) -> None:
        for _ in range(TRIES):
            token, head = place.read()
            if head is not None and head.term > self.term:
                raise _overtaken(place.store, head.term)
            if head is None or head.role == PRIMARY:
                after = Head(term=self.term)        # what it was the primary of it is not a replica of
            else:
                after = head.but(term=self.term)
            if rewritten(place, after, token):
                return
        raise ReplicationError(f"the head of {place.store!r} is written by others all the time: close their stores")

    def enough(self) -> None:
        """Raise if the members that were not reached could still acknowledge a write among themselves."""
        left = self.total - 1 - len(self.places) + len(self.errors)
        if left >= self.need and not self.force:
            raise ReplicationError(
                f"{self.name} cannot become the primary: {left} of {self.total} members were not reached, and "
                f"{self.need} are enough to acknowledge a write, so it may lack some, and another writer could go on. "
                "Bring them back, or give force=True", failed=self.errors)

    def crown(self) -> None:
        """Make the chosen one the primary."""
        for _ in range(TRIES):
            token, head = self.chosen.read()
            if head is not None and head.term > self.term:
                raise _overtaken(self.chosen.store, head.term)
            self.crowning = True
            if rewritten(self.chosen, Head(term=self.term, role=PRIMARY), token):
                return
        raise ReplicationError(f"the head of {self.name} is written by others all the time: close their stores")

    def carry_out(self, acknowledged: int, names: Sequence[str]) -> None:
        """All of it, but the fencing of those that were fenced before."""
        self.look()
        self.refuse(acknowledged)
        self.enough()       # else others would be fenced in vain, and a later opening would find them in this term
        self.fence(names)
        self.enough()
        self.crown()


def _overtaken(store: Any, term: int) -> ReplicationError:
    return ReplicationError(f"another promotion came first, and {store!r} is in term {term}: see who is the primary, "
                            "and open the set with it")


def _heads(places: Mapping[str, Place]) -> dict[str, Head | None]:
    """The heads of the members that can be reached."""
    found = {}
    for name, place in places.items():
        try:
            found[name] = place.read()[1]
        except Exception as error:      # it has no say
            if not blames_layer(error):
                raise
    return found


def discovered(places: Mapping[str, Place], default: str) -> str:
    """The name of the primary by the heads of the members: who says so in the latest term, or who cannot be asked."""
    heads = _heads(places)
    latest = max((head.term for head in heads.values() if head is not None), default=0)
    for name, head in heads.items():
        if head is not None and head.role == PRIMARY and head.term == latest:
            return name
    silent = [name for name in places if name not in heads]
    return default if default in silent or not silent or not latest else silent[0]


def most_advanced(places: Mapping[str, Place]) -> str:
    """The name of the replica that has most of the log."""
    able = {name: head.seq for name, head in _heads(places).items()
            if head is not None and head.whole and head.role != PRIMARY and not head.log.startswith(COPYING)}
    if not able:
        raise ReplicationError("no replica can be promoted: none can be reached that has all of some state")
    return max(able, key=lambda name: able[name])


def installed(place: Place, others: Mapping[str, Place], term: int) -> None:
    """Begin a term of the primary that there is: its own head first, then those of the replicas that can be reached."""
    for name, one in {PRIMARY: place, **others}.items():
        for _ in range(TRIES):
            try:
                token, head = one.read()
                if head is not None and head.term > term:
                    raise _overtaken(one.store, head.term)
                if name != PRIMARY and (head is None or head.role == PRIMARY):
                    break       # it is copied, and then has the term
                after = Head(term=term, role=PRIMARY) if head is None or name == PRIMARY else head.but(term=term)
                if rewritten(one, after, token):
                    break
            except Exception as error:      # a replica that is away gets it when it follows again
                if name == PRIMARY or not blames_layer(error) or isinstance(error, ReplicationError):
                    raise
                break
        else:
            raise ReplicationError(f"the head of {one.store!r} is written by others all the time: close their stores")


def latest_term(places: Mapping[str, Place]) -> int:
    """The greatest term in the heads that can be reached."""
    return max((head.term for head in _heads(places).values() if head is not None), default=0)


def restored(place: Place, term: int) -> bool:
    """Have the head of a primary say that it is it, in this term. Whether it does now."""
    for _ in range(TRIES):
        token, head = place.read()
        if head is not None and head.term > term:
            return True     # another promotion has come since: a write finds that out
        if rewritten(place, Head(term=term, role=PRIMARY), token):
            return True
    return False


def rewritten(place: Place, head: Head, token: Any) -> bool:
    """Write a head if it is still that of ``token``; whether it was."""
    if not place.store.capabilities.transactions:
        place.put(head)
        return True
    try:
        place.write(head, token)
    except ConflictError:
        return False
    return True


def promote(store: Any, others: Sequence[Any] = (), *, consistency: str = "strong", lost: int = 1,
            force: bool = False) -> int:
    """Make a replica the primary of a set that nobody has open any more, such as when its process was killed.

    Then open the set with it: ``replicated(store, others)``.

    Parameters
    ----------
    store : Store
        The replica.
    others : sequence of Store
        The other members that can be reached; the old primary too, if it can be.
    consistency : str
        That of the set.
    lost : int
        How many members cannot be reached, the old primary among them.
    force : bool
        Also where it may lack writes that were acknowledged, or others could still acknowledge some.

    Returns
    -------
    int
        The term that begins.

    Raises
    ------
    ReplicationError
        If it may lack what was acknowledged; the message says what is known.
    """
    for i, one in enumerate((store, *others)):
        check_member(i, one)
    if isinstance(lost, bool) or not isinstance(lost, int) or lost < 0:
        raise ConfigError(f"lost={lost!r} is not allowed: give how many members cannot be reached")
    total = 1 + len(others) + lost
    names = {f"member {i}": other for i, other in enumerate(others, 1)}
    made = Promotion("the replica", store, names, total, needed(consistency, total), force)
    if not force and any(name not in made.errors and (len(names[name]) if head is None else head.role == PRIMARY)
                         for name, head in made.heads.items()):
        raise ReplicationError("the primary of the set is among the others and can be reached: open the set with it "
                               "and call promote() of that, so that the replica gets what it lacks; or give force=True")
    made.refuse()
    made.enough()
    made.fence(list(made.places))
    made.carry_out(0, ())
    return made.term

"""Who is the primary of each set of a trial by now: a promotion is a step, and the sets are opened anew meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from door43fast.errors import FencedError
from door43fast.layers.failures import Late
from door43fast.replication import Replicated, promote
from door43fast.replication.head import Place
from door43fast.replication.members import PRIMARY
from door43fast.replication.promotion import most_advanced

TRIES = 8       # to find out who leads, before it is an error that nobody does
HURRY = 0.2     # real seconds that a promotion waits for replicas, where members fail


class Primaries:
    """The members of each set in the order of its plan, and which of them leads. The innermost set is number 0.

    ``turned`` says that another led a set than was known when it was opened last.
    """

    def __init__(self) -> None:
        self._members: list[list[Any]] = []
        self._led: dict[int, int] = {}
        self.turned = False

    def forget(self) -> None:
        """The sets are about to be opened anew."""
        self._members.clear()
        self.turned = False

    def open(self, members: list[Any], options: dict[str, Any], settle: Callable[[], None]) -> Replicated:
        """A set. One that holds what an emptied primary had is no reason to refuse it here; and who has been told that
        another leads looks who that is."""
        number = len(self._members)
        self._members.append(members)
        tries = TRIES
        while True:
            led = self._led.get(number, 0)
            try:
                return Replicated(members[led], members[:led] + members[led + 1:], overwrite=True, **options)
            except Late:        # a deadline of a moment, where the machine is busy
                settle()
            except FencedError:
                tries -= 1
                if not tries:
                    raise
                self._led[number], self.turned = _leader(members, options["consistency"]), True

    def note(self, sets: Sequence[Replicated]) -> None:
        """The sets are about to be closed."""
        for number, (store, members) in enumerate(zip(sets, self._members, strict=True)):
            self._led[number] = next(place for place, one in enumerate(members) if one is store.primary)


def _leader(members: list[Any], consistency: str) -> int:
    """Who says so in the latest term. Where nobody does, since a promotion was cut short, one is promoted."""
    places = {str(place): Place(one) for place, one in enumerate(members)}
    heads = {name: place.read()[1] for name, place in places.items()}
    term = max(head.term for head in heads.values() if head is not None)
    found = [name for name, head in heads.items() if head is not None and head.role == PRIMARY and head.term == term]
    if not found:
        found = [most_advanced(places)]
        promote(members[int(found[0])], [one for one in members if one is not members[int(found[0])]],
                consistency=consistency, lost=0)
    return int(found[0])


def promoted(store: Replicated, whom: int, fit: Callable[[Any], bool], hurried: bool) -> None:
    """Promote one of the replicas that are fit for it, if there is any."""
    able = [replica.name for replica in store._lineup.replicas if fit(replica.store)]
    if not able:
        return
    patience = store._timeout
    store._timeout = min(HURRY, patience) if hurried else patience
    try:
        store.promote(able[whom % len(able)])
    finally:
        store._timeout = patience


@contextmanager
def quiet(store: Replicated) -> Iterator[None]:
    """In here no replica of it does anything."""
    with ExitStack() as locks:
        for replica in store._lineup.replicas:
            locks.enter_context(replica.busy)
        yield

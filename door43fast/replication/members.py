"""The members of a replicated store as they were given: what is refused, and how all of them are closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from door43fast.arguments import span
from door43fast.errors import ConfigError
from door43fast.replication.head import Place
from door43fast.replication.log import JournalLog, QueueLog
from door43fast.replication.replica import Replica

PRIMARY = "primary"


class Lineup(NamedTuple):
    """Who is what, from one promotion to the next."""

    primary: Any
    place: Place                # of the primary's head
    log: JournalLog | QueueLog
    replicas: tuple[Replica, ...]

    @property
    def stores(self) -> list[tuple[str, Any]]:
        """The members by name, the primary last."""
        return [*((replica.name, replica.store) for replica in self.replicas), (PRIMARY, self.primary)]


def check_members(stores: Sequence[Any], queue: int, overwrite: bool) -> None:
    """Refuse what cannot be the members of one set."""
    if len(stores) < 2:
        raise ConfigError("a replicated store needs a primary and one replica or more")
    for i, store in enumerate(stores):
        check_member(i, store)
        if any(store is other for other in stores[:i]):
            raise ConfigError(f"member {i}, {store!r}, is there twice")
    if isinstance(queue, bool) or not isinstance(queue, int) or queue < 1:
        raise ConfigError(f"queue={queue!r} is not allowed: give how many changes are kept, 1 or more")
    if not isinstance(overwrite, bool):
        raise ConfigError(f"overwrite={overwrite!r} is not allowed; it may be true or false")


def check_member(number: int, store: Any) -> None:
    """Refuse what cannot be a member."""
    if not hasattr(store, "_commit"):
        raise ConfigError(f"member {number}, {store!r}, is not a store")
    if hasattr(store, "_lineup"):
        raise ConfigError(f"member {number}, {store!r}, is a replicated store itself, and two heads would stand under "
                          "one key: give all members to one set")
    if not store.capabilities.writes or not store.capabilities.listing:
        raise ConfigError(f"member {number}, {store!r}, cannot be written and listed, as a member must be")


def seconds_of(given: Any, option: str) -> float:
    """Seconds of an option, more than 0."""
    try:
        seconds = span(given, option)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    if not seconds:
        raise ConfigError(f"{option}=0 is no time at all: give seconds")
    return seconds


def close_all(stores: Sequence[Any]) -> Exception | None:
    """Close all of them; the first error."""
    first = None
    for store in stores:
        try:
            store.close()
        except Exception as error:      # raised by the caller, when all are closed
            first = first or error
    return first

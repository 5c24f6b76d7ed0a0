"""What goes up in the cascade of the reference: which keys, for how long, and only if nobody has written meanwhile."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from door43fast.arguments import span
from door43fast.compute import Computation, forget
from door43fast.contracts import MISSING, Seconds
from door43fast.errors import BudgetError, ConfigError, did_you_mean

# What no caller can change under another; anything else is read from the slow store, afresh, every time.
IMMUTABLE = (bytes, str, int, float, complex, bool, type(None), date, datetime)
NOTHING = ("nothing",)      # stands in the fast store for a key that the slow one lacks; known by its identity
PROMOTIONS = ("always", "second", "never")
REMEMBERED = 10_000         # keys of which it is known that they were fetched once


class Rules:
    """The options of a cascade."""

    def __init__(self, fast: Any, promote: str, negative: Seconds | None, stale: Seconds | None,
                 on_error: Seconds | None) -> None:
        if promote not in PROMOTIONS:
            raise ConfigError(f"promote={promote!r} is unknown: {did_you_mean(promote, PROMOTIONS)}")
        if promote == "never" and negative is not None:
            raise ConfigError("promote='never' and negative= exclude each other: nothing would ever go up")
        self.fast = fast
        self.promote = promote
        self.negative = _seconds("negative", negative)
        self.stale = _seconds("stale", stale)
        self.on_error = _seconds("stale_on_error", on_error)
        self.window = max(self.stale, self.on_error)
        self.ttl = getattr(fast, "_ttl", None)      # a store of another kind has its own cap
        if self.window and self.ttl is None:
            raise ConfigError("stale= and stale_on_error= have no effect where the fast layer keeps a value for as "
                              "long as it lives: open that with ttl=")
        self._once: dict[Any, None] = {}

    def admits(self, key: Any) -> bool:
        """Whether what was fetched goes up."""
        if self.promote != "second":
            return self.promote == "always"
        if key in self._once:
            return True
        self._once[key] = None
        if len(self._once) > REMEMBERED:
            self._once.clear()
        return False

    def past(self, key: Any) -> tuple[Any, float]:
        """What the fast store holds past its time but within the window, or MISSING; and for how long it is past."""
        def step(_: Any, found: Any, __: Any) -> tuple[Any, float]:
            entry = found[0]
            if entry is None or not entry.stale or entry.deadline is None or entry.tags:
                return MISSING, 0.0
            age = self.fast._clock.seconds - entry.deadline
            return (entry.value, age) if 0 <= age < entry.stale else (MISSING, 0.0)
        return self.fast._at_once([key], step) if self.window else (MISSING, 0.0)

    def spans(self, left: float | None) -> tuple[float | None, float]:
        """How long a value with ``left`` seconds to live is kept in the fast store, and how long it is stale then."""
        if self.ttl is None or left is not None and left <= self.ttl:
            return left, 0.0
        return self.ttl, self.window if left is None else min(self.window, left - self.ttl)


class Promotion:
    """Tickets for keys that the fast store missed; calling it promotes a value whose ticket still holds."""

    def __init__(self, cascade: Any, keys: list[Any]) -> None:
        self.fast, self.slow, self.rules = cascade.fast, cascade.slow, cascade._rules
        self.tickets: dict[Any, Any] = {}
        for key in keys:
            ticket = Computation(self.fast, key)
            if self.fast._flights.setdefault(ticket.name, ticket) is ticket:
                ticket.token = self.fast._read(key)[0]
                self.tickets[key] = ticket

    def __enter__(self) -> Promotion:
        return self

    def __call__(self, key: Any, value: Any) -> None:
        held = self.rules.past(key)[0] is not MISSING
        if not self._goes_up(key, value, held) and held and key in self.tickets and not self.tickets[key].voided:
            self.fast.delete(key)       # it is not what the slow store has

    def _goes_up(self, key: Any, value: Any, held: bool) -> bool:
        ticket = self.tickets.get(key)
        if ticket is None or type(value) not in IMMUTABLE and value is not MISSING:
            return False
        if value is MISSING and not self.rules.negative or not (held or self.rules.admits(key)):
            return False
        try:
            if value is MISSING:
                left, stale = self.rules.spans(self.rules.negative)[0], 0.0
                return self.fast._publish(ticket, key, NOTHING, left, None)
            left, stale = self.rules.spans(self.slow.ttl(key))
            return self.fast._publish(ticket, key, value, left, stale or None)
        except (KeyError, BudgetError):     # gone meanwhile; or too big for the fast store, and read from the slow
            return False

    def __exit__(self, *_: object) -> None:
        for ticket in self.tickets.values():
            forget(self.fast, ticket, ticket.name)


def _seconds(option: str, given: Seconds | None) -> float:
    """An option, 0.0 where it was not given."""
    if given is None:
        return 0.0
    try:
        seconds = span(given, option)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    if seconds == 0:
        raise ConfigError(f"{option}=0 has no effect: give seconds, or None")
    return seconds

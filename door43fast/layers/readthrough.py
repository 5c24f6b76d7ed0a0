"""A cascade whose fast layer is no memory store: a disk before a network, for example.

The slow layer is the truth. A read that the fast one cannot answer goes to the slow one, and what is found is promoted.
A write takes its keys out of the fast layer first and then goes to the slow one: so a process that is killed between
the two leaves nothing old behind, and only reads put values into the fast layer.

What may go up, and when: ``promotion.py``.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from door43fast.contracts import MISSING, Capabilities, Seconds
from door43fast.errors import ClosedError, ConfigError, blames_layer
from door43fast.layers.arrival import leaves
from door43fast.layers.claiming import lent
from door43fast.layers.conditional import ABSENT, WAYS
from door43fast.layers.failures import Late, Spared, reached
from door43fast.layers.forwarding import Call
from door43fast.layers.parallel import MAX_OWED
from door43fast.layers.promotion import Promotions
from door43fast.layers.several import Layer, Several, Snapshot, _named
from door43fast.reference.packing import pack

REFUSED = (TypeError, ValueError)       # of a key that a layer cannot hold, and so does not


class ReadThrough(Promotions, Several):
    """A store over a slower one, of which the fast one is not in memory.

    Parameters
    ----------
    fast, slow : Store
        They belong to it from now on, and nothing else may write to the fast one. One that may hang comes in a
        ``Guard`` with a deadline; the others get a guard without one.
    promote : {"always", "second", "never"}
        When what was found in the slow layer goes up: at the first miss, at the second, or not at all.
    fast_ttl : float or timedelta, optional
        The longest that anything stays in the fast layer: a bound on what is old where others write to the slow one and
        it cannot tell.
    max_owed, owed, repair, clock
        As of :class:`Parallel`, for the fast layer: what it owes it has still to lose.

    Raises
    ------
    ConfigError
        If an option is wrong, or a layer is no store.
    """

    _fills = False

    def __init__(self, fast: Any, slow: Any, *, promote: str = "always", fast_ttl: Seconds | None = None,
                 max_owed: int = MAX_OWED, owed: Any = None, repair: str = "background", clock: Any = None) -> None:
        self._begin_promotions(promote, fast_ttl)
        super().__init__([("fast", fast), ("slow", slow)], 1, max_owed=max_owed, owed=owed, repair=repair, clock=clock)
        can = self._fast.store.capabilities
        if not can.writes:
            raise ConfigError("the fast layer of a cascade must take writes")
        self._keeps_objects = not (can.persistent or can.shared)
        self._follow()

    @property
    def fast(self) -> Any:
        """The layer above."""
        return self._layers[0].store

    @property
    def slow(self) -> Any:
        """The layer below."""
        return self._layers[1].store

    @property
    def _fast(self) -> Layer:
        return self._layers[0]

    @property
    def _slow(self) -> Layer:
        return self._layers[1]

    def _capable(self) -> Capabilities:
        """What the slow layer can do."""
        return self.slow.capabilities._replace(events=True, traces=False)

    def _told_by(self) -> int:
        return 1

    # -- what others write -----------------------------------------------------------------------------------

    def _watched(self) -> tuple[Any, ...]:
        """What a memory tier above looks at: the fast layer is nobody else's."""
        return (self.slow,)

    def _follow(self) -> None:
        """Hear of what others write to the slow layer, where it can tell."""
        self._epochs = []
        for store in leaves(self.slow):
            if hasattr(store, "_epoch"):
                self._epochs.append(store._epoch)
            if hasattr(store, "_tells"):
                store._tells(weakref.ref(self))
        self._seen = sum(ask() for ask in self._epochs)

    def _renew(self) -> None:
        """If others have written to the slow layer nobody knows what, nothing in the fast one is believed any more."""
        if not self._epochs:
            return
        epoch = sum(ask() for ask in self._epochs)
        if epoch != self._seen:
            with self._stripes.section(None):
                self._drop_all(next(self._numbers))
            self._seen = epoch

    def _evicted(self, keys: Sequence[Any]) -> None:
        """Others have changed these keys in the slow layer."""
        with self._stripes.section(keys):
            if not self._shut:
                with suppress(ClosedError):     # its owner may have closed it apart: reads say so, who tells goes on
                    self._lose(keys, next(self._numbers))
                self._void_tickets(keys)
        self._owing()

    # -- reads -----------------------------------------------------------------------------------------------

    def _above(self, keys: Sequence[Any]) -> list[tuple[Any, float | None]]:
        """What the fast layer has of ``keys``, and how long; ABSENT for what it has not or must not be asked."""
        found: list[tuple[Any, float | None]] = [(ABSENT, None)] * len(keys)
        ledger = self._fast.ledger
        mine = range(len(keys)) if ledger.clean else [i for i in range(len(keys)) if not ledger.owes(_named(keys[i]))]
        if not mine or not self._fast.up:
            return found
        try:
            answers = self.fast._with_deadlines([keys[i] for i in mine])
        except REFUSED:
            return found        # the slow layer says what is a key
        except Exception as error:
            if not blames_layer(error):
                raise
            return found        # its guard has counted it; the slow layer answers
        for i, (value, left) in zip(mine, answers, strict=True):
            if value is not MISSING:
                found[i] = value, left
        return found

    def _holds_above(self, key: Any) -> bool:
        if self._fast.ledger.owes(_named(key)) or not self._fast.up:
            return False
        try:
            return key in self.fast
        except REFUSED:
            return False
        except Exception as error:
            if not blames_layer(error):
                raise
            return False

    def _fetch(self, keys: Sequence[Any]) -> list[tuple[Any, float | None]]:
        """Values and the seconds that they have left, or ``(ABSENT, None)``: one batch of each layer."""
        self._open()
        self._renew()
        found = self._above(keys)
        missed = [i for i in range(len(keys)) if found[i][0] is ABSENT]
        if missed or not keys:
            tickets = [self._ticket(_named(keys[i])) for i in missed]
            below = self.slow._with_deadlines([keys[i] for i in missed])
            up = []
            for i, ticket, (value, left) in zip(missed, tickets, below, strict=True):
                if value is not MISSING:
                    found[i] = value, left
                    up.append((_named(keys[i]), value, left, ticket))
            if up:
                self._promote(up)
        return found

    def _with_deadlines(self, keys: Sequence[Any]) -> list[tuple[Any, float | None]]:
        """For a tier above, which must not keep a value for longer than the layer here may."""
        return [(MISSING, None) if value is ABSENT else (value, self._bounded(left))
                for value, left in self._fetch(keys)]

    def _ask_key(self, call: Call) -> Any:
        if call.name == "_read":
            self._open()
            _named(call.args[0])
            token, value = self.slow._read(call.args[0])
            return (1, token), value
        if call.name == "ttl":
            self._open()
            _named(call.args[0])
            return self.slow.ttl(call.args[0])
        if call.name == "__contains__":
            self._open()
            self._renew()
            return self._holds_above(call.args[0]) or call.args[0] in self.slow
        _named(call.args[0])
        value, _ = self._fetch([call.args[0]])[0]
        if call.name == "_lookup":
            return (1, value) if value is not ABSENT else self.slow._lookup(call.args[0])
        if value is not ABSENT:
            return value
        if call.name == "get":
            return call.args[1]
        raise KeyError(call.args[0])

    def _ask_keys(self, call: Call) -> Any:
        self._open()
        assert call.keys is not None
        if call.name in ("contains_many", "_tags_of"):
            return call.on(self.slow)
        keys = list(call.keys)
        values = [value for value, _ in self._fetch(keys)]
        if call.name == "get_packed":
            return pack(keys, [MISSING if value is ABSENT else value for value in values], call.options["out"])
        return [call.args[1] if value is ABSENT else value for value in values]

    def _ask_all(self, call: Call) -> Any:
        self._open()
        if call.name == "_snapshot":
            return Snapshot(self._slow, call)
        return call.on(self.slow)

    # -- writes ----------------------------------------------------------------------------------------------

    def _lose(self, keys: Sequence[Any], number: int) -> None:
        """Have the fast layer lose ``keys``; where it does not, it owes them, and is not asked for them."""
        fast = self._fast
        if not fast.ledger.known:
            return
        if fast.takes(keys) and fast.up:
            try:
                self.fast.delete_many(list(keys))
            except REFUSED:
                return
            except Exception as error:
                if not blames_layer(error):
                    raise
            else:
                fast.ledger.paid(keys)
                return
        fast.ledger.add(keys, number)

    def _drop_all(self, number: int) -> None:
        """REQUIRES: the section of all keys."""
        self._fast.ledger.lapse(number)
        self._void_tickets(None)
        self._copy(self._fast)

    def _below(self, call: Any, keys: Sequence[Any] | None) -> Any:
        """Carry out a write on the slow layer, and void the tickets of its keys."""
        try:
            return call(self.slow)
        except Late:
            with self._telling:
                self._unsure.update([None] if keys is None else keys)
            raise
        finally:
            self._void_tickets(keys)

    def _claim(self, flight: Any, name: Any, deadline: Seconds) -> Any:
        return lent([self._slow], name, flight, deadline)       # the fast layer loses the key before each write

    def _absolute(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        events = self._events_of(call)
        self._lose(keys, number)
        answer = self._below(call.on, keys)
        events()
        return answer

    def _conditional(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        way = WAYS[call.name](call)
        self._lose(keys, number)
        answer = self._below(lambda _: way.decide(self._slow), keys)
        if way.follow(answer) is not None:
            self._told_conditional(call, answer)
        return answer

    def _whole(self, call: Call, number: int) -> None:
        everything = call.name == "invalidate"      # what was promoted carries no tags
        try:
            if not everything:
                self._clear_above(call, number)
            self._below(call.on, None)
        except BaseException as error:
            if reached(error) and everything:
                self._drop_all(number)
            raise
        if everything:
            self._drop_all(number)
        self._tell(call.name, call.args[0])

    def _clear_above(self, call: Call, number: int) -> None:
        try:
            if not self._fast.up or not self._fast.takes(None):
                raise Spared("the fast layer cannot follow")
            call.on(self.fast)
        except Exception:       # a prefix that it cannot read, or a failure: it is emptied as a whole when it can be
            self._fast.ledger.lapse(number)

    def _expire(self, call: Call) -> int:
        try:
            call.on(self.fast)
        except Exception as error:
            if not blames_layer(error):
                raise
        return call.on(self.slow)

    def _cut_short(self, keys: Sequence[Any] | None, number: int) -> None:
        """A write ended nobody knows where: the fast layer must lose the keys."""
        if keys is None:
            self._fast.ledger.lapse(number)
        else:
            self._fast.ledger.add(keys, number)
        self._void_tickets(keys)

    # -- repair ----------------------------------------------------------------------------------------------

    def _complete(self) -> list[Layer]:
        return [self._slow]

    def _payable(self, layer: Any) -> bool:
        return layer is self._fast

    def _pay(self, layer: Any, keys: Sequence[Any]) -> None:
        layer.store.delete_many(list(keys))
        layer.ledger.paid(keys)

    def _copy(self, layer: Any) -> bool:
        """The fast layer is emptied, and fills by what is read."""
        return self._begin_empty(layer)

    # -- care ------------------------------------------------------------------------------------------------

    def _care_flush(self, call: Call) -> None:
        """Sync the slow layer; the fast one holds nothing else."""
        call.on(self.slow)
        self._roster.flush()

    def _care_backup(self, call: Call) -> Any:
        return call.on(self.slow)

    def _care_stats(self, call: Call) -> dict[str, Any]:
        told = super()._care_stats(call)
        fast, slow = told["layers"]
        return {**told, **{name: slow.get(name) or 0 for name in ("misses", "sets", "deletes", "expirations")},
                "entries": slow["entries"], "promotions": self.promotions}


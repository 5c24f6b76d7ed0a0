"""Writes where the fallback is no mirror: the primary takes them, and the fallback only loses the keys.

While the primary is down, writes that say the new value go to the fallback, if it takes any, and the primary owes the
keys: for these the fallback is the truth. What depends on an old value waits for who knows it. The primary never
lapses: nobody could copy it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from door43fast.errors import BackendUnavailableError, ConflictError, blames_layer
from door43fast.layers.conditional import WAYS, pin_after
from door43fast.layers.failures import Late, Spared, reached
from door43fast.layers.forwarding import Call
from door43fast.layers.writing import Writes


class PartialWrites(Writes):
    """The writes and the repair of :class:`door43fast.layers.PrimaryFallback`, where its fallback is partial."""

    _partial: bool

    def _forget(self, keys: Sequence[Any], number: int) -> None:
        """Have the fallback lose ``keys``; where it does not, it owes them, and is not asked for them."""
        fallback = self._layers[1]
        if not fallback.store.capabilities.writes:
            self._owe(fallback, keys, number)
            return
        if fallback.takes(keys):
            try:
                fallback.store.delete_many(list(keys))
            except Exception as error:
                if not blames_layer(error):
                    raise
            else:
                fallback.ledger.paid(keys)
                return
        self._owe(fallback, keys, number)

    def _absolute(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        if not self._partial:
            return super()._absolute(call, keys, number)
        primary, fallback = self._layers
        asks = call.name in ("delete", "delete_many")
        if asks:        # what was there, only the fallback can say of keys that the primary owes
            self._pay_some(primary, keys)
        events = self._events_of(call)
        if primary.takes(keys) and not (asks and any(primary.ledger.owes(key) for key in keys)):
            try:
                answer = call.on(primary.store)
            except Exception as error:
                if not blames_layer(error):
                    raise
                failed: dict[Any, Exception] = {primary: error}
            else:
                primary.ledger.paid(keys)
                self._forget(keys, number)
                events()
                return answer
        else:
            failed = {primary: Spared(f"{primary.name} has still to be brought up to date")}
        try:
            answer = self._instead(call, keys)
        except Exception as error:
            if any(map(reached, (error, failed[primary]))):
                mine = [key for key in keys if not primary.ledger.owes(key)]
                self._owe(fallback, mine, number)       # what the primary holds is what holds
            if not blames_layer(error):
                raise
            failed[fallback] = error
            self._conclude(call, [], failed)
        with self._stripes.reckoning:
            if fallback.ledger.lapsed is not None:
                failed[fallback] = Late(f"{fallback.name} has it, and has since missed too much: it is emptied")
                self._conclude(call, [], failed)
            # Unbounded: other threads may have had room for one key at the same time.
            primary.ledger.add(keys, number, pin_after(call), bounded=False)
            fallback.ledger.paid(keys)
        events()
        return answer

    def _instead(self, call: Call, keys: Sequence[Any]) -> Any:
        """Write to the fallback, since the primary is down."""
        primary, fallback = self._layers
        if not fallback.store.capabilities.writes:
            raise Spared(f"{fallback.name} takes no writes")
        if not fallback.takes(keys):
            raise Spared(f"{fallback.name} has still to be brought up to date")
        more = sum(key not in primary.ledger.owed for key in keys)
        if len(primary.ledger.owed) + more > primary.ledger.max_owed:
            raise Spared(f"the primary owes {len(primary.ledger.owed)} keys, and max_owed is {primary.ledger.max_owed}")
        return call.on(fallback.store)

    def _conditional(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        if not self._partial:
            return super()._conditional(call, keys, number)
        primary, fallback = self._layers
        self._pay_some(primary, keys)
        owed = [key for key in keys if primary.ledger.owes(key)]
        if owed and (len(owed) < len(keys) or not fallback.takes(keys) or not fallback.store.capabilities.writes):
            raise self._nobody(self._said(call), {})
        decider = fallback if owed else primary         # of keys that the primary owes, the fallback is the truth
        way = WAYS[call.name](call)
        marked = {mark[0] for mark in self._marks(call)}
        if marked and marked != {decider.place}:
            raise ConflictError("what the transaction had read was in a layer that has since lost touch with the "
                                "others, and nothing was written: run it again")
        try:
            answer = way.decide(decider)
        except Exception as error:
            if not blames_layer(error):
                raise
            if reached(error) and decider is primary:
                self._owe(fallback, keys, number)
            self._conclude(call, [], {decider: error})
        if way.follow(answer) is not None:
            if decider is primary:
                self._forget(keys, number)
            else:
                primary.ledger.add(keys, number, pin_after(call), bounded=False)
            self._told_conditional(call, answer)
        return answer

    def _whole(self, call: Call, number: int) -> None:
        if not self._partial:
            super()._whole(call, number)
            return
        primary, fallback = self._layers
        self._pay_some(primary, list(primary.ledger.owed))
        if primary.ledger.owed or primary.late:
            raise self._nobody(self._said(call), {primary.name: BackendUnavailableError("it is not up to date")})
        self._knowing(call, [primary])
        try:
            call.on(primary.store)
        except Exception as error:
            if not blames_layer(error):
                raise
            if reached(error):
                fallback.ledger.lapse(number)       # it may hold what is gone by now
            self._conclude(call, [], {primary: error})
        try:
            if not fallback.takes(None) or not fallback.store.capabilities.writes:
                raise Spared(f"{fallback.name} cannot follow")
            call.on(fallback.store)
        except Exception as error:
            if not blames_layer(error) and (fallback.store.capabilities.tags or call.name != "invalidate"):
                raise
            fallback.ledger.lapse(number)
        self._tell(call.name, call.args[0])

    # -- repair ----------------------------------------------------------------------------------------------

    def _to_be_seen(self, layer: Any) -> bool:
        """A primary whose fallback holds a part is right whenever it is there."""
        return self._payable(layer) and not (self._partial and layer is self._layers[0])

    def _payable(self, layer: Any) -> bool:
        return not self._partial or layer is self._layers[0] or layer.store.capabilities.writes

    def _pay(self, layer: Any, keys: Sequence[Any]) -> None:
        if self._partial and layer is self._layers[1]:
            layer.store.delete_many(list(keys))
            layer.ledger.paid(keys)
        else:
            super()._pay(layer, keys)       # type: ignore[misc]

    def _copy(self, layer: Any) -> bool:
        if not self._partial:
            return super()._copy(layer)     # type: ignore[misc]
        return self._begin_empty(layer)

    _begin_empty: Any

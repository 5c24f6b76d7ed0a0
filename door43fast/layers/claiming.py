"""Who computes a key of several layers: the claim of one of them, which all processes ask that have the same layers.

The first layer says what is there, so only where processes share that one has another use for what one of them stores.
The claim is that of the first layer whose claims are files; it may be a later one, for it only says whose turn it is.
Where there are none, it is of a server. A layer that cannot be asked keeps nobody from computing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from door43fast.claims import claim_on
from door43fast.compute import flight_name
from door43fast.contracts import Seconds
from door43fast.errors import blames_layer


class Lent:
    """The claim of a layer, for a flight of the store over it."""

    def __init__(self, claim: Any, layer: Any, key: Any) -> None:
        self.claim, self.layer, self._key = claim, layer, key
        self._alone = False     # it could not be asked for: then this process computes by itself

    @property
    def waits(self) -> bool:
        return self.claim.waits

    @property
    def mark(self) -> Any:
        return self.claim.mark

    def take(self) -> bool:
        """Whether this flight is to compute now."""
        # What it owes is deleted or set there before the result is stored, which would end the claim.
        if self._alone or not self.layer.up or self.layer.ledger.owes(self._key):
            self._alone = True
            return True
        try:
            return self.claim.take()
        except Exception as error:
            if not blames_layer(error):
                raise
            self._alone = True
            return True

    def good(self) -> bool:
        """Whether what was computed may be stored, as far as the claim can tell."""
        try:
            return self._alone or self.claim.good()
        except Exception as error:
            if not blames_layer(error):
                raise
            return False

    def rival(self) -> Any:
        return self.claim.rival()

    def release(self) -> None:
        self.claim.release()

    def within(self, layer: Any) -> Any:
        """The claim for ``layer``, which is to store the result; None where it has to do with another one."""
        return self.claim if layer is self.layer and not self._alone else None


def lent(layers: Sequence[Any], key: Any, flight: Any, deadline: Seconds) -> Lent | None:
    """The claim for a flight over ``layers``; None where there is no use for one."""
    if not layers[0].store.capabilities.shared:
        return None
    served = None
    for layer in layers:
        try:
            claim = claim_on(layer.store, flight, deadline, flight_name(layer.store, key))
        except Exception as error:
            if not blames_layer(error):
                raise
            continue
        if claim is not None and not claim.waits:
            return Lent(claim, layer, key)
        if claim is not None and served is None:
            served = Lent(claim, layer, key)
    return served

"""How layers that were away are brought up to date.

For each key that a layer owes, what holds is set there or the key deleted, in the section of the key. A layer that has
lapsed is emptied, takes writes again from then on, and is given everything in batches, each in the section of its keys.
Nothing of it happens while late calls go on in the layer: they might undo it.

A thread does this in the background. It begins with the first debt and ends with the last, or at ``close``.
"""

from __future__ import annotations

import sys
import threading
import types
import weakref
from collections.abc import Sequence
from itertools import islice
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import BudgetError, ClosedError, blames_layer
from door43fast.tagged import tags_of

BATCH = 256     # keys that are paid at a time, and so long nobody else writes them
SOON, LATEST = 0.02, 2.0    # seconds between two tries, the first and the longest


class Repairs:
    """The repayment of :class:`door43fast.layers.several.Several`."""

    _layers: Any
    _stripes: Any
    _numbers: Any
    _shut: bool
    _fills: bool
    _book: Any
    _open: Any
    _latest: Any
    _forget_tags: Any
    _complete: Any

    def _begin_repairs(self, repair: str) -> None:
        self._repair = repair
        self._repairing = threading.Lock()      # one at a time: held for moments of the thread's life only, and by it
        self._repayer: Repayer | None = None

    def repair(self, *, anew: bool = False) -> dict[str, int | None]:
        """Bring layers up to date that owe something and can be reached.

        Parameters
        ----------
        anew : bool
            Copy every layer anew from the first that owes nothing, for when they may differ without anybody's knowing.

        Returns
        -------
        dict
            For each layer how many keys it still owes; None where it has still to be copied anew.
        """
        self._open()
        if anew:
            with self._stripes.section(None):
                complete = self._complete()
                for layer in self._layers:
                    if complete and layer is not complete[0]:
                        layer.ledger.lapse(next(self._numbers))
        self._pay_all()
        return {layer.name: None if layer.ledger.lapsed is not None else len(layer.ledger.owed)
                for layer in self._layers}

    def _owing(self) -> None:
        """Have the debts paid in the background, if there are any."""
        if self._repair != "background" or self._shut or not any(
                not layer.ledger.clean and self._payable(layer) for layer in self._layers):
            return
        with self._repairing:
            if self._repayer is None:
                self._repayer = Repayer(self)

    def _end_repairs(self) -> None:
        with self._repairing:
            repayer, self._repayer = self._repayer, None
        if repayer is not None:
            repayer.wake.set()

    def _fill(self) -> None:
        """At opening: a layer that is empty where another is not has never been filled, or lost everything."""
        empty, filled = [], []
        for layer in self._layers:
            # What one holds that owes something may all have been taken out of the others.
            if layer.ledger.clean and layer.store.capabilities.listing:
                try:
                    found = next(iter(layer.store.keys()), MISSING)
                except Exception as error:
                    if not blames_layer(error):
                        raise
                    continue        # it will be asked again when it is needed
                (empty if found is MISSING else filled).append(layer)
        for layer in filter(self._fillable, empty):
            if filled:
                layer.ledger.lapse(next(self._numbers))
                self._restart(layer)
            elif any(other.ledger.unseen and other.ledger.known and not other.ledger.owed for other in self._layers):
                layer.ledger.lapse(next(self._numbers))     # who is not there may hold everything

    def _to_be_seen(self, layer: Any) -> bool:
        """Whether a layer that is not there at opening must be looked at before it is believed."""
        return self._payable(layer)

    def _see(self, layer: Any) -> bool:
        """Look at a layer that was not there at the opening, if it is now. False if it could not be done.

        What it has missed by then, only debts that outlast the process tell; without them it is copied anew from who
        was there, and is believed if nobody was who holds anything.
        """
        try:
            self._first_key(layer)      # outside of the section: it may take the time of its opening
            with self._stripes.section(None):
                if self._shut or not layer.ledger.unseen or layer.late:
                    return False
                known = [other for other in self._layers if other is not layer and other.ledger.lapsed is None]
                lost = self._fills and self._book is not None and self._fillable(layer) and (
                    self._first_key(layer) is MISSING
                    # What one holds that owes something may all have been taken out of this one.
                    and any(other.ledger.clean and self._has_any(other) for other in known))
                if known and self._book is None or lost:
                    layer.ledger.lapse(next(self._numbers))
                layer.ledger.unseen = False
        except Exception as error:
            if not blames_layer(error):
                raise
            return False        # its guard has counted the failure
        return True

    @staticmethod
    def _first_key(layer: Any) -> Any:
        """Some key that a layer holds; MISSING for none, and where it cannot tell."""
        if not layer.store.capabilities.listing:
            layer.store.get_many([])
            return MISSING
        return next(iter(layer.store.keys()), MISSING)

    def _has_any(self, layer: Any) -> bool:
        """Whether a layer is there and holds anything."""
        return layer.up and layer.store.capabilities.listing and self._first_key(layer) is not MISSING

    def _payable(self, layer: Any) -> bool:
        """Whether it can ever be brought up to date: overridden where it may take no writes."""
        return True

    def _fillable(self, layer: Any) -> bool:
        """Whether it may be filled from another one at opening."""
        return True

    # -- paying ----------------------------------------------------------------------------------------------

    def _pay_all(self) -> None:
        """Pay what can be paid now. What cannot stays owed, and the guard of the layer knows why."""
        for layer in self._layers:
            if not layer.ledger.clean and layer.up and not layer.late and self._payable(layer) and (
                    not layer.ledger.unseen or self._see(layer)):
                self._repay(layer)

    def _repay(self, layer: Any) -> None:
        if layer.ledger.lapsed is not None and not self._copy(layer):
            return
        tried: set[Any] = set()
        while not self._shut and not layer.late:
            keys = [key for key in list(layer.ledger.owed) if key not in tried][:BATCH]
            if not keys or not layer.up:
                return
            tried.update(keys)
            with self._stripes.section(keys):
                if not self._pay_some(layer, keys) and not layer.up:
                    return

    def _pay_some(self, layer: Any, keys: Sequence[Any]) -> bool:
        """Pay those of ``keys`` that the layer owes, if it can be done. REQUIRES: the section of the keys."""
        owed = [key for key in keys if key in layer.ledger.owed]
        if not owed or not layer.up or layer.late or layer.ledger.unseen:
            return False
        try:
            self._pay(layer, owed)
            self._forget_tags(owed)
        except ClosedError:
            raise
        except Exception as error:
            if len(owed) > 1 and not blames_layer(error):   # it refuses one: the others can be paid all the same
                return all([self._pay_some(layer, [key]) for key in owed])
            return False    # it stays owed: that is all there is to do, and its guard has counted the failure
        return True

    def _pay(self, layer: Any, keys: Sequence[Any]) -> None:
        """Give the layer what holds under ``keys``. REQUIRES: the section of the keys."""
        ways: dict[Any, list[Any]] = {}
        for key in keys:
            known = [other for other in self._layers if other is not layer and not other.ledger.owes(key)]
            source = min(known, key=lambda other: (not other.up, other.ledger.untold), default=None)
            if source is None:
                latest = self._latest(key)
                if not latest:
                    if layer.ledger.copying:        # it was emptied, and lacks every write of it
                        layer.ledger.add([key], 0)
                    continue
                source = latest[0]
                source.ledger.paid([key])       # what it holds is what holds from now on
                if source is layer:
                    continue
            ways.setdefault(source, []).append(key)
        for source, mine in ways.items():
            self._give(layer, source, mine)
            layer.ledger.paid(mine)

    def _pay_or_owe(self, layer: Any, keys: Sequence[Any]) -> None:
        """``_pay``; a key that the layer refuses, for want of room for example, stays owed by itself."""
        try:
            self._pay(layer, keys)
        except Exception as error:
            if blames_layer(error) or isinstance(error, ClosedError):
                raise
            if len(keys) == 1:
                layer.ledger.add(keys, next(self._numbers))
                return
            for key in keys:
                self._pay_or_owe(layer, [key])

    def _give(self, layer: Any, source: Any, keys: Sequence[Any]) -> None:
        """Copy what ``source`` holds under ``keys`` to the layer."""
        gone, plain = [], {}
        found = _with_deadlines(source.store, keys)
        carried = tags_of(source.store, keys) if layer.store.capabilities.tags else [()] * len(keys)
        if None in carried or source.ledger.untold and layer.store.capabilities.tags:
            layer.ledger.mark_untold(True)      # first: it must be known if this process ends meanwhile
        for key, (value, left), tags in zip(keys, found, carried, strict=True):
            debt = layer.ledger.owed.get(key)
            pin = debt is not None and debt.pin
            if value is MISSING or left is not None and left <= 0:
                gone.append(key)
            elif left is None and not tags and not pin:
                plain[key] = value
            else:
                options = {"ttl": left, "tags": tags or (), "pin": pin}
                layer.store.set(key, value, **{name: one for name, one in options.items() if one})
        if plain:
            layer.store.set_many(plain)
        if gone:
            layer.store.delete_many(gone)

    # -- copying anew ----------------------------------------------------------------------------------------

    def _restart(self, layer: Any) -> bool:
        """Empty a layer that has lapsed, and let it take writes again."""
        with self._stripes.section(None):
            ledger = layer.ledger
            if layer.late or ledger.lapsed is None or self._shut:
                return False
            ledger.emptied += 1     # first: an answer that was given meanwhile does not count
            try:
                layer.store.clear()
            except Exception as error:
                if not blames_layer(error):
                    raise
                return False        # it stays lapsed, and its guard has counted the failure
            ledger.owed.clear()
            ledger.mark_untold(False)
            ledger.copying, ledger.unseen = True, False
            return True

    def _begin_empty(self, layer: Any) -> bool:
        """Empty a lapsed layer that need hold nothing, and believe it. False if that could not be done."""
        with self._stripes.section(None):       # it may lapse anew as soon as others write
            if self._restart(layer):
                layer.ledger.copied()
                return True
        return False

    def _copy(self, layer: Any) -> bool:
        """Copy a lapsed layer anew. False if that could not be done to the end."""
        able = [other for other in self._layers if other is not layer and other.ledger.lapsed is None and other.up]
        source = min(able, key=lambda other: other.ledger.untold, default=None)
        if source is None:
            return False
        try:
            if not layer.ledger.copying:
                next(iter(source.store.keys()), None)       # nothing is emptied before who holds everything answers
                if not self._restart(layer):
                    return False
            emptied = layer.ledger.emptied      # by another thread it may lapse and begin anew meanwhile
            for walk in (iter([*source.ledger.owed]), iter(source.store.keys())):     # from after that: see Ledger.add
                while batch := list(islice(walk, BATCH)):
                    with self._stripes.section(batch):
                        if self._shut or layer.late or source.ledger.lapsed is not None or (
                                not layer.ledger.copying or layer.ledger.emptied != emptied):
                            return False
                        self._pay_or_owe(layer, batch)
        except Exception as error:
            # A buffer over the source may have no room for what it must flush before it tells its keys.
            if not blames_layer(error) and not isinstance(error, BudgetError):
                raise
            with self._stripes.section(None):
                if layer.ledger.copying:        # it begins anew: what was given to it last may yet arrive late
                    layer.ledger.lapse(next(self._numbers))
            return False
        with self._stripes.section(None):
            if not layer.ledger.copying or layer.late or layer.ledger.emptied != emptied:
                return False
            layer.ledger.copied()
        return True


class Repayer(threading.Thread):
    """Pays debts while there are any. It keeps no store alive."""

    def __init__(self, store: Any) -> None:
        super().__init__(name="door43fast repair", daemon=True)
        self._store = weakref.ref(store)
        self.wake = threading.Event()
        self.start()

    def run(self) -> None:
        pause = SOON
        while not self.wake.wait(pause):
            store = self._store()
            if store is None or store._shut:
                return
            before = _debts(store)
            try:
                store._pay_all()
            except ClosedError:
                return
            except Exception as error:      # what it was about stays owed; nobody is left to raise it to
                sys.unraisablehook(types.SimpleNamespace(
                    exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, object=self.name,
                    err_msg="Exception ignored in bringing layers up to date by"))
            with store._repairing:
                after = _debts(store)
                if store._repayer is not self:
                    return
                if after == 0:
                    store._repayer = None
                    return
            pause = SOON if after < before else min(pause * 2, LATEST)
            del store


def _debts(store: Any) -> float:
    return sum(len(layer.ledger.owed) if layer.ledger.lapsed is None else 1e18 for layer in store._layers
               if store._payable(layer))


def _with_deadlines(store: Any, keys: Sequence[Any]) -> list[tuple[Any, float | None]]:
    """Each value, or MISSING, and the seconds that it has left."""
    if hasattr(store, "_with_deadlines") and not tiered(store):
        return store._with_deadlines(list(keys))
    found: list[tuple[Any, float | None]] = []
    expires = store.capabilities.ttl
    for key, value in zip(keys, store.get_many(list(keys), MISSING), strict=True):
        try:
            left = store.ttl(key) if expires and value is not MISSING else None
        except KeyError:        # it expired between the two calls
            value, left = MISSING, None
        found.append((value, left))
    return found


def tiered(store: Any) -> bool:
    """Whether a fast layer may answer, where values live no longer than that lets them: ``ttl`` asks the slow one."""
    while hasattr(store, "slow"):
        if hasattr(store, "fast"):
            return True
        store = store.slow
    return False

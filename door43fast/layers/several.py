"""The base of stores over several others that hold the same: who is asked, what is told, and the care of all.

A read of a key is answered by the first layer that is up and does not owe the key (``debts.py``), also when it answers
that there is nothing: one layer decides, never a vote. Writes (``writing.py``) and the bringing up to date of layers
that were away (``repair.py``) happen in sections of their keys (``stripes.py``).
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from door43fast.contracts import MISSING, Capabilities, Seconds
from door43fast.errors import (
    BackendUnavailableError, ClosedError, ConfigError, PartialWriteError, UnsupportedError, blames_layer)
from door43fast.layers.absentee import away
from door43fast.layers.breaker import OPEN
from door43fast.layers.caring import Care, debt_of
from door43fast.layers.claiming import lent
from door43fast.layers.debts import Book, Ledger
from door43fast.layers.failures import Spared
from door43fast.layers.forwarding import Call, Forwarding
from door43fast.layers.guard import Guard, late_calls
from door43fast.layers.iterating import iterate
from door43fast.layers.repair import Repairs
from door43fast.layers.stripes import Stripes
from door43fast.layers.telling import Telling
from door43fast.layers.writing import Writes
from door43fast.reference.packing import pack

ANY = ("persistent", "backup", "shared")    # capabilities that one layer has for all
NONE = ("journal", "traces")                # and those that need one layer to see everything

_open_stores: weakref.WeakSet[Several] = weakref.WeakSet()


class Layer:
    """One of several: its guard, and what it owes."""

    __slots__ = ("ledger", "name", "place", "store")

    def __init__(self, name: str, place: int, store: Guard, ledger: Ledger) -> None:
        self.name, self.place, self.store, self.ledger = name, place, store, ledger

    @property
    def up(self) -> bool:
        """Whether it may be asked."""
        return self.store.state != OPEN

    @property
    def late(self) -> int:
        """Late calls that go on in it, or in a layer of it."""
        return late_calls(self.store)

    def takes(self, keys: Sequence[Any] | None) -> bool:
        """Whether a write may go to it: not while it waits to be copied anew, nor while a late call may undo it."""
        if self.ledger.lapsed is not None and not self.ledger.copying:
            return False
        owed = self.ledger.owed
        return not ((keys is None or owed and any(key in owed for key in keys)) and self.late)


class Several(Writes, Repairs, Care, Telling, Forwarding):
    """Several stores as one. A subclass says how many layers must take a write.

    Parameters
    ----------
    stores : list of (str, Store)
        Names and stores, the first to answer first. They belong to it from now on.
    need : int
        How many layers must take a write for it to succeed.
    max_owed, owed, repair
        As of :class:`door43fast.layers.Parallel`.
    clock : object, optional
        The clock of the circuit breakers of layers that are given without a guard, and of how long a layer takes.
    """

    _fills = True       # whether layers that are found empty are filled from one that is not

    def __init__(self, stores: Sequence[tuple[str, Any]], need: int, *, max_owed: int, owed: Any, repair: str,
                 clock: Any) -> None:
        if len({id(store) for _, store in stores}) != len(stores):
            raise ConfigError("the layers must be different stores: one was given twice")
        for _, store in stores:
            if not isinstance(getattr(store, "capabilities", None), Capabilities):
                raise ConfigError(f"a layer must be a store, not {type(store).__name__}")
            if getattr(store, "asynchronous", False):
                raise UnsupportedError(f"{type(store).__name__} is only for event loops: use it by itself, by its "
                                       "aio")
        if repair not in ("background", "manual"):
            raise ConfigError(f"repair={repair!r} is unknown: it may be 'background' or 'manual'")
        self._shut = False
        self._able: Capabilities | None = None
        self._need = need
        self._passed: Callable[[], float] = time.monotonic if clock is None else lambda: clock.seconds
        self._book = None if owed is None else Book(owed)
        self._numbers = count(self._book.last() + 1 if self._book is not None else 1)
        self._layers: list[Layer] = []
        for place, (name, store) in enumerate(stores):
            guard = store if isinstance(store, Guard) else Guard(store, name=name, clock=clock)
            self._layers.append(Layer(name, place, guard, Ledger(name, max_owed, self._book)))
        self._stripes = Stripes()
        self._begin_telling()
        self._flight_table: dict[Any, Any] = {}
        self._stale_served = 0
        self._begin_repairs(repair)
        _open_stores.add(self)
        for layer in self._layers:
            layer.ledger.unseen = away(layer.store) and self._to_be_seen(layer)
        if self._book is not None:
            for number, keys in self._book.cut_short():
                self._cut_short(keys, number)
                self._book.end(number)
        if self._fills:
            self._fill()
        self._owing()

    # -- as a store ------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Guard]:
        """The layers, each behind its guard."""
        return [layer.store for layer in self._layers]

    @property
    def closed(self) -> bool:
        return self._shut

    @property
    def capabilities(self) -> Capabilities:
        """What the layers can do together."""
        if self._able is None:      # it does not change, and every write asks
            self._able = self._capable()
        return self._able

    def _capable(self) -> Capabilities:
        """What all layers can do; it is persistent, shared or can be backed up if one of them is."""
        each = [layer.store.capabilities for layer in self._layers]
        return Capabilities(*((any if name in ANY else all)(getattr(one, name) for one in each) and name not in NONE
                              for name in Capabilities._fields))._replace(events=True)

    @property
    def _flights(self) -> dict[Any, Any]:
        return self._flight_table

    @property
    def _text_keys(self) -> bool:
        from door43fast.compute import _takes_text

        return any(_takes_text(layer.store) for layer in self._layers)

    def _flight_name(self, key: Any) -> Any:
        return _named(key)

    def _claim(self, flight: Any, name: Any, deadline: Seconds) -> Any:
        return lent(self._layers, name, flight, deadline)

    def _open(self) -> None:
        if self._shut:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")

    def _watched(self) -> tuple[Any, ...]:
        """What a memory tier above looks at, to know what others have written."""
        return tuple(self.layers)

    # -- who is asked ----------------------------------------------------------------------------------------

    def _readers(self, key: Any) -> list[Layer]:
        """The layers that know what holds under ``key``, in order."""
        return [layer for layer in self._layers if not layer.ledger.owes(key)] or self._latest(key)

    def _latest(self, key: Any) -> list[Layer]:
        """Of layers that all owe a key, the one that lacks the fewest writes of it, if nothing late can change it."""
        if any(layer.ledger.unseen for layer in self._layers):      # it may be the one that knows
            return []
        known = [layer for layer in self._layers if layer.ledger.lapsed is None]
        debts = [layer.ledger.owed.get(key) for layer in known]     # one look: they are paid meanwhile, or lapse
        best = max((debt.since for debt in debts if debt is not None), default=None)
        for layer, debt in zip(known, debts, strict=True):
            if debt is None or debt.since == best:
                return [] if layer.late else [layer]
        return []

    def _complete(self) -> list[Layer]:
        """The layers that owe nothing; the debts of the others are paid first, where none is so."""
        found = [layer for layer in self._layers if layer.ledger.clean]
        if not any(layer.up for layer in found):
            self._pay_all()
            found = [layer for layer in self._layers if layer.ledger.clean]
        return found

    def _ask_first(self, layers: Sequence[Layer], what: str | Call, ask: Callable[[Layer], Any]) -> Any:
        """What a layer gives that does not fail; overridden where several may be asked at once."""
        return self._ask_each(layers, what, ask)

    def _ask_each(self, layers: Sequence[Layer], what: str | Call, ask: Callable[[Layer], Any]) -> Any:
        """What the first of ``layers`` gives that does not fail."""
        errors: dict[str, Exception] = {}
        for layer in layers:
            emptied = layer.ledger.emptied
            if layer.ledger.lapsed is not None:     # since it was chosen
                continue
            try:
                answer = ask(layer)
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[layer.name] = error
            else:
                if layer.ledger.whole(emptied):     # else it may have been emptied meanwhile, to be copied anew
                    return answer
        raise self._nobody(what, errors)

    def _nobody(self, what: str | Call, errors: dict[str, Exception]) -> BackendUnavailableError:
        what = self._said(what) if isinstance(what, Call) else what
        told = {layer.name: f"{errors[layer.name]}" if layer.name in errors else "it has still to be brought up to date"
                for layer in self._layers}
        kind = Spared if all(isinstance(error, Spared) for error in errors.values()) else BackendUnavailableError
        error = kind(f"no layer can answer {what}: {'; '.join(f'{name}: {why}' for name, why in told.items())}")
        error.__cause__ = next(reversed(errors.values()), None)
        return error

    # -- reads -----------------------------------------------------------------------------------------------

    def _ask_key(self, call: Call) -> Any:
        self._open()
        key = _named(call.args[0])
        return self._ask_first(self._readers(key), call, self._asking(call))

    def _asking(self, call: Call) -> Callable[[Layer], Any]:
        if call.name == "_read":        # a token means nothing to another layer
            return lambda layer: _marked(layer, *call.on(layer.store))
        return lambda layer: call.on(layer.store)

    def _ask_keys(self, call: Call) -> Any:
        """One batch a layer for the keys that it knows and nobody before it has answered."""
        self._open()
        assert call.keys is not None
        if all(layer.ledger.clean for layer in self._layers) and self._layers[0].up:
            return self._ask_first(self._layers, call, lambda layer: call.on(layer.store))
        names = [_named(key) for key in call.keys]
        if call.name == "get_packed":
            keys = list(call.keys)
            return pack(keys, self._gather("get_many", keys, names, (MISSING,)), call.options["out"])
        return self._gather(call.name, call.keys, names, call.args[1:])

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]:
        return self._as_told(super()._tags_of(keys))

    def _as_told(self, found: list[tuple[str, ...] | None]) -> list[tuple[str, ...] | None]:
        """Of a layer that was given entries without their tags, none is not an answer."""
        if any(layer.ledger.untold for layer in self._layers):
            return [tags or None for tags in found]
        return found

    def _gather(self, method: str, keys: Sequence[Any], names: list[Any], rest: tuple[Any, ...]) -> list[Any]:
        found: list[Any] = [None] * len(keys)
        left = list(range(len(keys)))
        errors: dict[str, Exception] = {}
        ways = {i: self._readers(names[i]) for i in left}
        for layer in self._layers:
            mine = [i for i in left if layer in ways[i]]
            if not mine and (left or layer is not self._layers[0]):
                continue
            emptied = layer.ledger.emptied
            if layer.ledger.lapsed is not None:     # since it was chosen
                continue
            try:
                answers = getattr(layer.store, method)([keys[i] for i in mine], *rest)
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[layer.name] = error
                continue
            if not layer.ledger.whole(emptied):     # it may have been emptied meanwhile
                continue
            for i, answer in zip(mine, answers, strict=True):
                found[i] = answer
            answered = set(mine)
            left = [i for i in left if i not in answered]
            if not left:
                return found
        if not left:
            return found
        raise self._nobody(f"{method} of key {names[left[0]]!r}", errors)

    def _ask_all(self, call: Call) -> Any:
        self._open()
        if call.name == "_snapshot":
            return self._ask_each(self._complete(), "a transaction", lambda layer: Snapshot(layer, call))
        if call.name in ("scan", "keys", "__iter__", "scan_packed"):
            return iterate(self, call)
        return self._ask_first(self._complete(), call, lambda layer: call.on(layer.store))

    # -- the end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Bring up to date what can be, and close all layers. A second close does nothing.

        Raises
        ------
        PartialWriteError
            If a layer that outlasts this process still owes something, and no ``owed=`` remembers it.
        """
        with self._stripes.section(None):
            if self._shut:
                return
            self._pay_all()
            owing = {layer.name: BackendUnavailableError(debt_of(layer)) for layer in self._layers
                     if not layer.ledger.clean and self._book is None and layer.store.capabilities.persistent
                     and self._payable(layer) and not layer.ledger.untouched}
            self._shut = True
        self._end_repairs()
        errors: list[Exception] = []
        for one in (*self.layers, self._book):
            if one is not None:
                try:
                    one.close()
                except Exception as error:
                    errors.append(error)
        if owing:
            done = [layer.name for layer in self._layers if layer.name not in owing]
            raise PartialWriteError("what was written before close()", done, owing)
        if errors:
            raise errors[0]

    def _after_fork(self) -> None:
        """In the child: the threads that were writing are not here, and what they wrote may be in some layers only."""
        others = self._stripes.others()
        self._stripes.anew()
        self._renew_telling()
        self._begin_repairs(self._repair)
        if not self._shut:
            for keys in others:
                self._cut_short(keys, next(self._numbers))
            self._owing()


class Snapshot:
    """What a transaction reads from: one layer that owes nothing."""

    def __init__(self, layer: Layer, call: Call) -> None:
        self._layer = layer
        self._inner = call.on(layer.store)

    def read(self, key: Any) -> tuple[Any, Any]:
        return _marked(self._layer, *self._inner.read(key))

    def scan(self, *args: Any) -> Iterator[tuple[Any, Any, Any]]:
        return iter([(key, (self._layer.place, token), value) for key, token, value in self._inner.scan(*args)])

    def close(self) -> None:
        self._inner.close()


def _marked(layer: Layer, token: Any, value: Any) -> tuple[Any, Any]:
    return (layer.place, token), value


def _named(key: Any) -> Any:
    """A key as it is in tables."""
    if isinstance(key, (bytearray, memoryview)):
        return bytes(key)
    try:
        hash(key)
    except TypeError:
        raise TypeError(f"a key must be hashable, and {type(key).__name__} is not") from None
    return key


def _after_fork() -> None:
    for store in list(_open_stores):
        store._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

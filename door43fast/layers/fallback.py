"""A primary store, and another one that answers when the primary fails.

With ``mirror`` the fallback holds the same as the primary, and the two are several stores of which one must take a
write (``several.py``). Without it, or where it takes no writes, the fallback is *partial* (``partial.py``): what it has
is right, for as long as nobody has changed it, but what it lacks may be in the primary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from door43fast.contracts import MISSING, Capabilities
from door43fast.errors import blames_layer
from door43fast.layers.conditional import ABSENT
from door43fast.layers.factory import make
from door43fast.layers.forwarding import Call
from door43fast.layers.parallel import MAX_OWED
from door43fast.layers.partial import PartialWrites
from door43fast.layers.several import NONE, Layer, Several, _named
from door43fast.reference.packing import pack

# What an ``on_miss`` store copies to the primary first, so that the primary can answer for both.
ON_WHAT_IS_THERE = frozenset({"delete", "delete_many", "pop", "touch", "add", "replace", "incr", "_publish"})


class PrimaryFallback(PartialWrites, Several):
    """A primary store with another one for when it fails, as one store.

    The primary is the truth while it is up. When it fails, the fallback answers, and takes the writes; the primary is
    brought up to date when it is back, before it is read again for what it has missed. See docs/layers.md.

    Parameters
    ----------
    primary, fallback : Store
        They belong to it from now on. One that may hang comes in a ``Guard`` with a deadline; the others get a guard
        without one.
    on_miss : bool
        Ask the fallback also for what the primary says it has not.
    mirror : bool
        Keep the fallback up to date with every write. False: it only loses the keys that are changed. A fallback that
        takes no writes is not asked for them any more.
    max_owed : int
        Keys that either may owe; beyond, a mirror is copied anew, another fallback emptied, or, if it takes no writes,
        not asked any more.
    owed, repair, clock
        As of :class:`Parallel`.

    Raises
    ------
    ConfigError
        If an option is wrong, or one of them is no store.
    """

    def __init__(self, primary: Any, fallback: Any, *, on_miss: bool = False, mirror: bool = True,
                 max_owed: int = MAX_OWED, owed: Any = None, repair: str = "background", clock: Any = None) -> None:
        self.on_miss, self.mirror = on_miss, mirror
        writes = getattr(getattr(fallback, "capabilities", None), "writes", False)
        self._partial = not (mirror and writes)
        self._fills = not self._partial
        super().__init__([("primary", primary), ("fallback", fallback)], 1, max_owed=max_owed, owed=owed,
                         repair=repair, clock=clock)

    def _capable(self) -> Capabilities:
        """What both can do; what the primary can, where the fallback is no mirror of it."""
        both = super()._capable()
        if not self._partial:
            return both
        first = self._layers[0].store.capabilities
        return first._replace(events=True, persistent=both.persistent, shared=both.shared, **dict.fromkeys(NONE, False))

    # -- who is asked ----------------------------------------------------------------------------------------

    def _complete(self) -> list[Layer]:
        if not self._partial:
            return super()._complete()
        primary = self._layers[0]
        if not primary.ledger.clean:
            self._pay_all()
        return [primary] if primary.ledger.clean else []

    def _ask_key(self, call: Call) -> Any:
        if not (self._partial or self.on_miss):
            return super()._ask_key(call)
        self._open()
        key = _named(call.args[0])
        if call.name == "_read" and self._partial and self._layers[0].ledger.owes(key):
            with self._stripes.section([key]):      # a computation is stored where it was looked for
                self._pay_some(self._layers[0], [key])
        layer, found, sure = self._look(call, key)
        if not sure:        # it may have gone from one to the other meanwhile
            with self._stripes.section([key]):
                layer, found, _ = self._look(call, key)
        return _given(layer, call, found)

    def _look(self, call: Call, key: Any) -> tuple[Layer, Any, bool]:
        """Who answers, what, and whether that holds without the section of the key."""
        primary, fallback = self._layers
        ways = self._readers(key)
        errors: dict[str, Exception] = {}
        if primary in ways:
            try:
                found = _answer(primary, call)
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[primary.name] = error
            else:
                if found is not ABSENT or not self.on_miss or fallback not in ways:
                    return primary, found, True
        if fallback in ways:
            try:
                found = _answer(fallback, call)
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[fallback.name] = error
                found = ABSENT
            if primary in ways and primary.name not in errors:      # it has answered: it has nothing
                return primary, found, found is not ABSENT or fallback.name in errors
            if fallback.name not in errors and (found is not ABSENT or not self._partial or primary not in ways):
                return fallback, found, found is not ABSENT
        raise self._nobody(f"{call.name.strip('_')} of key {key!r}", errors)

    def _ask_keys(self, call: Call) -> Any:
        if not (self._partial or self.on_miss):
            return super()._ask_keys(call)
        self._open()
        assert call.keys is not None
        keys = list(call.keys)
        method = "contains_many" if call.name == "contains_many" else "get_many"
        names = [_named(key) for key in keys]
        found, sure = self._batch(method, keys, names)
        if not sure:        # a key may have gone from one to the other meanwhile
            lacks = False if method == "contains_many" else ABSENT
            lacking = [i for i, one in enumerate(found) if one is lacks]
            with self._stripes.section([names[i] for i in lacking]):
                again, _ = self._batch(method, [keys[i] for i in lacking], [names[i] for i in lacking])
            for i, one in zip(lacking, again, strict=True):
                found[i] = one
        if call.name == "get_packed":
            return pack(keys, [MISSING if one is ABSENT else one for one in found], call.options["out"])
        return [call.args[1] if one is ABSENT else one for one in found] if method == "get_many" else found

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]:
        if not (self._partial or self.on_miss):
            return super()._tags_of(keys)
        self._open()
        return self._as_told([self._carried_by(key) for key in keys])

    def _carried_by(self, key: Any) -> tuple[str, ...] | None:
        """The tags of an entry, as the layer tells them that has it."""
        errors: dict[str, Exception] = {}
        name = _named(key)
        with self._stripes.section([name]):
            for layer in self._readers(name):
                try:
                    if key in layer.store:
                        return layer.store._tags_of([key])[0]
                except Exception as error:
                    if not blames_layer(error):
                        raise
                    errors[layer.name] = error
        if errors:
            raise self._nobody(f"the tags of key {name!r}", errors)
        return ()

    def _batch(self, method: str, keys: list[Any], names: list[Any]) -> tuple[list[Any], bool]:
        """One batch of each for what it may know and the primary has not; and whether it holds without the section."""
        primary, fallback = self._layers
        lacks, rest = (False, ()) if method == "contains_many" else (ABSENT, (ABSENT,))
        found: list[Any] = [lacks] * len(keys)
        clean = primary.ledger.clean and fallback.ledger.clean
        ways = [self._layers] * len(keys) if clean else [self._readers(name) for name in names]
        errors: dict[str, Exception] = {}

        def ask(layer: Layer, places: list[int]) -> None:
            try:
                answers = getattr(layer.store, method)([keys[i] for i in places], *rest)
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[layer.name] = error
            else:
                for i, answer in zip(places, answers, strict=True):
                    found[i] = answer
        first = [i for i in range(len(keys)) if primary in ways[i]]
        if first or not keys:
            ask(primary, first)
        told = set() if primary.name in errors else set(first)
        second = [i for i in range(len(keys)) if fallback in ways[i] and (
            i not in told or self.on_miss and found[i] is lacks)]
        if second:
            ask(fallback, second)
        also = set() if fallback.name in errors else set(second)
        for i in range(len(keys)):
            complete = not self._partial or primary not in ways[i]      # what the fallback lacks is not there
            if found[i] is lacks and i not in told and not (i in also and complete):
                raise self._nobody(f"{method} of key {keys[i]!r}", errors)
        return found, all(found[i] is not lacks for i in second)

    # -- writes ----------------------------------------------------------------------------------------------

    def _numbered(self, call: Call, keys: Any) -> Any:
        if self.on_miss and call.name in ON_WHAT_IS_THERE:
            self._pull(keys)
        return super()._numbered(call, keys)

    def _may_refuse(self, layer: Layer) -> bool:
        """What a mirror cannot hold it owes, and is not asked for."""
        return layer is self._layers[0]

    def _pull(self, keys: Sequence[Any]) -> None:
        """Copy to the primary what only the fallback has of ``keys``. REQUIRES: their section."""
        primary, fallback = self._layers
        mine = [key for key in keys if not primary.ledger.owes(key) and not fallback.ledger.owes(key)]
        if not mine or not primary.up or not fallback.up or not primary.takes(mine):
            return
        try:
            lacking = [key for key, there in zip(mine, primary.store.contains_many(mine), strict=True) if not there]
            if lacking:     # and of what neither has, nothing: a delete would end a computation under way
                there = fallback.store.contains_many(lacking)
                lacking = [key for key, is_there in zip(lacking, there, strict=True) if is_there]
            if lacking:
                self._give(primary, fallback, lacking)
        except Exception as error:      # then the primary alone answers, or fails in the write itself
            if not blames_layer(error):
                raise

    # -- repair ----------------------------------------------------------------------------------------------

    def _fillable(self, layer: Layer) -> bool:
        """A mirror that is empty where the primary is not is filled; the primary never is."""
        return layer is self._layers[1]


def _answer(layer: Layer, call: Call) -> Any:
    """What a layer gives to a read of one key, or ABSENT where it has nothing."""
    if call.name == "get":
        return layer.store.get(call.args[0], ABSENT)
    try:
        found = call.on(layer.store)
    except KeyError:
        return ABSENT
    if call.name == "__contains__":
        return found or ABSENT
    if call.name == "_lookup":
        return found if found[0] else ABSENT
    return ABSENT if call.name == "_read" and found[1] is MISSING else found


def _given(layer: Layer, call: Call, found: Any) -> Any:
    """What the caller gets for it from ``layer``, or in its name: a token is always that layer's own."""
    if call.name == "_read":
        token, value = layer.store._read(call.args[0])
        return (layer.place, token), value if found is ABSENT else found[1]
    if found is not ABSENT:
        return found
    if call.name == "get":
        return call.args[1]
    if call.name == "__contains__":
        return False
    if call.name == "_lookup":
        return 0, None
    raise KeyError(call.args[0])


def primary_fallback(primary: Any, fallback: Any, **options: Any) -> PrimaryFallback:
    """A store with another one for when it fails; see :class:`PrimaryFallback`."""
    return make(PrimaryFallback, "primary_fallback()", (primary, fallback), options)

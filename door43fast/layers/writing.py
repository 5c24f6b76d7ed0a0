"""How a write goes through several layers that hold the same.

All of it happens in the section of the keys. What says the new value by itself (``set``, ``delete`` and their batches)
goes to every layer. What depends on the old one is decided by the first layer that is up and owes none of the keys; the
others then get its outcome. A layer that has not acknowledged owes the keys. So does, of a write that nobody has
acknowledged, every layer that may have it, but one: what that one holds is then what holds.

A layer that refuses a write for a reason of the caller's (a key that it cannot hold, a value beyond its budget) refuses
it for all: the others get back what it holds, and the error is the caller's. Where one that may have the write cannot
be given that now, it is a partial failure: if the debt is lost with the process, the write may yet be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from door43fast.arguments import span
from door43fast.errors import ConflictError, PartialWriteError, ReadOnlyError, blames_layer
from door43fast.layers.conditional import ABSENT, WAYS, pin_after
from door43fast.layers.failures import Late, Spared, reached
from door43fast.layers.forwarding import Call
from door43fast.layers.whole import WholeWrites, disown
from door43fast.reference.packing import unpack

ABSOLUTE = frozenset({"set", "delete", "set_many", "delete_many", "set_packed"})
WHOLE = frozenset({"clear", "invalidate"})


class Writes(WholeWrites):
    """The writes of :class:`door43fast.layers.several.Several`."""

    _layers: Any
    _stripes: Any
    _numbers: Any
    _book: Any
    _need: int
    _flight_table: Any
    _roster: Any
    _open: Any
    _tell: Any
    _void: Any
    _forget_tags: Any
    _nobody: Any
    _passed: Any
    _ask_keys: Any
    _pay_some: Any
    _owing: Any
    capabilities: Any

    def _change(self, call: Call) -> Any:
        from door43fast.layers.several import _named

        self._open()
        if not self.capabilities.writes:
            raise ReadOnlyError(f"a layer of {type(self).__name__} takes no writes, as its capabilities say")
        keys = None if call.keys is None else list(dict.fromkeys(map(_named, call.keys)))
        try:
            with self._stripes.section(keys):
                self._open()
                return self._numbered(call, keys)
        finally:
            self._roster.drain()

    def _numbered(self, call: Call, keys: Any) -> Any:
        number = next(self._numbers)
        self._forget_tags(keys)
        if self._book is not None:
            self._book.begin(number, keys)
        try:
            if call.name in ABSOLUTE:
                result = self._absolute(call, keys, number)
            elif call.name == "expire":
                result = self._expire(call)
            elif keys is None:
                result = self._whole(call, number)
            else:
                result = self._conditional(call, keys, number)
        except Exception:
            raise
        except BaseException:       # an interruption: it is not known how far it came
            self._cut_short(keys, number)
            raise
        finally:
            if call.name != "_publish":
                self._void(keys)
            if self._book is not None:
                self._book.end(number)
            self._owing()
        return result

    def _cut_short(self, keys: Sequence[Any] | None, number: int) -> None:
        """A write ended nobody knows where: what one layer holds that owed nothing of it is what holds."""
        behind = [layer for layer in self._layers if layer.ledger.known
                  and (keys is None or not any(key in layer.ledger.owed for key in keys))]
        for layer in sorted(behind, key=lambda layer: (layer.ledger.unseen, not layer.ledger.clean))[1:]:
            if keys is None:
                layer.ledger.lapse(number)
            else:
                self._owe(layer, keys, number)

    def _owe(self, layer: Any, keys: Sequence[Any], number: int, pin: bool | None = False) -> None:
        """A layer owes keys. It lapses for it only if another one holds everything: it may be the only one that has
        what the others owe."""
        with self._stripes.reckoning:
            bounded = layer.ledger.copying or any(one.ledger.clean for one in self._layers if one is not layer)
            layer.ledger.add(keys, number, pin, bounded)

    # -- how many take it ------------------------------------------------------------------------------------

    def _enough(self, call: Call, keys: Sequence[Any] | None) -> None:
        """Refuse a write that too few layers can take, before any has."""
        if self._need == 1:
            return
        able = [layer for layer in self._layers if layer.up and layer.takes(keys)]
        if len(able) < self._need:
            down = {layer.name: layer for layer in self._layers if layer not in able}
            raise Spared(f"{self._said(call)} needs {self._need} layers and {len(able)} are up ({', '.join(down)} "
                         "not): nothing was written; wait until they are back, or ask for less with require=")

    @staticmethod
    def _said(call: Call) -> str:
        name = call.name.strip("_")
        if call.keys is None:
            return f"{name}({', '.join(map(repr, call.args))})"
        return f"{name} of key {call.keys[0]!r}" if len(call.keys) == 1 else f"{name} of {len(call.keys)} keys"

    def _conclude(self, call: Call, done: Sequence[Any], failed: dict[Any, Exception]) -> None:
        if len(done) >= self._need:
            return
        errors = {layer.name: error for layer, error in failed.items()}
        last = next(reversed(failed.values()), None)
        if last is not None and not done and not any(map(blames_layer, failed.values())):
            raise last      # every layer refuses it
        if not done and not any(map(reached, failed.values())):
            raise self._nobody(self._said(call), errors)
        raise PartialWriteError(self._said(call), [layer.name for layer in done], errors) from last

    # -- writes that say the new value -----------------------------------------------------------------------

    def _absolute(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        self._enough(call, keys)
        events = self._events_of(call)
        answers: dict[Any, Any] = {}
        failed: dict[Any, Exception] = {}
        begun = self._passed()
        asks = call.name in ("delete", "delete_many")       # only who owes none of the keys can say what was there
        if asks:
            self._pay_keys(keys)
        before = {layer for layer in self._layers if not any(layer.ledger.owes(key) for key in keys)}
        if asks and not any(layer.up for layer in before):
            raise self._nobody(self._said(call), {})
        for layer in self._layers:
            if not layer.takes(keys):
                failed[layer] = Spared(f"{layer.name} has still to be brought up to date")
                continue
            try:
                answers[layer] = self._aged(call, begun if answers else None).on(layer.store)
            except Exception as error:
                if layer in before and self._may_refuse(layer) and not blames_layer(error):
                    self._refused(layer, keys, number, list(answers), failed)
                    self._refuse(call, keys, layer, error, {**failed, **dict.fromkeys(answers, error)})
                failed[layer] = error
        self._agree(keys, number, answers, failed, pin_after(call))
        if answers:
            events()
        self._conclude(call, list(answers), failed)
        knew = [answer for layer, answer in answers.items() if layer in before]
        if asks and not knew:
            raise PartialWriteError(f"{self._said(call)}, of which nobody can say what was there,",
                                    [layer.name for layer in answers],
                                    {layer.name: error for layer, error in failed.items()})
        return knew[0] if knew else None

    def _aged(self, call: Call, begun: float | None) -> Call:
        """The call for a layer that gets it later: what expires does so in no layer after the first."""
        ttl = call.options.get("ttl")
        if ttl is None or begun is None:
            return call
        return call._replace(options={**call.options, "ttl": max(span(ttl, "ttl") - self._passed() + begun, 0.0)})

    def _may_refuse(self, layer: Any) -> bool:
        """Whether what a layer refuses is refused by all; overridden where one of them is the truth."""
        return True

    def _refused(self, layer: Any, keys: Sequence[Any], number: int, done: Sequence[Any],
                 failed: dict[Any, Exception]) -> None:
        """A layer that owes nothing refuses what others may have taken: they get back what it holds."""
        self._settle(keys, number, [], {**failed, **{one: Late(f"{one.name} has it") for one in done}}, truth=layer)
        for one in done:
            self._pay_some(one, keys)

    def _refuse(self, call: Call, keys: Sequence[Any], layer: Any, error: Exception,
                others: dict[Any, Exception]) -> NoReturn:
        """Raise the error of a layer that refuses a write, unless one of ``others`` may still have it."""
        owing = {one.name: other for one, other in others.items()
                 if reached(other) and (layer.ledger.lapsed is not None or any(one.ledger.owes(key) for key in keys))}
        if not owing:
            raise error
        raise PartialWriteError(self._said(call), [], {layer.name: error, **owing}) from error

    def _agree(self, keys: Sequence[Any], number: int, answers: dict[Any, Any], failed: dict[Any, Exception],
                pin: bool | None) -> None:
        """Who owes the keys now. Where none that has the write is believed any more, nobody has acknowledged it."""
        with self._stripes.reckoning:
            disown(answers, failed, any(layer.ledger.lapsed is None for layer in answers))
            self._settle(keys, number, list(answers), failed, pin)

    def _settle(self, keys: Sequence[Any], number: int, done: Sequence[Any], failed: dict[Any, Exception],
                pin: bool | None = False, truth: Any = None) -> None:
        """What each layer owes by that."""
        for layer in done:
            layer.ledger.paid(keys)
        if done or truth is not None:
            for layer in failed:
                if layer is not truth and (done or reached(failed[layer])):
                    self._owe(layer, keys, number, pin)
            return
        if any(map(reached, failed.values())):      # one that is being copied may alone have it, or alone lack it
            for layer in self._layers:
                if layer.ledger.copying:
                    self._owe(layer, keys, number)
        clean = [layer for layer in self._layers if layer.ledger.clean]
        if len(keys) > 1 and self._settle_together(keys, number, failed, clean):
            return
        for key in keys:
            knew = [layer for layer in self._layers if not layer.ledger.owes(key)]
            unsure = [layer for layer in knew if layer in failed and reached(failed[layer])]
            if len(unsure) == len(knew) and unsure:
                # Nobody has the write for certain: what one holds is what holds, if it can be one that owes nothing.
                kept = next((layer for layer in unsure if layer in clean), unsure[0])
                if not kept.late:
                    unsure.remove(kept)
                    unsure += [layer for layer in self._layers if layer.ledger.unseen]
            for layer in unsure:
                self._owe(layer, [key], number)

    def _settle_together(self, keys: Sequence[Any], number: int, failed: dict[Any, Exception],
                         clean: Sequence[Any]) -> bool:
        """Of several keys, which may be a transaction, one layer says what holds of all, if there is one that knew all
        and none of them for certain has not the write. Whether it was so."""
        whole = [layer for layer in self._layers if not any(layer.ledger.owes(key) for key in keys)]
        if not whole or not all(layer in failed and reached(failed[layer]) for layer in whole):
            return False
        kept = next((layer for layer in whole if layer in clean), whole[0])
        if kept.late:
            return False
        for layer in self._layers:
            if layer is not kept and (layer.ledger.known or layer.ledger.copying):
                self._owe(layer, keys, number)
        return True

    # -- writes that depend on the old value -----------------------------------------------------------------

    def _pay_keys(self, keys: Sequence[Any]) -> None:
        for layer in self._layers:
            if layer.ledger.owed and any(key in layer.ledger.owed for key in keys):
                self._pay_some(layer, keys)

    def _conditional(self, call: Call, keys: Sequence[Any], number: int) -> Any:
        self._pay_keys(keys)
        self._enough(call, keys)
        way, deciders = WAYS[call.name](call), self._deciders(call, keys)
        failed: dict[Any, Exception] = {}
        decider = answer = None
        for layer in deciders:
            try:
                answer = way.decide(layer)
            except Exception as error:
                if not blames_layer(error):
                    self._settle(keys, number, [], failed, truth=layer)
                    self._refuse(call, keys, layer, error, failed)
                failed[layer] = error
            else:
                decider = layer
                break
        if decider is None:
            self._settle(keys, number, [], failed)
            self._conclude(call, [], failed)
        follow = way.follow(answer)
        if follow is None:
            self._settle(keys, number, [], failed, truth=decider)
            return answer
        done = [decider]
        for layer in self._layers:
            if layer is decider or layer in failed:
                continue
            if not layer.takes(keys) or any(key in layer.ledger.owed for key in keys):
                failed[layer] = Spared(f"{layer.name} has still to be brought up to date")
                continue
            try:
                if follow(layer.store) == answer or not way.same:
                    done.append(layer)
                else:
                    failed[layer] = Late(f"{layer.name} held something else")
            except Exception as error:
                if self._may_refuse(layer) and not blames_layer(error):
                    self._refused(layer, keys, number, done, failed)
                    self._refuse(call, keys, layer, error, {**failed, **dict.fromkeys(done, error)})
                failed[layer] = error
        answers = dict.fromkeys(done)
        self._agree(keys, number, answers, failed, pin_after(call))
        if not answers:
            self._conclude(call, [], failed)
        for layer in failed:
            if isinstance(failed[layer], Late) and layer.up and not layer.late:
                self._pay_some(layer, keys)
        done += [layer for layer in failed if not any(layer.ledger.owes(key) for key in keys)]
        self._told_conditional(call, answer)
        self._conclude(call, done, {layer: error for layer, error in failed.items() if layer not in done})
        return answer

    def _deciders(self, call: Call, keys: Sequence[Any]) -> list[Any]:
        marked = {mark[0] for mark in self._marks(call)}
        if marked:
            layer = self._layers[marked.pop()]
            whole = bool(call.options["ranges"])
            if marked or whole and not layer.ledger.clean or any(
                    layer.ledger.owes(key) for key in (*call.args[0], *keys)):
                raise ConflictError("what the transaction had read was in a layer that has since lost touch with the "
                                    "others, and nothing was written: run it again")
            return [layer]
        found = [layer for layer in self._layers if layer.ledger.lapsed is None
                 and not any(layer.ledger.owes(key) for key in keys)]
        return found or (self._latest(keys[0]) if len(keys) == 1 else [])

    _readers: Any
    _latest: Any

    @staticmethod
    def _marks(call: Call) -> list[tuple[int, Any]]:
        """The tokens of a transaction, each marked with the layer that gave it."""
        if call.name == "_commit":
            return [*call.args[0].values(), *(mark for *_, records in call.options["ranges"] for _, mark in records)]
        return []

    def pop(self, key: Any, *default: Any) -> Any:
        """Take ``key`` out and return its value, or ``default``; without one a missing key is a KeyError."""
        value = self._change(Call("pop", [key], (key,)))
        if value is not ABSENT:
            return value
        if default:
            return default[0]
        raise KeyError(key)

    # -- events ----------------------------------------------------------------------------------------------

    def _events_of(self, call: Call) -> Callable[[], None]:
        """What is to be told of a write once it was made; what expires at once is told by the layers."""
        if not self._roster.subscriptions or call.options.get("ttl") is not None and span(
                call.options["ttl"], "ttl") == 0:
            return lambda: None
        tell = self._tell
        if call.name == "set":
            return lambda: tell("set", call.args[0], value=call.args[1])
        if call.name in ("set_many", "set_packed"):
            found = list(call.args[0] if call.name == "set_many" else unpack(*call.args))
            last = {key: None for key, _ in reversed(found)}
            values = dict(found)
            return lambda: [tell("set", key, value=values[key]) for key in reversed(last)] and None
        keys = list(dict.fromkeys(call.keys or ()))
        there = self._ask_keys(Call("contains_many", keys, (keys,))) if keys else []
        return lambda: [tell("delete", key) for key, found in zip(keys, there, strict=True) if found] and None

    def _told_conditional(self, call: Call, answer: Any) -> None:
        if not self._roster.subscriptions:
            return
        key = call.args[0]
        if call.name in ("add", "replace"):
            self._tell("set", key, value=call.args[-1])
        elif call.name == "incr":
            self._tell("set", key, value=answer)
        elif call.name == "pop":
            self._tell("delete", key)
        elif call.name == "_publish":
            self._tell("set", call.args[1], value=call.args[2])
        elif call.name == "_commit":
            for one, write in call.args[1].items():
                if write is None:
                    self._tell("delete", one)
                else:
                    self._tell("set", one, value=write[0])

"""How a write that may concern any key goes through several layers that hold the same: ``clear``, ``invalidate``.

A layer that fails in it lapses, since nobody knows which keys it concerned. So another one must hold everything: one
that owes nothing, and, of tags, was told those of all entries. Where all that hold everything fail, one is believed.

Copies carry the tags of what they are copies of; only a layer that was given entries by one that does not tell tags
(``untold``) may keep what was invalidated. So it is copied anew then, and where no other layer is left that knows, an
``invalidate`` is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from door43fast.errors import blames_layer
from door43fast.layers.failures import Late, Spared, reached
from door43fast.layers.forwarding import Call


class WholeWrites:
    """Those writes, for :class:`door43fast.layers.writing.Writes`."""

    _layers: Any
    _enough: Any
    _complete: Any
    _pay_all: Any
    _tell: Any
    _conclude: Any
    _nobody: Any
    _said: Any

    def _whole(self, call: Call, number: int) -> Any:
        self._enough(call, None)
        if call.name == "invalidate" and any(layer.ledger.untold for layer in self._layers):
            self._pay_all()     # one that knows all tags is the truth, if it owes nothing
        complete = self._complete()
        if not complete:
            raise Spared(f"{self._said(call)} was not begun: no layer holds everything; wait until one does")
        self._knowing(call, complete)
        done: dict[Any, Any] = {}
        failed: dict[Any, Exception] = {}
        for layer in self._layers:
            if not layer.takes(None):
                failed[layer] = Spared(f"{layer.name} has still to be brought up to date")
                continue
            try:
                call.on(layer.store)
            except Exception as error:
                if not blames_layer(error):
                    if done:
                        layer.ledger.lapse(number)
                    raise
                failed[layer] = error
            else:
                done[layer] = None
                if _everything(call):
                    layer.ledger.paid(list(layer.ledger.owed))
                    layer.ledger.mark_untold(False)
        disown(done, failed, any(layer.ledger.clean and _knows(layer, call) for layer in done))
        for layer in done:
            if not _knows(layer, call):
                layer.ledger.lapse(number)
        self._settle_whole(number, list(done), failed)
        if done:
            self._tell(call.name, call.args[0])
        self._conclude(call, list(done), failed)

    def _knowing(self, call: Call, complete: Sequence[Any]) -> None:
        """Refuse an ``invalidate`` that may miss entries in each layer that holds everything."""
        if not any(_knows(layer, call) for layer in complete):
            raise Spared(f"{self._said(call)} was not begun: each layer that holds everything was given entries by one "
                         "that does not tell their tags, so that some might be missed; set them anew after clear(), or "
                         "delete what carries the tag")

    def _settle_whole(self, number: int, done: Sequence[Any], failed: dict[Any, Exception]) -> None:
        """Who has lapsed by now."""
        if done:
            for layer in failed:
                layer.ledger.lapse(number)
            return
        knew = [layer for layer in self._layers if layer.ledger.lapsed is None]
        unsure = [layer for layer in knew if layer in failed and reached(failed[layer])]
        if not any(layer.ledger.clean and layer not in unsure for layer in knew):
            clean = [layer for layer in unsure if layer.ledger.clean]
            kept = min(clean, key=lambda layer: layer.ledger.untold)    # what this one holds is what holds,
            # and may not be what those hold that were not reached, or have not been seen yet.
            unsure = [layer for layer in self._layers if layer is not kept and (layer in knew or layer.ledger.unseen)]
        unsure += [layer for layer in failed if layer.ledger.copying and reached(failed[layer])]
        for layer in unsure:
            layer.ledger.lapse(number)

    def _expire(self, call: Call) -> int:
        """A layer that fails keeps what has expired for longer, which nobody sees."""
        counts = []
        errors: dict[str, Exception] = {}
        for layer in self._layers:
            if not layer.store.capabilities.writes:
                continue
            try:
                counts.append(call.on(layer.store))
            except Exception as error:
                if not blames_layer(error):
                    raise
                errors[layer.name] = error
        if not counts:
            raise self._nobody("expire", errors)
        return max(counts)


def disown(answers: dict[Any, Any], failed: dict[Any, Exception], sure: bool) -> None:
    """A write that no layer has taken whose word counts: others would be brought up to date from one that lacks it."""
    if not sure:
        failed.update((layer, Late(f"{layer.name} has it, and has still to be brought up to date"))
                      for layer in answers)
        answers.clear()


def _knows(layer: Any, call: Call) -> bool:
    """Whether a layer knows of all that it holds if it is concerned."""
    return call.name != "invalidate" or not layer.ledger.untold


def _everything(call: Call) -> bool:
    return call.name == "clear" and not isinstance(call.args[0], (int, float)) and not len(call.args[0])

"""Several stores that hold the same, beside each other."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from door43fast.errors import ConfigError, blames_layer, did_you_mean
from door43fast.layers.factory import make
from door43fast.layers.several import Layer, Several
from door43fast.layers.workers import Crew

MAX_OWED = 100_000


class Parallel(Several):
    """Several stores that hold the same, as one store.

    Every write goes to all of them. A read is answered by the first that is up and has missed no write of the key. A
    layer that fails is passed over for what it has missed, and brought up to date when it is back, so that nothing that
    was overwritten or deleted comes back with it. See docs/layers.md.

    Parameters
    ----------
    *stores : Store
        Two stores or more, the one to read first. They belong to it from now on. One that may hang comes in a ``Guard``
        with a deadline; the others get a guard without one.
    require : {"all", "any"} or int
        How many layers must take a write. Where fewer can, it is refused before anything is written; where fewer did,
        ``PartialWriteError`` says which.
    read : {"first", "race"}
        Ask one layer after another, or, where a layer does I/O, all at once, and take the first answer.
    max_owed : int
        Keys that a layer may owe; beyond, it is copied anew.
    owed : str or os.PathLike, optional
        A directory in which debts are kept, so that they outlast the process; in memory only if not given.
    repair : {"background", "manual"}
        Bring layers up to date in a thread as soon as they are back, or only by ``repair()``, ``close()`` and reads of
        everything.
    clock : door43fast.native.clock.Clock, optional
        The clock of the circuit breakers of layers that have no guard of their own.

    Raises
    ------
    ConfigError
        If an option is wrong, or a layer is no store.
    """

    def __init__(self, *stores: Any, require: str | int = "all", read: str = "first", max_owed: int = MAX_OWED,
                 owed: Any = None, repair: str = "background", clock: Any = None) -> None:
        if len(stores) < 2:
            raise ConfigError(f"a parallel store needs two layers or more, and was given {len(stores)}")
        if read not in ("first", "race"):
            raise ConfigError(f"read={read!r} is unknown: {did_you_mean(read, ['first', 'race'])}")
        self.require, self.read = require, read
        self._racers: Crew | None = Crew("reads that race") if read == "race" else None
        self._all_asked = read == "race"
        super().__init__([(f"layers[{place}]", store) for place, store in enumerate(stores)],
                         _needed(require, len(stores)), max_owed=max_owed, owed=owed, repair=repair, clock=clock)

    def _ask_first(self, layers: Sequence[Layer], what: Any, ask: Any) -> Any:
        racing = [layer for layer in layers if layer.up]
        if self._racers is None or len(racing) < 2 or not any(map(_does_io, racing)):
            return self._ask_each(layers, what, ask)
        emptied = {layer: layer.ledger.emptied for layer in racing}
        racing = [layer for layer in racing if layer.ledger.lapsed is None]     # since they were chosen
        answers: queue.SimpleQueue[tuple[Layer, Any, Exception | None]] = queue.SimpleQueue()
        errors: dict[str, Exception] = {}
        for layer in racing:
            self._racers.start(lambda layer=layer: ask(layer),
                               lambda result, error, layer=layer: answers.put((layer, result, error)))
        for _ in racing:
            layer, result, error = answers.get()
            if error is None:
                if layer.ledger.whole(emptied[layer]):
                    return result
                continue
            if not blames_layer(error):
                raise error
            errors[layer.name] = error
        raise self._nobody(what, errors)

    def _after_fork(self) -> None:
        if self._racers is not None:
            self._racers.anew()
        super()._after_fork()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self._racers is not None:
                self._racers.disband()

    close.__doc__ = Several.close.__doc__


def _does_io(layer: Layer) -> bool:
    can = layer.store.capabilities
    return can.persistent or can.shared or layer.store.deadline is not None


def _needed(require: Any, count: int) -> int:
    if require == "all":
        return count
    if require == "any":
        return 1
    if isinstance(require, int) and not isinstance(require, bool) and 1 <= require <= count:
        return require
    raise ConfigError(f"require={require!r} is not allowed: give 'all', 'any', or a number from 1 to {count}, "
                      "that of the layers")


def parallel(*stores: Any, **options: Any) -> Parallel:
    """Stores that hold the same, as one; see :class:`Parallel`."""
    return make(Parallel, "parallel()", stores, options)

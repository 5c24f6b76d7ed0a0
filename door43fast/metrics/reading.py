"""What a store did since it was opened, by layer: one snapshot of its counters, sizes and latencies."""

from __future__ import annotations

from typing import Any, NamedTuple

from door43fast.metrics.latency import Latency
from door43fast.metrics.measuring import latencies, plain_class

COUNTERS = ("hits", "misses", "stale", "sets", "deletes", "evictions", "expirations")
SIZES = ("entries", "bytes", "map_size", "index_bytes", "bookkeeping_bytes", "pinned", "readers", "unsynced")


class LayerMetrics(NamedTuple):
    """Of one layer, or of the store as a whole: ``layer`` is ``"all"``, or its number from the fastest, ``"0"``.

    ``counters`` only grow: ``hits``, ``misses``, ``stale`` (values served past their time), ``sets``, ``deletes``,
    ``evictions``, ``expirations``, ``errors`` (calls that raised, while measured). ``sizes`` are those of now.
    ``latency`` holds what ``measure()`` measures, by the name of the method; ``fetch`` is a read of the layer below.
    """

    layer: str
    backend: str
    counters: dict[str, int]
    sizes: dict[str, int]
    latency: dict[str, Latency]


class Metrics(NamedTuple):
    """A snapshot: of the store as a whole, and of each of its layers, the fastest first."""

    total: LayerMetrics
    layers: tuple[LayerMetrics, ...]

    def as_dict(self, counts: bool = False) -> dict[str, Any]:
        """The same of dicts, lists, numbers and text; ``counts`` with those of each bucket."""
        def told(one: LayerMetrics) -> dict[str, Any]:
            return {**one._asdict(), "latency": {
                name: {field: value for field, value in latency._asdict().items() if counts or field != "counts"}
                for name, latency in one.latency.items()}}
        return {"total": told(self.total), "layers": [told(one) for one in self.layers]}


def layers_of(store: Any) -> list[Any]:
    """The single stores that a store is made of, the fastest first."""
    if hasattr(store, "fast") and hasattr(store, "slow"):
        return [*layers_of(store.fast), *layers_of(store.slow)]
    return [store]


def backend_of(store: Any) -> str:
    """What a layer is called: ``memory``, ``lmdb``, ``sqlite``, ..."""
    name = plain_class(store).__name__
    return (name.removesuffix("Store") or name).lower()


def read(store: Any) -> Metrics:
    """What ``store.metrics()`` gives."""
    total = _read(store, "all")
    layers = layers_of(store)
    if layers == [store]:
        return Metrics(total, (total._replace(layer="0"),))
    return Metrics(total, tuple(_read(one, str(number)) for number, one in enumerate(layers)))


def _read(store: Any, layer: str) -> LayerMetrics:
    stats = store.stats()
    latency, errors = latencies(store)
    return LayerMetrics(
        layer, backend_of(store), {**{name: stats.get(name, 0) for name in COUNTERS}, "errors": errors},
        {name: stats[name] for name in SIZES if stats.get(name) is not None}, latency)

"""What stores did and how long it took: counters, latencies, an exporter for Prometheus, files for ``door43fast top``.

``store.metrics()`` reads, ``store.measure()`` switches latencies on; see docs/metrics.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOMES = {
    "Metrics": "reading",
    "LayerMetrics": "reading",
    "Latency": "latency",
    "read": "reading",
    "measure": "measuring",
    "collector": "prometheus",
    "exporter": "prometheus",
    "publish": "publishing",
    "published": "publishing",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from door43fast.metrics.latency import Latency
    from door43fast.metrics.measuring import measure
    from door43fast.metrics.prometheus import collector, exporter
    from door43fast.metrics.publishing import publish, published
    from door43fast.metrics.reading import LayerMetrics, Metrics, read


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value

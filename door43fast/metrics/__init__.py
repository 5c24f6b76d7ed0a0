"""What stores did and how long it took: counters, latencies, an exporter for Prometheus, files for ``door43fast top``.

``store.metrics()`` reads, ``store.measure()`` switches latencies on; see docs/metrics.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from door43fast.deferred import handing_on

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

__getattr__ = handing_on(__name__, _HOMES)

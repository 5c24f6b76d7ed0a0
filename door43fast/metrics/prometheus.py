"""Stores for Prometheus: a collector for its Python client, and an exporter over HTTP.

Needs ``prometheus-client``: ``pip install 'door43fast[metrics]'``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError
from door43fast.metrics.latency import up_to
from door43fast.metrics.reading import COUNTERS, LayerMetrics, read

LABELS = ("store", "layer", "backend")
BOUNDS = tuple(1 << exponent for exponent in range(6, 36, 2))    # nanoseconds: 64 ns to 17 s
HELP = {
    "hits": "Reads that found a value.", "misses": "Reads that found none.",
    "stale": "Values served past their time, in their stale window.", "sets": "Values that were set.",
    "deletes": "Keys that were deleted.", "evictions": "Entries that made room.",
    "expirations": "Entries taken out past their time.", "errors": "Calls that raised, while the store was measured.",
}


def _client() -> Any:
    try:
        import prometheus_client
    except ImportError as error:
        raise BackendUnavailableError("metrics for Prometheus need prometheus-client: run pip install "
                                      "'door43fast[metrics]'") from error
    return prometheus_client


class Collector:
    """Reads its stores at each scrape. Hand it to ``prometheus_client.REGISTRY.register``, or any other registry."""

    def __init__(self, stores: Mapping[str, Any]) -> None:
        self._stores = dict(stores)
        _client()
        from prometheus_client import core

        self._core = core

    def describe(self) -> list[Any]:
        """Nothing is read when it is registered."""
        return []

    def collect(self) -> Iterator[Any]:
        """The families of all stores. A closed one is ``door43fast_up`` 0, and nothing else."""
        up = self._core.GaugeMetricFamily("door43fast_up", "1 while the store is open.", labels=["store"])
        rows: list[tuple[str, LayerMetrics]] = []
        for name, store in self._stores.items():
            try:
                found = read(store)
            except ClosedError:
                up.add_metric([name], 0)
                continue
            up.add_metric([name], 1)
            rows += [(name, one) for one in (found.total, *found.layers)]
        yield up
        for counter in (*COUNTERS, "errors"):
            family = self._core.CounterMetricFamily(f"door43fast_{counter}", HELP[counter], labels=LABELS)
            for name, one in rows:
                family.add_metric([name, one.layer, one.backend], one.counters[counter])
            yield family
        for size in sorted({size for _, one in rows for size in one.sizes}):
            family = self._core.GaugeMetricFamily(f"door43fast_{size}", f"{size} now.", labels=LABELS)
            for name, one in rows:
                if size in one.sizes:
                    family.add_metric([name, one.layer, one.backend], one.sizes[size])
            yield family
        family = self._core.HistogramMetricFamily(
            "door43fast_latency_seconds", "How long the calls took that were measured.", labels=[*LABELS, "method"])
        for name, one in rows:
            for method, latency in one.latency.items():
                buckets = [(repr(bound / 1e9), up_to(latency, bound)) for bound in BOUNDS]
                family.add_metric([name, one.layer, one.backend, method],
                                  [*buckets, ("+Inf", latency.measured)], latency.total)
        yield family


def collector(**stores: Any) -> Collector:
    """A collector over ``stores``, each by the name that it has in the label ``store``."""
    if not stores:
        raise ConfigError("a collector needs a store: collector(cache=store)")
    return Collector(stores)


class Exporter:
    """The metrics of stores over HTTP, at ``/metrics`` of ``address:port``; :meth:`close` ends it."""

    def __init__(self, stores: Mapping[str, Any], port: int, address: str) -> None:
        client = _client()
        registry = client.CollectorRegistry()
        registry.register(Collector(stores))
        self._server, self._thread = client.start_http_server(port, addr=address, registry=registry)
        self.address = address
        self.port: int = self._server.server_port

    def close(self) -> None:
        """End the server. The stores stay open."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exporter(port: int = 0, address: str = "127.0.0.1", **stores: Any) -> Exporter:
    """Serve the metrics of ``stores`` in a thread.

    Parameters
    ----------
    port : int
        0 for any that is free; see ``Exporter.port``.
    address : str
        What to listen on; this machine alone unless you say otherwise.
    **stores : Store
        Each by the name that it has in the label ``store``.
    """
    if not stores:
        raise ConfigError("an exporter needs a store: exporter(9400, cache=store)")
    return Exporter(stores, port, address)

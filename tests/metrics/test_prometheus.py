"""The exporter, scraped over HTTP and read by the parser of Prometheus' own client."""

from urllib.request import urlopen

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

import door43fast as d43
from door43fast.metrics import collector, exporter


def scraped(port):
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    return families, {(sample.name, *sorted(sample.labels.items())): sample.value
                      for family in families.values() for sample in family.samples}


def at(samples, name, store, layer, backend, **more):
    labels = {"store": store, "layer": layer, "backend": backend, **more}
    return samples[(name, *sorted(labels.items()))]


def test_a_scrape(tmp_path):
    with d43.open(tmp_path / "s", durability="none") as disk, d43.MemoryStore(max_entries=2) as memory:
        disk["a"] = 1
        disk.measure(1)
        for _ in range(5):
            disk.get("a"), disk.get("x")
        memory.set_many({"a": 1, "b": 2, "c": 3})
        with exporter(cache=disk, small=memory) as served:
            families, samples = scraped(served.port)
            assert families["door43fast_hits"].type == "counter" and families["door43fast_entries"].type == "gauge"
            assert at(samples, "door43fast_hits_total", "cache", "all", "cascade") == 5
            assert at(samples, "door43fast_hits_total", "cache", "0", "memory") == 5
            assert at(samples, "door43fast_misses_total", "cache", "1", "lmdb") == 5
            assert at(samples, "door43fast_evictions_total", "small", "0", "memory") == 1
            assert at(samples, "door43fast_entries", "small", "all", "memory") == 2
            assert at(samples, "door43fast_errors_total", "small", "all", "memory") == 0
            assert families["door43fast_latency_seconds"].type == "histogram"
            get = {"store": "cache", "layer": "all", "backend": "cascade", "method": "get"}
            assert at(samples, "door43fast_latency_seconds_count", **get) == 10
            assert at(samples, "door43fast_latency_seconds_bucket", **get, le="+Inf") == 10
            buckets = [value for key, value in samples.items() if key[0] == "door43fast_latency_seconds_bucket"
                       and dict(key[1:]).items() >= get.items()]
            assert buckets == sorted(buckets) and buckets[0] < 10
            assert 0 < at(samples, "door43fast_latency_seconds_sum", **get) < 1
            disk.get("a")
            assert at(scraped(served.port)[1], "door43fast_hits_total", "cache", "all", "cascade") == 6
            disk.close()
            _, samples = scraped(served.port)
            assert samples[("door43fast_up", ("store", "cache"))] == 0
            assert samples[("door43fast_up", ("store", "small"))] == 1
            assert not any(dict(key[1:]) == {"store": "cache"} for key in samples if key[0] != "door43fast_up")
        with pytest.raises(OSError):
            urlopen(f"http://127.0.0.1:{served.port}/metrics", timeout=5)


def test_in_a_registry_of_ones_own():
    registry = prometheus_client.CollectorRegistry()
    with d43.MemoryStore() as store:
        registry.register(collector(mine=store))
        store.get("x")
        labels = {"store": "mine", "layer": "all", "backend": "memory"}
        assert registry.get_sample_value("door43fast_misses_total", labels) == 1


def test_refusals(monkeypatch):
    for call in (collector, exporter):
        with pytest.raises(d43.ConfigError, match="needs a store"):
            call()
    import sys
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with d43.MemoryStore() as store, pytest.raises(d43.BackendUnavailableError, match=r"door43fast\[metrics\]"):
        collector(mine=store)

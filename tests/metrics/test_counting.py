"""``store.metrics()``: every number follows from what was done to the store."""

import pickle
import random

import pytest

import door43fast as d43
from door43fast import reference
from door43fast.metrics import latency as histogram
from door43fast.plugins.sqlite import SqliteStore
from door43fast.testing.basis import manual_clock


@pytest.fixture(params=["memory", "lmdb", "cascade", "sqlite", "reference"])
def store(request, tmp_path):
    make = {"memory": lambda clock: d43.MemoryStore(clock=clock),
            "lmdb": lambda clock: d43.LmdbStore(tmp_path / "s", durability="none", clock=clock),
            "cascade": lambda clock: d43.open(tmp_path / "s", durability="none", clock=clock),
            "sqlite": lambda clock: SqliteStore(path=tmp_path / "s.db", durability="none", clock=clock),
            "reference": lambda clock: reference.MemoryStore(clock=clock)}[request.param]
    clock = manual_clock()
    store = make(clock)
    yield store, clock
    store.close()


def test_counters(store):
    store, clock = store
    for number in range(10):
        store.set(f"k{number}", number)
    for number in range(15):
        store.get(f"k{number}")
    store.get_many(["k1", "k2", "x"])
    store.delete("k0")
    store.set("soon", 1, ttl=1.025)
    clock.advance(1.05)
    assert store.expire() == 1
    found = store.metrics().total
    assert found.counters == {"hits": 12, "misses": 6, "stale": 0, "sets": 11, "deletes": 1, "evictions": 0,
                              "expirations": 1, "errors": 0}
    assert found.sizes["entries"] == 9 and found.latency == {} and found.layer == "all"


def test_what_is_served_stale_is_counted(store):
    """One computes anew, and another is given the old value meanwhile."""
    store, clock = store
    store.get_or_compute("k", lambda: "old", ttl=1.025, stale=60)
    clock.advance(1.05)

    def anew():
        import threading
        got = []
        other = threading.Thread(target=lambda: got.append(store.get_or_compute("k", lambda: "no", ttl=1, stale=60)))
        other.start()
        other.join()
        assert got == ["old"]
        return "new"
    assert store.get_or_compute("k", anew, ttl=60, stale=60) == "new"
    assert store.metrics().total.counters["stale"] == 1


def test_latencies_of_what_is_measured(store):
    store, _ = store
    plain = type(store)
    store.set("a", 1)
    store.measure(4)
    for _ in range(20):
        store.get("a")
        store.set("a", 1)
    store.get_many(["a"])
    store.set_many({"a": 1})
    with pytest.raises(TypeError):
        store.set("a", 1, nothing=1)
    found = store.metrics().total
    assert {name: one.measured for name, one in found.latency.items() if name != "fetch"} == {
        "get": 5, "set": 6, "get_many": 1, "set_many": 1}      # the first is, and so the 21st set, which raised
    assert found.latency["get"].every == 4 and found.latency["get_many"].every == 1
    for one in found.latency.values():
        assert 0 <= one.least <= one.p50 <= one.p95 <= one.p99 <= one.most < 10 and sum(one.counts) == one.measured
        assert one.least * one.measured <= one.total * 1.0001 <= one.most * one.measured * 1.001 + 1e-12
    assert found.counters["errors"] == 1
    assert isinstance(store, plain) and repr(store).startswith(f"<{plain.__name__} ")
    store.measure(None)
    assert type(store) is plain
    store.get("a")
    assert store.metrics().total.latency["get"].measured == 5      # what was measured stays
    store.measure(1)
    assert store.get("a") == 1 and store.metrics().total.latency["get"].measured == 6


def test_how_many_are_measured_unless_it_is_said(store):
    store, _ = store
    every = 16 if isinstance(store, SqliteStore | reference.MemoryStore) else 512
    store.measure()
    for _ in range(513):
        store.get("a")
    found = store.metrics().total.latency["get"]
    assert (found.every, found.measured) == (every, 512 // every + 1)


def test_a_method_of_a_measured_store_is_the_method(store):
    store, _ = store
    store.measure(1)
    store.set("a", 1, ttl=50)
    assert store.get("x", default=5) == 5 and store.get("a") == 1 and store.incr("a", by=2) == 3
    assert store.delete("a") is True and store.delete_many(["a"]) == 0
    with pytest.raises(TypeError):
        store.get()
    store.close()
    with pytest.raises(d43.ClosedError):
        store.get("a")
    with pytest.raises(d43.ClosedError):
        store.metrics()
    with pytest.raises(d43.ClosedError):
        store.measure()


def test_layers(tmp_path):
    with d43.open(tmp_path / "s", durability="none") as store:
        store["a"], store["list"] = 1, [1]
        store.measure(1)
        for _ in range(3):
            store.get("a"), store.get("list"), store.get("x")
        found = store.metrics()
    assert [(one.layer, one.backend) for one in (found.total, *found.layers)] == [
        ("all", "cascade"), ("0", "memory"), ("1", "lmdb")]
    assert (found.total.counters["hits"], found.total.counters["misses"]) == (6, 3)
    assert found.layers[0].counters["hits"] == 5 and found.layers[0].counters["misses"] == 4
    assert found.total.latency["get"].measured == 9 and found.total.latency["fetch"].measured == 4
    as_dict = found.as_dict()
    assert as_dict["layers"][1]["backend"] == "lmdb" and "counts" not in as_dict["total"]["latency"]["get"]


def test_a_measured_store_pickles_as_one_that_is_not(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as store, d43.open(tmp_path / "t") as tiered:
        store["a"] = tiered["a"] = 1
        for one in (store, tiered):
            plain = type(one)
            one.measure()
            assert type(one) is not plain
            with pickle.loads(pickle.dumps(one)) as again:
                assert type(again) is plain and again["a"] == 1
    with pytest.raises(TypeError, match="cannot be pickled"):
        memory = d43.MemoryStore()
        memory.measure()
        pickle.dumps(memory)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "64", 65537])
def test_what_cannot_be_is_refused(every):
    with d43.MemoryStore() as store, pytest.raises(d43.ConfigError, match="1 to 65536"):
        store.measure(every)


def test_buckets_are_where_they_say():
    spans = [*range(300), *(random.Random(1).randrange(1 << 42) for _ in range(3000)), (1 << 41) - 1, 1 << 41, 1 << 60]
    for span in spans:
        bucket = histogram.bucket_of(span)
        low, high = histogram.lower_bound(bucket), histogram.lower_bound(bucket + 1)
        assert low <= span and (span < high or bucket == histogram.BUCKETS - 1)
        assert high - low <= max(1, low / 16)
    for exponent in range(4, 41):       # what the buckets of Prometheus rest on
        assert histogram.lower_bound(histogram.bucket_of(1 << exponent)) == 1 << exponent


def test_quantiles_are_near_those_of_the_spans():
    drawn = random.Random(2)
    spans = sorted(int(drawn.lognormvariate(7, 1.5)) for _ in range(20000))
    gauge = histogram.Gauge(1)
    for span in spans:
        gauge.add(span)
    told = histogram.summary(1, gauge.total, gauge.least, gauge.most, gauge.counts)
    for share, said in ((0.5, told.p50), (0.95, told.p95), (0.99, told.p99)):
        assert said * 1e9 == pytest.approx(spans[int(share * len(spans)) - 1], rel=0.033, abs=1)
    assert (told.least * 1e9, told.most * 1e9) == (pytest.approx(spans[0]), pytest.approx(spans[-1]))


def test_the_native_histogram_has_the_same_buckets():
    """Each span lies in the bucket that Python says, as far as sum, least and most tell."""
    with d43.MemoryStore() as store:
        store.measure(1)
        for size in (1, 10, 100, 1000, 10000):
            for _ in range(20):
                store.set_many({number: number for number in range(size)})
        found = store.metrics().total.latency["set_many"]
    assert found.counts[histogram.bucket_of(round(found.least * 1e9))]
    assert found.counts[histogram.bucket_of(round(found.most * 1e9))]
    low = sum(histogram.lower_bound(bucket) * count for bucket, count in enumerate(found.counts))
    assert low <= found.total * 1e9 * 1.000001 <= low * 17 / 16 + 100

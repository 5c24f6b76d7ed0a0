"""The memory store, method by method."""

import pytest

import door43fast as d43

from benchmarks.workloads import absent, drawn, keys, values

COUNT = 10_000
STORED = keys(COUNT)


@pytest.fixture
def store():
    with d43.MemoryStore(max_entries=COUNT) as store:
        store.set_many(zip(STORED, values(COUNT, 32), strict=True))
        yield store


@pytest.mark.parametrize("method", ["get", "__getitem__", "__contains__", "ttl"])
def test_read(benchmark, store, method):
    read = getattr(store, method)
    wanted = STORED[:1000]
    benchmark(lambda: [read(key) for key in wanted])


def test_get_miss(benchmark, store):
    wanted = absent(1000)
    benchmark(lambda: [store.get(key) for key in wanted])


def test_set_over(benchmark, store):
    benchmark(lambda: [store.set(key, b"x") for key in STORED[:1000]])


@pytest.mark.parametrize("policy", ["lru", "sieve", "s3fifo", "wtinylfu", "adaptive"])
def test_set_evicting(benchmark, policy):
    with d43.MemoryStore(max_entries=COUNT, policy=policy) as store:
        wanted = keys(2 * COUNT)
        store.set_many(zip(wanted, wanted, strict=True))
        benchmark(lambda: [store.set(key, b"x") for key in wanted])


@pytest.mark.parametrize("method", ["get_many", "contains_many"])
@pytest.mark.parametrize("kind", ["int64", "U", "S"])
def test_batch_of_an_array(benchmark, method, kind):
    import numpy

    array = numpy.array(range(COUNT) if kind == "int64" else STORED, dtype=kind)
    with d43.MemoryStore(max_entries=COUNT) as store:
        store.set_many(zip(array.tolist(), values(COUNT, 32), strict=True))
        benchmark(getattr(store, method), array)


def test_set_with_ttl(benchmark, store):
    benchmark(lambda: [store.set(key, b"x", ttl=60) for key in STORED[:1000]])


def test_set_with_tags(benchmark, store):
    benchmark(lambda: [store.set(key, b"x", tags=("a", "b")) for key in STORED[:1000]])


def test_incr(benchmark):
    with d43.MemoryStore() as store:
        benchmark(lambda: [store.incr(key) for key in STORED[:1000]])


@pytest.mark.parametrize("method", ["get_many", "contains_many", "get_packed"])
def test_batch(benchmark, store, method):
    wanted = drawn(COUNT, COUNT)
    benchmark(getattr(store, method), wanted)


def test_set_many(benchmark, store):
    items = dict(zip(STORED, values(COUNT, 32), strict=True))
    benchmark(store.set_many, items)


def test_scan(benchmark, store):
    benchmark(lambda: list(store.scan("k000001")))

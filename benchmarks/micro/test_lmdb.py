"""The LMDB store, method by method."""

import pytest

import door43fast as d43

from benchmarks.workloads import absent, drawn, keys, values

COUNT = 10_000
STORED = keys(COUNT)


@pytest.fixture
def store(tmp_path):
    with d43.LmdbStore(tmp_path / "store", durability="none") as store:
        store.set_many(zip(STORED, values(COUNT, 128), strict=True))
        yield store


@pytest.mark.parametrize("method", ["get", "__getitem__", "__contains__", "ttl"])
def test_read(benchmark, store, method):
    read = getattr(store, method)
    wanted = STORED[:1000]
    benchmark(lambda: [read(key) for key in wanted])


def test_get_miss(benchmark, store):
    wanted = absent(1000)
    benchmark(lambda: [store.get(key) for key in wanted])


@pytest.mark.parametrize("method", ["get_many", "contains_many", "get_packed"])
def test_batch(benchmark, store, method):
    wanted = drawn(COUNT, COUNT)
    benchmark(getattr(store, method), wanted)


@pytest.mark.parametrize("index", ["index", "tree"])
@pytest.mark.parametrize("method", ["get_many", "get_packed"])
def test_batch_by_number(benchmark, tmp_path, index, method):
    """An int64 array of keys, through the key index and without one."""
    import numpy as np

    numbers = np.arange(COUNT)
    wanted = np.random.default_rng(1).integers(0, COUNT, COUNT)
    options = {} if index == "index" else {"index_bytes": 0}
    with d43.LmdbStore(tmp_path / "numbers", keys="int", durability="none", **options) as store:
        store.set_packed(numbers, b"".join(values(COUNT, 128)), np.arange(COUNT + 1) * 128)
        benchmark(getattr(store, method), wanted)


def test_get_after_a_write(benchmark, store):
    """The index follows the snapshot: one write, then reads."""
    def work():
        store.set(STORED[0], b"x" * 128)
        return [store.get(key) for key in STORED[:20]]

    store.get_many(STORED)
    benchmark(work)


def test_set(benchmark, store):
    benchmark(lambda: [store.set(key, b"x" * 128) for key in STORED[:100]])


def test_set_many(benchmark, store):
    items = dict(zip(STORED, values(COUNT, 128), strict=True))
    benchmark(store.set_many, items)


@pytest.mark.parametrize("method", ["get", "set", "set_many"])
def test_with_a_journal(benchmark, tmp_path, method):
    """Beside test_read, test_set and test_set_many: what noting each change costs."""
    items = dict(zip(STORED, values(COUNT, 128), strict=True))
    with d43.LmdbStore(tmp_path / "journalled", durability="none", journal=True) as store:
        store.set_many(items)
        benchmark({"get": lambda: [store.get(key) for key in STORED[:1000]],
                   "set": lambda: [store.set(key, b"x" * 128) for key in STORED[:100]],
                   "set_many": lambda: store.set_many(items)}[method])


def test_scan(benchmark, store):
    benchmark(lambda: sum(1 for _ in store.scan()))


def test_scan_packed(benchmark, store):
    benchmark(lambda: sum(len(part) for part, _ in store.scan_packed()))

"""Many threads over layers that fail now and then: nobody reads what he has overwritten or deleted."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubled import wait

import door43fast as d43
from door43fast.layers import Guard, Parallel, PrimaryFallback, ReadThrough
from door43fast.testing import Faulty

FAILING = ["set", "delete", "set_many", "delete_many", "get", "get_many", "incr"]


def layers():
    return [Faulty(d43.MemoryStore(), seed=n, errors=0.05, lost=0.05, only=FAILING) for n in (1, 2)]


def guarded(pair):
    return [Guard(layer, failures=3, reset=0.001) for layer in pair]


STORES = {
    "parallel": lambda pair: Parallel(*guarded(pair), require="any"),
    "mirror": lambda pair: PrimaryFallback(*guarded(pair)),
    "on a miss": lambda pair: PrimaryFallback(*guarded(pair), on_miss=True),
    "no mirror": lambda pair: PrimaryFallback(*guarded(pair), mirror=False),
    "no mirror, on a miss": lambda pair: PrimaryFallback(*guarded(pair), mirror=False, on_miss=True),
    "read through": lambda pair: ReadThrough(*guarded(pair)),
}


def surely(call):
    """Make a call until it succeeds."""
    for _ in range(5000):
        try:
            return call()
        except d43.Error:
            time.sleep(0.0005)
    raise AssertionError("it never succeeds")


@pytest.mark.parametrize("name", STORES)
def test_threads_with_keys_of_their_own(name):
    pair = layers()
    with STORES[name](pair) as store:
        def work(number):
            model = {}
            for i in range(40):
                key = f"t{number}/{i % 4}"
                if i % 3 == 0:
                    surely(lambda: store.delete(key))   # noqa: B023
                    model.pop(key, None)
                elif i % 7 == 0:
                    surely(lambda: store.set_many({key: i, f"t{number}/m": i}))     # noqa: B023
                    model.update({key: i, f"t{number}/m": i})
                else:
                    surely(lambda: store.set(key, i))   # noqa: B023
                    model[key] = i
                assert surely(lambda: store.get(key)) == model.get(key)     # noqa: B023
                keys = [f"t{number}/{j}" for j in range(4)]
                assert surely(lambda: store.get_many(keys)) == [model.get(key) for key in keys]     # noqa: B023
            return model
        with ThreadPoolExecutor(64) as pool:
            wanted = {key: value for model in pool.map(work, range(64)) for key, value in model.items()}
        for layer in pair:
            layer.calm()
        wait(lambda: (store.repair(), store.stats()["owed"] == 0)[1])
        assert dict(store.items()) == wanted


@pytest.mark.parametrize("name", STORES)
def test_threads_that_close_it(name):
    for _ in range(3):
        pair = [Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore())]
        store = STORES[name](pair)

        def work(number, store=store):
            try:
                for i in range(100_000):
                    store.set(f"k{number}", i)
                    store.get(f"k{number}")
            except d43.ClosedError:
                return True
        with ThreadPoolExecutor(8) as pool:
            ends = [pool.submit(work, number) for number in range(8)]
            wait(lambda store=store: store.stats()["sets"] > 100)
            store.close()
            assert all(end.result(20) for end in ends)

"""Memory over Redis: what others write leaves the memory at once, and nobody serves from it what none vouches for."""

import random
import threading
import time

import pytest

import door43fast as d43
from redis_proxy import Proxy


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


@pytest.fixture
def other(redis, request):
    """Another process, as far as the store can tell."""
    with d43.open(redis.url, namespace=request.node.name.partition("[")[0]) as other:
        yield other
        other.clear()


def tiered(url, other, **options):
    return d43.open(url, namespace=other.options.namespace, memory="1MB", **options)


def until(true, limit=20.0):
    """Wait for what must come about; that it takes long decides nothing."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


def heard(store):
    """Wait until the store has heard of all that was changed before."""
    listener = store.slow._listener
    from door43fast.plugins.redis.clock import passed

    now = passed()
    store.get("-")
    until(lambda: listener.until - listener.bound > now)


def hits(store):
    return store.stats()["layers"][0]["hits"]


def test_what_is_read_again_comes_from_memory(redis, other):
    other.set_many({f"k{i}": [i] for i in range(50)})
    with tiered(redis.url, other) as store:
        heard(store)
        asked = other.stats()["entries"]
        store.get_many([f"k{i}" for i in range(50)])
        before = store.stats()
        for _ in range(3):
            assert store.get_many([f"k{i}" for i in range(50)]) == [[i] for i in range(50)]
        after = store.stats()
        assert after["layers"][0]["hits"] - before["layers"][0]["hits"] == 150 and asked == 50
        assert after["layers"][1]["hits"] == before["layers"][1]["hits"]        # nobody asked Redis


def test_only_what_others_change_leaves(redis, other):
    other.set_many({f"k{i}": 0 for i in range(50)})
    with tiered(redis.url, other) as store:
        heard(store)
        store.get_many([f"k{i}" for i in range(50)])
        emptied = store.stats()["coherence"]["emptied"]
        other["k7"] = 1
        until(lambda: store["k7"] == 1)
        other.delete("k8")
        until(lambda: "k8" not in store)
        other.incr("k9")
        until(lambda: store["k9"] == 1)
        before = hits(store)
        assert store.get_many([f"k{i}" for i in range(10, 50)]) == [0] * 40 and hits(store) - before == 40
        assert store.stats()["coherence"] == {"dropped": 3, "emptied": emptied}


@pytest.mark.parametrize("change", ["invalidate", "clear", "flush", "expiry"])
def test_what_concerns_many(redis, other, change):
    other.set("a", 1, tags=("t",), ttl=0.3 if change == "expiry" else None)
    with tiered(redis.url, other) as store:
        heard(store)
        assert store["a"] == 1 == store["a"]
        {"invalidate": lambda: other.invalidate("t"), "clear": other.clear, "expiry": lambda: None,
         "flush": lambda: redis.ask("flushall")}[change]()
        until(lambda: "a" not in store and store.get("a") is None)


def test_of_a_silent_connection_nothing_is_believed_for_longer_than_the_bound(redis, proxy, other):
    """Its packets are lost, and nobody is told. Whatever the load: a read that began later than that is not stale."""
    bound = 0.4
    with tiered(proxy.url, other, staleness=bound) as store, tiered(proxy.url, other, staleness=60) as lax:
        other["k"] = 0
        for one in (store, lax):
            until(lambda one=one: one.slow._listener.hears or one["k"] is None)
            until(lambda one=one: one["k"] == 0 and hits(one))
        proxy.freeze(b"TRACKING")
        other["k"] = 1
        written = time.monotonic()
        stale = 0
        while time.monotonic() < written + 3 * bound:
            began = time.monotonic()
            if store["k"] == 0:
                stale += 1
                assert began - written <= bound
        assert store["k"] == 1 and not store.slow._listener.hears
        assert lax["k"] == 0            # without the bound the same read is stale: so this test can fail
        other["k"] = 2
        assert store["k"] == 2
        proxy.thaw()                    # it was slow, not lost: all is well again
        until(lambda: store.slow._listener.hears)
        until(lambda: lax["k"] == 2)
        store["k"], store["k"]
        before = hits(store)
        until(lambda: store["k"] == 2 and hits(store) > before)


def test_when_the_connection_is_lost_the_memory_is_too(redis, proxy, other):
    with tiered(proxy.url, other, staleness=60) as store:
        other.set_many({"k": 0, "still": 0})
        heard_once = store.slow._listener
        store.get("k")
        until(lambda: heard_once.hears)
        store.get_many(["k", "still"])
        for value in range(1, 20):
            proxy.drop(b"TRACKING")
            other["k"] = value
            until(lambda: not heard_once.hears or store["k"] == value)
            until(lambda value=value: store["k"] == value)
            until(lambda: heard_once.hears)
        before = hits(store)
        until(lambda: store["k"] == 19 and hits(store) > before)


def test_a_server_that_went_and_came_back(tmp_path):
    from door43fast.testing.redis_servers import redis_server

    with redis_server(tmp_path) as server, d43.open(server.url, memory="1MB", timeout=2, staleness=60,
                                                    wait_timeout=1) as store:
        store["k"] = 1
        until(lambda: (store["k"], hits(store))[1])
        server.kill()
        with pytest.raises(d43.BackendUnavailableError, match="start it"):
            for _ in range(1000):       # the loss is noticed at once, not at the first reading
                store["k"]
                time.sleep(0.01)
        server.start()
        until(lambda: store.slow._listener.hears or store.get("k") is None and False)
        assert store.get("k") is None   # it kept nothing on disk, and memory must not say otherwise
        store["k"] = 2
        assert store["k"] == 2


def test_readers_and_writers_at_the_same_time_leave_nothing_stale(redis, other):
    keys = [f"k{i}" for i in range(40)]
    other.set_many(dict.fromkeys(keys, 0))
    ended = threading.Event()
    with tiered(redis.url, other) as store, tiered(redis.url, other) as second:
        heard(store)
        heard(second)

        def read(own):
            while not ended.is_set():
                own.get_many(random.sample(keys, 5))
                own[random.choice(keys)]

        def write(own, seed):
            chance = random.Random(seed)
            for i in range(300):
                own[chance.choice(keys)] = (seed, i)
        readers = [threading.Thread(target=read, args=(own,)) for own in (store, second)]
        writers = [threading.Thread(target=write, args=(own, n)) for n, own in enumerate((other, store, second))]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        ended.set()
        for thread in readers:
            thread.join()
        for own in (store, second):
            heard(own)
            assert own.get_many(keys) == own.slow.get_many(keys) == other.get_many(keys)


def test_memory_over_memory_over_redis(redis, other):
    other["k"] = 0
    with d43.cascade(d43.MemoryStore(), tiered(redis.url, other)) as store:
        for value in range(1, 10):
            until(lambda: store.slow.slow._listener.hears or store["k"] is None)
            store["k"], store["k"]
            other["k"] = value
            until(lambda value=value: store["k"] == value)


def test_a_store_that_is_dropped_takes_its_thread_along(redis, other):
    import gc

    before = threading.active_count()
    stores = [tiered(redis.url, other, staleness=0.2) for _ in range(3)]
    for store in stores:
        store.get("k")
    assert threading.active_count() >= before + 3
    del stores, store
    gc.collect()
    until(lambda: threading.active_count() <= before)


def test_stale_on_error_is_refused_since_nothing_is_kept_for_it(redis):
    from door43fast.layers import Guard
    for around in (lambda store: store, Guard):
        with d43.open(redis.url) as below:
            with pytest.raises(d43.ConfigError, match="stale_on_error= has no effect over Redis"):
                d43.cascade(d43.MemoryStore(ttl=1), around(below), stale_on_error=5)

"""The Redis backend over one server: whose keys, who lets them expire, what is atomic, what a broken network does."""

import os
import threading
import time

import pytest

import door43fast as d43
from door43fast.testing.redis_servers import free_ports, redis_server
from redis_proxy import Proxy


@pytest.fixture
def store(redis, request):
    with d43.open(redis.url, namespace=request.node.name[:60].replace(":", "")) as store:
        yield store
        store.clear()


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


def stats(server, command):
    """How often the server was asked ``command``."""
    for line in server.ask("info", "commandstats").splitlines():
        if line.startswith(f"cmdstat_{command}:calls="):
            return int(line.split("=")[1].split(",")[0])
    return 0


# -- whose keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["own", "*", "[a-z]?", "\\", "наро́д", "a b"])
def test_a_store_owns_its_keys_alone(redis, namespace):
    redis.ask("set", "foreign", "kept")
    redis.ask("set", "ownother:k", "kept")
    with d43.open(redis.url, namespace=namespace) as one, d43.open(redis.url, namespace=f"{namespace}other") as other:
        one.set("k", 1, tags=("t",))
        other.clear()
        other["k"] = 2
        assert list(one) == ["k"] and one.count() == len(one) == 1 and dict(other.items()) == {"k": 2}
        one.clear()
        assert len(one) == 0 and other["k"] == 2
        assert not list(one.names(""))
        other.clear()
    assert redis.ask("get", "foreign") == "kept"
    redis.ask("del", "foreign", "ownother:k")


def test_what_the_shell_sees(store, redis):
    store["en_tn/TIT/1"] = "Paul"
    name = f"{store.options.namespace}:en_tn/TIT/1"
    assert redis.ask("get", name).startswith("Paul") and redis.ask("type", name) == "string"
    assert redis.ask("pttl", name) == "-1"


@pytest.mark.parametrize("namespace", ["", "a:b", "a{b}", "a\0"])
def test_a_namespace_that_would_mix_is_refused(redis, namespace):
    with pytest.raises(d43.ConfigError, match="namespace"):
        d43.open(redis.url, namespace=namespace)


def test_other_data_under_the_namespace_is_told(store, redis):
    redis.ask("rpush", f"{store.options.namespace}:list", "1")
    redis.ask("set", f"{store.options.namespace}:text", "no record")
    with pytest.raises(d43.CorruptError, match="another"):
        store["list"]
    with pytest.raises(d43.CorruptError, match="'text'"):
        store.get_many(["text", "x"])
    with pytest.raises(d43.CorruptError):
        store.incr("list")
    assert len(store.verify()["errors"]) >= 1


# -- time --------------------------------------------------------------------------------------------------------


def test_the_server_lets_records_expire(store, redis):
    name = store.options.namespace
    store.set("one", 1, ttl=0.25)
    store.set_many({f"k{i}": i for i in range(10)}, ttl=100)
    store.add("added", 1, ttl=0.25)
    store.set("touched", 1, ttl=0.25)
    assert store.touch("touched", 100) and store.touch("k1", None)
    assert 0 < int(redis.ask("pttl", f"{name}:one")) <= 250 and 99_000 < int(redis.ask("pttl", f"{name}:k0")) <= 100_000
    assert redis.ask("pttl", f"{name}:k1") == "-1" and 99 < store.ttl("touched") <= 100
    time.sleep(0.3)
    assert redis.ask("exists", f"{name}:one", f"{name}:added") == "0"      # nobody asked for them
    assert "one" not in store and "touched" in store and len(store) == 11 and store.expire() == 0


def test_what_is_stale_stays_on_the_server(store, redis):
    assert store.get_or_compute("k", lambda: "old", ttl=0.1, stale=50) == "old"
    time.sleep(0.15)
    assert "k" not in store and store.get("k") is None
    assert 49_000 < int(redis.ask("pttl", f"{store.options.namespace}:k")) <= 50_100


def test_the_servers_time_counts(redis, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.0)      # a client whose clock is wrong
    with d43.open(redis.url, namespace="time") as store:
        store.set("k", 1, ttl=50)
        assert 49.9 < store.ttl("k") <= 50.01
        seconds = int(redis.ask("time").split()[0])
        assert abs(store._clock.seconds - seconds) < 2
        store.clear()


# -- one step ----------------------------------------------------------------------------------------------------


def test_increments_of_many_add_up(store, redis):
    other = d43.open(redis.url, namespace=store.options.namespace)

    def work(own):
        for _ in range(60):
            own.incr("n")
            own.incr("m", 2)
    threads = [threading.Thread(target=work, args=(one,)) for one in (store, other) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert store["n"] == 360 and store["m"] == 720


def test_of_many_that_add_one_does(store):
    for i in range(20):
        won = []
        ready = threading.Barrier(4)

        def work(me, i=i, won=won, ready=ready):
            ready.wait()
            if store.add(f"k{i}", me):
                won.append(me)
        threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [store[f"k{i}"]]


def test_a_range_that_grows_at_the_last_moment_conflicts(store):
    """Each transaction counts and adds where there is room: without a look at the names in the script, two do."""
    def work(me):
        for i in range(12):
            try:
                with store.transaction() as t:
                    if t.count("p/") < 10:
                        t[f"p/{me}-{i}"] = 1
            except d43.ConflictError:
                pass
    threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= store.count("p/") <= 10


def test_a_script_that_the_server_forgot_is_sent_again(store, redis):
    store.incr("n")
    redis.ask("script", "flush")
    assert store.incr("n") == 2


def test_a_tag_that_the_server_forgot_revives_nothing(store, redis):
    store.set("before", 1, tags=("t",))
    store.invalidate("t")
    store.set("after", 2, tags=("t",))
    assert store.get_many(["before", "after"]) == [None, 2]
    redis.ask("--no-raw", "eval", "for _, k in ipairs(redis.call('keys', ARGV[1])) do redis.call('del', k) end", "0",
              f"{store.options.namespace}:\0tag:*".replace("\0", "?"))
    assert store.get_many(["before", "after"]) == [None, None]      # made missing, as by an eviction
    store.set("again", 3, tags=("t",))
    assert store.get_many(["before", "after", "again"]) == [None, None, 3]


def test_keys_are_listed_and_values_stay_where_they_are(store, redis):
    def sent():
        line = next(one for one in redis.ask("info", "stats").splitlines() if one.startswith("total_net_output_bytes:"))
        return int(line.partition(":")[2])
    store.set_many({f"k{i:02}": bytes(100_000) for i in range(20)})
    store.set("tagged", 1, tags=("t",))
    store.set("revoked", 1, tags=("u",))
    store.invalidate("u")
    store.get_or_compute("stale", lambda: 1, ttl=0.01, stale=50)
    time.sleep(0.03)
    before = sent()
    assert list(store.keys("k")) == [f"k{i:02}" for i in range(20)] and store.count("k") == 20
    assert list(store) == [*(f"k{i:02}" for i in range(20)), "tagged"] and store.count() == 21
    assert sent() - before < 100_000
    assert store.verify() == {"checked": 23, "errors": []}


# -- batches -----------------------------------------------------------------------------------------------------


def test_batches_are_sent_in_pieces(redis):
    with d43.open(redis.url, namespace="pieces", batch_keys=10, batch_bytes="1KB") as store:
        before = {name: stats(redis, name) for name in ("mset", "mget", "unlink", "eval", "exec")}
        store.set_many({f"k{i}": b"x" for i in range(95)})
        store.set_many({f"t{i}": b"x" for i in range(95)}, ttl=50)
        store.set_many({f"large{i}": bytes(600) for i in range(7)})
        assert store.get_many([f"k{i}" for i in range(95)]) == [b"x"] * 95
        assert store.delete_many([f"k{i}" for i in range(95)]) == 95
        store.clear()
        after = {name: stats(redis, name) - number for name, number in before.items()}
        assert after == {"mset": 10 + 7, "mget": 10 + 10, "unlink": after["unlink"], "eval": after["eval"], "exec": 4}
        assert after["eval"] >= 10 and after["unlink"] >= 95


def test_of_a_batch_that_breaks_nothing_is_written(redis, proxy):
    with d43.open(proxy.url, namespace="broken", batch_keys=10, retries=0) as store:
        proxy.cut(b"k55")
        with pytest.raises(d43.BackendUnavailableError):
            store.set_many({f"k{i}": i for i in range(100)})
        assert len(store) == 0
        proxy.cut(b"k55")
    with d43.open(proxy.url, namespace="broken", batch_keys=10) as store:       # before EXEC it may be tried again
        store.set_many({f"k{i}": i for i in range(100)})
        assert len(store) == 100
        store.clear()


# -- a network that fails ----------------------------------------------------------------------------------------


def test_a_server_that_is_not_there():
    port = free_ports(1)[0]
    began = time.monotonic()
    with pytest.raises(d43.BackendUnavailableError, match=rf"127.0.0.1:{port} cannot be reached.*start it"):
        d43.open(f"redis://127.0.0.1:{port}")
    assert time.monotonic() - began < 10


def test_a_lost_read_is_asked_again_and_a_lost_write_is_not(redis, proxy):
    with d43.open(proxy.url, namespace="lost") as store:
        store["k"] = 1
        proxy.swallow(b"GET", 2)
        assert store["k"] == 1
        before = stats(redis, "set")
        proxy.swallow(b"SET")
        with pytest.raises(d43.BackendUnavailableError, match="whether the write was made is not known"):
            store["k"] = 2
        assert stats(redis, "set") == before + 1 and store["k"] == 2
        proxy.swallow(b"EVALSHA")
        with pytest.raises(d43.BackendUnavailableError, match="not known"):
            store.incr("k")
        assert store["k"] == 3
        proxy.drop()                                    # connections that stood idle are found and made anew
        store["k"] = 4
        assert store["k"] == 4
        proxy.swallow(b"GET", 3)
        with pytest.raises(d43.BackendUnavailableError, match="cannot be reached"):
            store["k"]
        store.clear()


def test_a_server_that_does_not_answer(redis, proxy):
    with d43.open(proxy.url, namespace="mute", timeout=0.2, connect_timeout=0.2, retries=1, wait_timeout=0.1) as store:
        proxy.freeze()
        began = time.monotonic()
        with pytest.raises(d43.BackendUnavailableError, match="did not answer within.*timeout=0.2.*not known"):
            store["k"] = 1
        with pytest.raises(d43.BackendUnavailableError, match="did not answer within.*timeout=0.2"):
            store["k"]
        assert time.monotonic() - began < 5
        proxy.thaw()
        store["k"] = 5
        assert store["k"] == 5
        store.clear()


def test_connections_are_bounded_and_given_back(redis):
    with d43.open(redis.url, namespace="few", connections=2) as store:
        store["k"] = 0
        threads = [threading.Thread(target=lambda: [store.get("k") for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.stats()["hits"] == 400
        store.clear()


# -- the rest ----------------------------------------------------------------------------------------------------


def test_what_it_cannot_promise_it_refuses(store, redis):
    with pytest.raises(d43.UnsupportedError, match="appendfsync"):
        store.set("k", 1, durable=True)
    assert "k" not in store
    with d43.open(redis.url, namespace="wait", wait_replicas=1, wait_timeout=0.05) as waiting:
        with pytest.raises(d43.BackendUnavailableError, match="0 replicas"):
            waiting["k"] = 1
        assert waiting["k"] == 1
        waiting_for = d43.open(redis.url, namespace="wait")
        waiting_for.clear()
        waiting_for.close()
    with d43.open(redis.url, readonly=True) as reader, pytest.raises(d43.ReadOnlyError):
        reader["k"] = 1


def test_a_server_that_is_full(tmp_path):
    with redis_server(tmp_path, ["maxmemory 3mb", "maxmemory-policy noeviction"]) as server, \
            d43.open(server.url) as store:
        with pytest.raises(d43.BackendUnavailableError, match="out of memory"):
            for i in range(100):
                store[f"k{i}"] = bytes(100_000)
        with pytest.raises(d43.BackendUnavailableError, match="out of memory"):
            store.set_many({f"m{i}": bytes(100_000) for i in range(30)})
        assert store.count("m") == 0 and store.get("k0") == bytes(100_000)


def test_after_a_fork_both_go_on(redis):
    with d43.open(redis.url, namespace="fork", memory="1MB") as store:
        store["k"] = 0
        assert store["k"] == 0
        pid = os.fork()
        if not pid:
            try:
                store["child"] = store["k"] + 1
                for _ in range(50):
                    store.incr("n")
                os._exit(0 if store["child"] == 1 else 2)
            except BaseException:
                os._exit(1)
        for _ in range(50):
            store.incr("n")
            assert store["k"] == 0
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store["child"] == 1 and store["n"] == 100
        store.clear()

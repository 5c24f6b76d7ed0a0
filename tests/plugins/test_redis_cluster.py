"""The Redis backend over a cluster: keys over all servers, slots that move, a primary that is killed in the middle."""

import signal
import subprocess
import threading
import time

import pytest

import door43fast as d43
from door43fast.testing.redis_servers import program, redis_cluster as a_cluster

KEYS = [f"book/{i}" for i in range(300)]


@pytest.fixture
def store(redis_cluster):
    with d43.open(redis_cluster.url, namespace="cluster", timeout=15) as store:
        yield store
        store.clear()


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """A cluster of this module's own, whose servers are killed."""
    with a_cluster(tmp_path_factory.mktemp("fragile")) as cluster:
        yield cluster


def until(true, limit=30.0):
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_keys_and_calls_go_to_all_servers(store, redis_cluster):
    store.set_many({key: i for i, key in enumerate(KEYS)})
    held = [int(node.ask("dbsize")) for node in redis_cluster.nodes if "role:master" in node.ask("info", "replication")]
    assert len(held) == 3 and min(held) > 50 and sum(held) >= 300
    assert store.get_many([*KEYS, "-"]) == [*range(300), None] and len(store) == store.count() == 300
    assert sorted(store) == sorted(KEYS) and dict(store.items()) == {key: i for i, key in enumerate(KEYS)}
    store.set("a{b}c", 1, tags=("t",))      # what Redis takes for a hash tag
    store.set("x", 1, tags=("t",))
    store.invalidate("t")
    assert store.get_many(["a{b}c", "x"]) == [None, None]
    store.clear("book/1")
    assert len(store) == 300 - 111 + 2 and store.delete_many(KEYS) == 189
    assert store.delete_many(["x", "a{b}c"]) == 0 and len(store) == 0


def test_any_one_server_leads_to_the_others(redis_cluster, store):
    for node in redis_cluster.nodes:
        with d43.open(f"redis+cluster://127.0.0.1:{node.port}", namespace="cluster") as one:
            one.set_many(dict.fromkeys(KEYS[:20], node.port))
            assert store.get_many(KEYS[:20]) == [node.port] * 20
    with pytest.raises(d43.BackendUnavailableError, match="cannot be reached"):
        d43.open("redis+cluster://127.0.0.1:1,127.0.0.1:2")


def test_a_server_that_is_no_cluster_and_one_that_is(redis, redis_cluster):
    with pytest.raises(d43.BackendUnavailableError, match="cluster support disabled"):
        d43.open(redis.url.replace("redis:", "redis+cluster:"))
    with pytest.raises(d43.BackendUnavailableError, match="redis.cluster://"), \
            d43.open(f"redis://127.0.0.1:{redis_cluster.nodes[0].port}") as one:
        one.set_many(dict.fromkeys(KEYS, 1))


def ids(cluster):
    """Port and id of each primary."""
    lines = [line.split() for line in cluster.nodes[0].ask("cluster", "nodes").splitlines()]
    return {int(words[1].split("@")[0].split(":")[1]): words[0] for words in lines if "master" in words[2]}


def test_slots_that_move_lose_nothing(redis_cluster, store):
    """A thousand slots go from one server to another and back while records are read and written."""
    store.set_many(dict.fromkeys(KEYS, 0))
    ended = threading.Event()
    wrong = []

    def work(me):
        with d43.open(redis_cluster.url, namespace="cluster", timeout=15) as own:
            count = 0
            try:
                while not ended.is_set():
                    own.incr(KEYS[me])
                    count += 1
                    own[f"own/{me}"] = count
                    if own[f"own/{me}"] != count or own[KEYS[me]] != count or None in own.get_many(KEYS):
                        wrong.append((me, count))
            except BaseException as error:
                wrong.append(error)
    with d43.open(redis_cluster.url, namespace="cluster", timeout=15, memory="1MB") as tier:
        threads = [threading.Thread(target=work, args=(me,)) for me in range(3)]
        for thread in threads:
            thread.start()
        first, second, _ = ids(redis_cluster).items()
        try:
            for source, target in ((first, second), (second, first)):
                redis_cluster.settle()
                done = subprocess.run([
                    program("redis-cli"), "--cluster", "reshard", f"127.0.0.1:{first[0]}", "--cluster-from", source[1],
                    "--cluster-to", target[1], "--cluster-slots", "300", "--cluster-yes"], capture_output=True,
                    text=True, timeout=120)
                assert done.returncode == 0, done.stdout[-2000:] + done.stderr
                tier.get_many(KEYS)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert wrong == [] and len(store) >= 300
        until(lambda: tier.get_many(KEYS) == tier.slow.get_many(KEYS))
        store[KEYS[0]] = "last"
        until(lambda: tier[KEYS[0]] == "last")


def test_of_a_slot_on_its_way_what_has_gone_is_asked_for_at_its_new_place(redis_cluster, store):
    (port, source), (other, target), _ = ids(redis_cluster).items()
    at = {node.port: node for node in redis_cluster.nodes}
    key = next(f"moving{i}" for i in range(1000) if redis_cluster.primary_of(f"cluster:moving{i}").port == port)
    slot = at[port].ask("cluster", "keyslot", f"cluster:{key}")
    at[other].ask("cluster", "setslot", slot, "importing", source)
    at[port].ask("cluster", "setslot", slot, "migrating", target)
    try:
        store[key] = 1          # it is not there, so it is made where the slot goes
        assert at[other].ask("cluster", "countkeysinslot", slot) == "1"
        assert store[key] == 1 and store.incr(key) == 2 and store.get_many([key, "x"]) == [2, None]
        assert store.delete(key) and key not in store
    finally:
        for node in (at[other], at[port]):
            node.ask("cluster", "setslot", slot, "node", source)
        redis_cluster.settle()


class Load:
    """Threads that write, each key once; what was acknowledged is in ``said``."""

    def __init__(self, cluster, name, **options):
        self.store = d43.open(cluster.url, namespace=name, timeout=20, connect_timeout=1, **options)
        self.said = {}
        self.refused = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(me,)) for me in range(3)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.said) > 200)
        return self

    def _work(self, me):
        count = 0
        while not self._ended.is_set():
            key = f"{me}/{count}"
            count += 1
            try:
                self.store[key] = count
                self.said[key] = count
            except d43.BackendUnavailableError:
                self.refused += 1

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def lost(self):
        keys = list(self.said)
        return sum(got != self.said[key] for key, got in zip(keys, self.store.get_many(keys), strict=True))


def fail_over(cluster, load):
    """Kill -9 a primary in the middle of the load, and start it again, as a replica, when there is another one."""
    victim = cluster.primary_of("victim")
    began = time.monotonic()
    victim.kill()
    until(lambda: serves(cluster, "victim") not in (victim, None))
    took = time.monotonic() - began
    victim.start()
    before = len(load.said)
    until(lambda: len(load.said) > before + 300)
    return round(took, 1)


def serves(cluster, key):
    """The node that serves a key now; None in the moments without one."""
    try:
        return cluster.primary_of(key)
    except d43.BackendUnavailableError:
        return None


def test_with_replicas_waited_for_nothing_acknowledged_is_lost(fragile, capsys):
    told = {}
    for name, options in (("waits", {"wait_replicas": 1, "wait_timeout": 0.5}), ("trusts", {})):
        with Load(fragile, name, **options) as load:
            took = fail_over(fragile, load)
        told[name] = (len(load.said), load.refused, load.lost(), took)
        assert load.store["0/0"] == 1
        load.store.close()
        fragile.settle()
    with capsys.disabled():
        print("\nacknowledged, refused, lost, seconds without a primary:", told)
    assert told["waits"][2] == 0


def test_what_is_acknowledged_without_waiting_can_be_lost(fragile):
    """The replica stands still while its primary is written to and killed: the promise is as good as it is stated."""
    for options, kept in (({}, False), ({"wait_replicas": 1, "wait_timeout": 1}, True)):
        with d43.open(fragile.url, namespace="frozen", timeout=20, connect_timeout=1, **options) as store:
            store["victim"] = "before"
            primary, replica = pair_of(fragile, "frozen:victim")
            replica.process.send_signal(signal.SIGSTOP)
            primary.ask("client", "kill", "type", "replica")        # else what it is sent waits for it in its socket
            try:
                if kept:
                    with pytest.raises(d43.BackendUnavailableError, match="0 replicas.*may be lost"):
                        store["victim"] = "acknowledged"
                else:
                    store["victim"] = "acknowledged"
                primary.kill()
            finally:
                replica.process.send_signal(signal.SIGCONT)
            until(lambda primary=primary: serves(fragile, "frozen:victim") not in (primary, None))
            assert store["victim"] == "before"
            primary.start()
            fragile.settle()


def pair_of(cluster, key):
    """The node that serves a key by its own account, and its replica: after a failover each hears of it in its time."""
    end = time.monotonic() + 30
    while True:
        primary = cluster.primary_of(key)
        nodes = [line.split() for line in primary.ask("cluster", "nodes").splitlines()]
        own = next(words for words in nodes if "myself" in words[2])
        ports = [int(words[1].split("@")[0].split(":")[1]) for words in nodes if words[3] == own[0]]
        if "master" in own[2] and ports:
            return primary, next(node for node in cluster.nodes if node.port == ports[0])
        assert time.monotonic() < end, nodes
        time.sleep(0.05)


def test_memory_over_a_cluster_listens_to_who_serves_now(fragile):
    """A primary steps down and lives on: nobody else is told, and it is not the one that tells any more."""
    with d43.open(fragile.url, namespace="tier", timeout=20, memory="1MB") as store, \
            d43.open(fragile.url, namespace="tier", timeout=20) as other:
        other["victim"] = 0
        until(lambda: store["victim"] == 0 and store.stats()["layers"][0]["hits"] > 3)
        before, replica = pair_of(fragile, "tier:victim")
        apart = next(f"k{i}" for i in range(99) if fragile.primary_of(f"tier:k{i}") not in (before, replica))
        replica.ask("cluster", "failover")
        until(lambda: serves(fragile, "tier:victim") is replica)
        heard = store.slow._listener        # by its own questions: nobody asks for what has moved
        until(lambda: store.get(apart) is None and {ear.port for ear in heard._ears} == set(ids(fragile)))
        for value in range(1, 5):
            other["victim"] = value
            until(lambda value=value: store["victim"] == value)
        hits = store.stats()["layers"][0]["hits"]
        until(lambda: store["victim"] == 4 and store.stats()["layers"][0]["hits"] > hits + 3)
        fragile.settle()


def test_memory_over_a_cluster_follows_its_failover(fragile):
    with d43.open(fragile.url, namespace="tier", timeout=20, connect_timeout=1, memory="1MB") as store, \
            d43.open(fragile.url, namespace="tier", timeout=20, connect_timeout=1) as other:
        other["victim"] = 0
        until(lambda: store["victim"] == 0 and store.stats()["layers"][0]["hits"] > 3)
        primary = fragile.primary_of("tier:victim")
        primary.kill()
        for value in range(1, 5):
            other["victim"] = value
            until(lambda value=value: store["victim"] == value)
        hits = store.stats()["layers"][0]["hits"]
        until(lambda: store["victim"] == 4 and store.stats()["layers"][0]["hits"] > hits + 3)
        primary.start()
        fragile.settle()
        other["victim"] = 5
        until(lambda: store["victim"] == 5)

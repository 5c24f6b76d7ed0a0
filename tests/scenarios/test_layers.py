"""Scenario 5, where layers and replicas are concerned: events of each kind, batches, failing and slow members, closing.
Each strategy by each call by each layer that fails is docs/layers-table.md, run by tests/layers/test_layer_table.py."""

import threading
import time

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError, ConfigError, PartialWriteError, ReplicationError
from door43fast.plugins import Backend, BackendOptions, Registry
from door43fast.testing import Faulty
from door43fast.testing.basis import manual_clock

LIMIT = 30  # seconds that something is waited for, if it is right only a moment
ITEMS = {f"key/{i}": i for i in range(100)}


def members(count, **options):
    return [Faulty(d43.MemoryStore(), **options) for _ in range(count)]


STRATEGIES = {
    "cascade": lambda layers: d43.cascade(d43.MemoryStore(), layers[0]),
    "write_back": lambda layers: d43.cascade(d43.MemoryStore(), layers[0], write="back", delay=0.01),
    "parallel": lambda layers: d43.parallel(*layers),
    "primary_fallback": lambda layers: d43.primary_fallback(*layers),
    "replicated": lambda layers: d43.replicated(layers[0], layers[1:]),
}


@pytest.fixture(params=STRATEGIES)
def layered(request):
    layers = members(2)
    store = STRATEGIES[request.param](layers)
    yield store, layers[:1] if request.param in ("cascade", "write_back") else layers
    store.close()


def test_5_events_of_each_kind_until_the_subscription_ends(layered):
    store, _ = layered
    seen, later = [], []
    subscription = store.subscribe("*", lambda event: seen.append((event.op, event.key, event.reason)))
    with store.subscribe("key/*", later.append):
        store["a"] = 1
        store.flush()
        store.set_many({"key/1": 1, "key/2": 2})
        store.flush()
        store.delete("a")
        store.delete_many(["key/1"])
        store.flush()
        store.clear("key/")
        store.flush()
    assert seen == [("set", "a", "user"), ("set", "key/1", "user"), ("set", "key/2", "user"), ("delete", "a", "user"),
                    ("delete", "key/1", "user"), ("clear", "key/", "user")]
    assert [event.op for event in later] == ["set", "set", "delete", "clear"]
    subscription.cancel()
    store["b"] = 1
    store.flush()
    assert len(seen) == 6 and len(later) == 4


def test_5_an_expiry_is_an_event():
    clock = manual_clock()
    for make in (lambda: d43.cascade(d43.MemoryStore(clock=clock), d43.MemoryStore(clock=clock)),
                 lambda: d43.parallel(d43.MemoryStore(clock=clock), d43.MemoryStore(clock=clock))):
        with make() as store:
            seen = []
            store.subscribe("*", lambda event, seen=seen: seen.append((event.op, event.reason)))
            store.set("a", 1, ttl=1.025)
            clock.advance(1.05)
            store.expire()
            store.flush()
            assert seen == [("set", "user"), ("delete", "expire")]


def test_5_batches_reach_every_layer(layered):
    store, layers = layered
    store.set_many(ITEMS)
    store.flush()
    assert all(dict(layer.slow.scan("key/")) == ITEMS for layer in layers)
    assert store.get_many([*ITEMS, "nothing"]) == [*ITEMS.values(), None]
    assert store.delete_many(list(ITEMS)[:50]) == 50
    store.flush()
    assert all(len(list(layer.slow.keys("key/"))) == 50 for layer in layers)


def test_5_a_batch_that_a_layer_took_in_part_is_whole_in_the_end(layered):
    store, layers = layered
    for layer in layers[-1:]:
        layer.fail("partial", "set_many")
    try:
        store.set_many(ITEMS)
    except (BackendUnavailableError, PartialWriteError, ReplicationError):
        store.set_many(ITEMS)
    for name in ("repair", "wait_for"):
        if hasattr(store, name):
            getattr(store, name)()
    try:
        store.flush()
    except BackendUnavailableError:     # the flush was the call that failed; what is dirty stays so
        store.flush()
    assert all(dict(layer.slow.scan("key/")) == ITEMS for layer in layers)


@pytest.fixture
def before():
    """The threads that ran before: other tests may have left stores that failed."""
    return set(threading.enumerate())


def test_5_closing_ends_every_thread(before, layered):
    store, layers = layered
    store.set_many(ITEMS)
    store.close()
    assert all(layer.closed and layer.slow.closed for layer in layers)
    end = time.monotonic() + LIMIT
    while any(thread.name.startswith("door43fast") and "driven" not in thread.name
              for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.005)


def test_5_closing_does_not_wait_for_what_hangs():
    layers = members(2)
    store = d43.parallel(d43.layers.Guard(layers[0], deadline=0.05), layers[1], require="any")
    layers[0].down("hang")
    store["a"] = 1
    assert store["a"] == 1
    with pytest.raises(BackendUnavailableError):
        d43.layers.Guard(layers[0], deadline=0.05).get("a")
    layers[0].calm()
    store.close()
    assert layers[1].closed


# -- replication: each consistency by a replica that fails or is slow ----------------------------------------


@pytest.fixture(params=["set", "set_many", "delete_many", "clear", "transaction"])
def write(request):
    """A write of one key and of many, as what it leaves."""
    def transact(store):
        with store.transaction() as t:
            t.set_many({"key/0": "new"})
    call = {"set": lambda s: s.set("key/0", "new"), "set_many": lambda s: s.set_many({"key/0": "new", "key/1": "new"}),
            "delete_many": lambda s: s.delete_many(["key/0", "key/1"]), "clear": lambda s: s.clear("key/"),
            "transaction": transact}[request.param]
    model = d43.MemoryStore()
    model.set_many(ITEMS)
    call(model)
    return call, dict(model.scan("key/"))


def held(member):
    return dict(member.slow.scan("key/"))


@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
def test_5_a_replica_that_fails(consistency, write):
    call, wanted = write
    primary, one, other = members(3)
    with d43.replicated(primary, [one, other], consistency, timeout=LIMIT) as store:
        store.set_many(ITEMS)
        store.wait_for(timeout=LIMIT)
        other.down()
        if consistency == "strong":
            with pytest.raises(ReplicationError) as error:
                call(store)
            assert set(error.value.failed) == {"replica 2"} and "primary" in error.value.done, "what is known is said"
        else:
            call(store)
            store.wait_for(timeout=LIMIT, replicas=1)
            assert held(one) == wanted
        assert held(primary) == wanted and held(other) == ITEMS
        other.up()
        store.wait_for(timeout=LIMIT)
        assert held(other) == held(one) == wanted == dict(store.scan("key/"))


@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
def test_5_a_replica_that_is_slow(consistency, write):
    """It hangs: strong waits for it, and the others do not."""
    call, wanted = write
    primary, one, other = members(3)
    with d43.replicated(primary, [one, other], consistency, timeout=LIMIT) as store:
        store.set_many(ITEMS)
        store.wait_for(timeout=LIMIT)
        other.down("hang")
        done = threading.Event()
        thread = threading.Thread(target=lambda: (call(store), done.set()))
        thread.start()
        other.wait_for_hanging(timeout=LIMIT)
        if consistency == "strong":
            assert not done.is_set() and held(other) == ITEMS
        else:
            assert done.wait(LIMIT) and held(other) == ITEMS
        other.calm()
        assert done.wait(LIMIT)
        thread.join(LIMIT)
        store.wait_for(timeout=LIMIT)
        assert held(primary) == held(one) == held(other) == wanted


@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
def test_5_a_primary_that_fails_writes_nothing_anywhere(consistency):
    primary, one = members(2)
    with d43.replicated(primary, [one], consistency, timeout=LIMIT) as store:
        store.set_many(ITEMS)
        store.wait_for(timeout=LIMIT)
        primary.down()
        with pytest.raises(BackendUnavailableError):
            store.set_many({"key/0": "new"})
        primary.up()
        store.wait_for(timeout=LIMIT)
        assert held(primary) == held(one) == ITEMS


# -- plugins as layers ---------------------------------------------------------------------------------------


class Options(BackendOptions, kw_only=True):
    pass


class Dictionary(Backend):
    """A backend of somebody else's."""

    Options = Options

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.kept = {}

    def read(self, names):
        return [self.kept.get(name) for name in names]

    def write(self, changes):
        self.kept.update({name: data for name, data in changes.items() if data is not None})
        for name in [name for name, data in changes.items() if data is None]:
            self.kept.pop(name, None)

    def names(self, prefix):
        return [name for name in self.kept if name.startswith(prefix)]

    def shut(self):
        self.kept = None


def test_5_plugins_come_and_go_as_layers():
    registry = Registry()
    registry.register("dictionary", Dictionary)
    with pytest.raises(ConfigError, match="dictionary"):
        registry.register("dictionary", Dictionary)
    with pytest.raises((ConfigError, TypeError)):
        registry.register("nothing", object())
    below = Faulty(Dictionary())
    with d43.cascade(d43.MemoryStore(), below) as store:
        store.set_many(ITEMS)
        below.fail("lost", "set")
        with pytest.raises(BackendUnavailableError):
            store["key/0"] = "new"
        assert store["key/0"] == "new" and dict(store.scan()) == {**ITEMS, "key/0": "new"}
    registry.unregister("dictionary")
    assert "dictionary" not in registry.names()

"""Stores beside each other when one of them fails: each operation, each layer, each way of failing."""

import pytest
from doubled import START, held, two

import door43fast as d43
from door43fast.errors import BackendUnavailableError, ConfigError, PartialWriteError
from door43fast.layers import Parallel
from door43fast.layers.failures import Spared
from door43fast.testing.basis import manual_clock
from door43fast.testing.faults import Faulty


def transact(store):
    with store.transaction() as t:
        t["a"] = t["b"] + 10
        del t["p/1"]


def gone(*keys):
    return {key: value for key, value in START.items() if key not in keys}


# what is called, what it gives, and what holds then
WRITES = {
    "set": (lambda s: s.set("a", 9), None, START | {"a": 9}),
    "set_many": (lambda s: s.set_many({"a": 9, "c": 8}), None, START | {"a": 9, "c": 8}),
    "delete": (lambda s: s.delete("a"), True, gone("a")),
    "delete_many": (lambda s: s.delete_many(["a", "none", "b"]), 2, gone("a", "b")),
    "pop": (lambda s: s.pop("a"), 1, gone("a")),
    "add": (lambda s: s.add("c", 5), True, START | {"c": 5}),
    "replace": (lambda s: s.replace("a", 1, 9), True, START | {"a": 9}),
    "incr": (lambda s: s.incr("a", 4), 5, START | {"a": 5}),
    "clear": (lambda s: s.clear("p/"), None, gone("p/1", "p/2")),
    "clear_all": (lambda s: s.clear(), None, {}),
    "commit": (transact, None, gone("p/1") | {"a": 12}),
    "compute": (lambda s: s.get_or_compute("c", lambda: 7), 7, START | {"c": 7}),
    "setdefault": (lambda s: s.setdefault("c", 7), 7, START | {"c": 7}),
    "set_packed": (lambda s: s.set_packed(["a", "c"], b"xyz", [0, 1, 3]), None, START | {"a": b"x", "c": b"yz"}),
}
METHODS = {"clear_all": "clear", "commit": "_commit", "compute": "_publish", "setdefault": "add"}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize("place", [0, 1])
def test_one_layer_fails_in_a_write(name, kind, place):
    call, gives, holds = WRITES[name]
    store, layers, _ = two()
    with store:
        method = METHODS.get(name, name)
        for one in {"set", "delete", "set_many", method}:      # by which name the follower hears of it does not matter
            layers[place].fail(kind, one)
        if name == "commit" and place == 0:
            # The layer that was read is the one that must decide: a failure there is told, and nothing else changes.
            with pytest.raises(PartialWriteError) as error:
                call(store)
            assert error.value.done == ()
        else:
            assert call(store) == gives
            assert dict(store.items()) == holds == held(layers[1 - place])
        row = store.stats()["layers"][place]
        assert row["owed"] or row["lapsed"]
        layers[place].up()
        assert set(store.repair().values()) == {0}
        assert held(layers[0]) == held(layers[1]) == dict(store.items())
        assert held(layers[0]) in (holds, START)
        if name != "commit" or place:
            assert held(layers[0]) == holds


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("place", [0, 1])
def test_where_all_must_take_it_a_failure_is_told(name, place):
    call, _, holds = WRITES[name]
    store, layers, _ = two(require="all")
    with store:
        method = METHODS.get(name, name)
        for one in {"set", "delete", "set_many", method}:
            layers[place].fail("error", one)
        with pytest.raises(PartialWriteError) as error:
            call(store)
        assert list(error.value.failed) == [f"layers[{place}]"]
        layers[place].up()
        store.repair()
        assert held(layers[0]) == held(layers[1]) and held(layers[0]) in (holds, START)
        if error.value.done:
            assert held(layers[0]) == holds


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_written_where_too_few_are_up(name):
    store, layers, _ = two(require="all")
    with store:
        store.layers[1].breaker.trip("out of order")
        with pytest.raises(BackendUnavailableError, match="needs 2 layers and 1 are up"):
            WRITES[name][0](store)
        assert held(layers[0]) == held(layers[1]) == START and store.stats()["owed"] == 0


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
def test_all_fail_and_agree_again(name, kind):
    """Nobody has acknowledged: it may have taken effect or not, and the layers agree which."""
    call, _, holds = WRITES[name]
    store, layers, _ = two()
    with store:
        for layer in layers:
            layer.down(kind)
        with pytest.raises(BackendUnavailableError if name in ("commit", "compute", "setdefault") else d43.Error):
            call(store)
        for layer in layers:
            layer.up()
        store.repair()
        assert held(layers[0]) == held(layers[1]) and held(layers[0]) in (START, holds)
        assert dict(store.items()) == held(layers[0])


READS = {
    "get": (lambda s: s.get("a"), 1), "item": (lambda s: s["a"], 1), "in": (lambda s: "a" in s, True),
    "ttl": (lambda s: s.ttl("a"), None), "get_many": (lambda s: s.get_many(["b", "none", "a"]), [2, None, 1]),
    "contains_many": (lambda s: s.contains_many(["a", "none"]), [True, False]),
    "scan": (lambda s: list(s.scan("p/")), [("p/1", 3), ("p/2", 4)]),
    "keys": (lambda s: list(s.keys("p/")), ["p/1", "p/2"]),
    "iter": (lambda s: sorted(s), sorted(START)), "len": (len, 4), "count": (lambda s: s.count("p/"), 2),
    "items": (lambda s: dict(s.items()), START), "compute": (lambda s: s.get_or_compute("a", lambda: 7), 1),
    "memoized": (lambda s: s.setdefault("a", 5), 1),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("read", ["first", "race"])
@pytest.mark.parametrize("place", [0, 1])
def test_one_layer_fails_in_a_read(name, read, place):
    call, gives = READS[name]
    store, layers, _ = two(read=read)
    with store:
        layers[place].down()
        assert call(store) == gives
        for _ in range(9):
            assert call(store) == gives
        if place == 0 and read == "first":
            assert store.layers[0].state == "open" and layers[0].calls < 20


def test_no_layer_can_answer():
    store, layers, _ = two()
    with store:
        for layer in layers:
            layer.down()
        for call in (lambda: store.get("a"), lambda: store.get_many(["a"]), lambda: list(store.scan())):
            with pytest.raises(BackendUnavailableError, match=r"no layer can answer .*layers\[0\].*layers\[1\]"):
                call()
        for layer in layers:
            layer.up()


def test_a_scan_goes_on_in_the_other_layer():
    store, layers, _ = two()
    with store:
        store.set_many({f"k{i:04}": i for i in range(900)})
        wanted = list(layers[0].slow.scan())
        for options in ({}, {"reverse": True}, {"limit": 700}, {"reverse": True, "limit": 700}, {"start": "b"}):
            layers[0].fail("partial", "scan")
            assert list(store.scan(**options)) == list(layers[1].slow.scan(**options))
        layers[0].fail("partial", "keys")
        assert list(store.keys()) == [key for key, _ in wanted] and store.layers[0].breaker.failures == 6


def test_events_are_told_once_outside_of_the_section():
    store, layers, _ = two()
    with store:
        seen = []

        def listen(event):
            assert not store._stripes.inside()
            seen.append((event.op, event.key, event.value))
            if event.key == "a":
                store["b"] = event.value
        store.subscribe("*", listen, values=True)
        layers[0].fail("error", "set")
        store["a"] = 7
        store.delete_many(["p/1", "none"])
        store.repair()
        store.flush()
        assert seen == [("set", "a", 7), ("set", "b", 7), ("delete", "p/1", None)]


def test_flush_tells_what_is_owed():
    store, layers, _ = two(require="all")
    with store:
        layers[1].fail("error", "set")
        with pytest.raises(PartialWriteError):
            store["a"] = 2
        with pytest.raises(PartialWriteError, match=r"the flush .*layers\[1\]: it owes 1 keys"):
            store.flush()
        store.repair()
        store.flush()


def test_repair_anew_makes_layers_alike_whatever_they_held():
    store, layers, _ = two()
    with store:
        layers[1].slow.set_many({"a": "other", "stranger": 1})
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0} and "stranger" in held(layers[1])
        assert store.repair(anew=True) == {"layers[0]": 0, "layers[1]": 0}
        assert held(layers[1]) == held(layers[0]) == START


def test_stats_have_a_row_for_each_layer():
    store, layers, _ = two()
    with store:
        layers[1].fail("error", "set")
        store["a"] = 1
        rows = store.stats()["layers"]
        assert [(row["name"], row["state"], row["owed"], row["failures"], row["lapsed"]) for row in rows] == [
            ("layers[0]", "closed", 0, 0, False), ("layers[1]", "closed", 1, 1, False)]


@pytest.mark.parametrize(("options", "words"), [
    ({"require": "most"}, "require="), ({"require": 3}, "from 1 to 2"), ({"require": 0}, "from 1 to 2"),
    ({"require": True}, "require="), ({"read": "rase"}, "did you mean 'race'"), ({"max_owed": -1}, "max_owed"),
    ({"repair": "never"}, "repair=")], ids=repr)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        Parallel(d43.MemoryStore(), d43.MemoryStore(), **options)


def test_wrong_layers_are_refused():
    one = d43.MemoryStore()
    for stores, words in (((one,), "two layers"), ((one, one), "given twice"), ((one, 7), "must be a store")):
        with pytest.raises(ConfigError, match=words):
            Parallel(*stores)


def test_a_spared_layer_was_not_written():
    store, layers, _ = two()
    with store:
        for guard in store.layers:
            guard.breaker.trip("away")
        with pytest.raises(Spared):
            store["a"] = 5
        assert store.stats()["owed"] == 0


def test_how_long_a_layer_takes_is_told_by_the_clock_that_it_was_given():
    """A write with a time to live reaches the second layer later, and ends there at the same time."""
    clock = manual_clock()
    slow, second = Faulty(d43.MemoryStore(clock=clock), latency=1, delay=0.05), d43.MemoryStore(clock=clock)
    with d43.parallel(slow, second, clock=clock) as store:
        store.set("a", 1, ttl=0.04)
        assert second.ttl("a") == slow.slow.ttl("a") > 0.03

"""What goes up and for how long: promotion, writes around, keys that are known to be missing, times of a layer."""

import pickle

import pytest
from layering import Pair

import door43fast as d43
from door43fast import reference
from door43fast.native.clock import ManualClock

KINDS = ["native", "disk", "reference"]


@pytest.fixture
def pair(tmp_path):
    made = []

    def pair(kind="native", **options):
        made.append(Pair(kind, folder=tmp_path / str(len(made)), **options))
        return made[-1]

    yield pair
    for one in made:
        one.store.close()


# -- promotion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("promote", ["always", "second", "never"])
@pytest.mark.parametrize("batch", [False, True])
def test_what_goes_up(pair, kind, promote, batch):
    p = pair(kind, promote=promote)
    p.bottom["k"] = "v"
    read = (lambda: p.store.get_many(["k", "no"])[0]) if batch and kind != "native" else lambda: p.store["k"]
    times = {"always": 1, "second": 2, "never": 9}[promote]
    for i in range(4):
        assert read() == "v"
        assert ("k" in p.fast) is (i + 1 >= times)


@pytest.mark.parametrize("kind", ["native", "reference"])
def test_what_is_read_once_takes_no_room_under_second(pair, kind):
    p = pair(kind, promote="second")
    p.bottom.update({f"k{i}": i for i in range(500)})
    for key in p.bottom:
        assert p.store.get(key) is not None
    assert len(p.fast) < 20         # a sketch may take one for another
    for key in p.bottom:
        p.store.get(key)
    assert len(p.fast) == 500


def test_the_door_forgets(pair):
    p = pair("native", promote="second")
    p.bottom.update({f"k{i}": i for i in range(60_000)})
    p.store.get("k0")
    for i in range(1, 60_000):
        p.store.get(f"k{i}")
    p.store.get("k0")
    assert "k0" not in p.fast or len(p.fast) > 1000     # forgotten, unless the sketch took it for another


@pytest.mark.parametrize("kind", ["native", "disk"])
def test_under_never_memory_holds_what_is_written(pair, kind):
    p = pair("disk", promote="never")
    p.store.set_many({"a": 1})
    p.store["b"] = 2
    p.bottom["c"] = 3
    assert [p.store[k] for k in "abc"] == [1, 2, 3] and sorted(p.fast) == ["a", "b"]


# -- writes --------------------------------------------------------------------------------------------------


def test_a_write_around_only_leaves_the_memory(pair):
    p = pair("disk", write="around")
    p.store["k"] = 1
    p.store.set_many({"j": 2})
    assert len(p.fast) == 0 and p.store["k"] == 1 and p.store["j"] == 2 and sorted(p.fast) == ["j", "k"]
    p.store["k"] = 3
    p.store.set_many({"j": 4})
    assert len(p.fast) == 0 and p.store["k"] == 3 and p.store["j"] == 4


# -- keys that are known to be missing -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_key_is_asked_for_once_in_a_while(pair, kind):
    p = pair(kind, negative=10)
    assert p.fetches("k") and not p.fetches("k") and p.store.stats()["negative"] == 1
    p.clock.advance(9.9)
    assert not p.fetches("k")
    p.clock.advance(0.2)
    assert p.fetches("k")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_to_be_missing_is_no_key(pair, kind):
    p = pair(kind, negative=10)
    p.store["there"] = 1
    for _ in range(2):
        assert p.store.get("k") is None and p.store.get("k", 5) == 5 and p.store.get_many(["k", "there"], 7) == [7, 1]
        assert "k" not in p.store and p.store.contains_many(["k", "there"]) == [False, True]
        with pytest.raises(KeyError):
            p.store["k"]
        with pytest.raises(KeyError):
            p.store.ttl("k")
    assert len(p.store) == 1 and list(p.store) == ["there"] and list(p.store.scan()) == [("there", 1)]
    assert p.store.find("k") is None and p.store.pop("k", 0) == 0 and not p.store.delete("k")
    assert p.store.get_or_compute("k", lambda: 9) == 9 and p.store["k"] == 9
    assert p.store.verify()["errors"] == []


CHANGES = {
    "set": lambda s: s.set("k", 1), "[]": lambda s: s.__setitem__("k", 1), "add": lambda s: s.add("k", 1),
    "incr": lambda s: s.incr("k"), "set_many": lambda s: s.set_many({"k": 1}),
    "set_packed": lambda s: s.set_packed(["k"], b"1", [0, 1]), "setdefault": lambda s: s.setdefault("k", 1),
    "compute": lambda s: s.get_or_compute("k", lambda: 1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_any_write_voids_it(pair, kind, change):
    p = pair(kind, negative=1000)
    assert p.store.get("k") is None and p.store.get_many(["k"]) == [None]
    CHANGES[change](p.store)
    assert p.store.get("k") in (1, b"1") and p.store.get_many(["k"])[0] in (1, b"1") and "k" in p.store
    p.store.delete("k")
    assert p.store.get("k") is None
    with p.store.transaction() as t:
        t["k"] = 2
    assert p.store["k"] == 2
    p.store.clear()
    assert p.store.get("k") is None


def test_coherence_voids_it(tmp_path):
    for journal in (True, None):
        below = d43.LmdbStore(tmp_path / str(journal), durability="none", journal=journal)
        other = d43.LmdbStore(tmp_path / str(journal), durability="none")
        with d43.cascade(d43.MemoryStore(), below, negative=1000) as store, other:
            assert store.get("k") is None
            other["k"] = "theirs"
            assert store.get("k") == "theirs"


def test_it_is_a_promotion_like_any_other(pair):
    p = pair("disk", negative=10, promote="second")
    assert p.fetches("k") and p.fetches("k") and not p.fetches("k")
    bounded = d43.cascade(d43.MemoryStore(max_entries=3), d43.MemoryStore(), negative=10)
    assert bounded.get_many([f"k{i}" for i in range(100)]) == [None] * 100 and len(bounded.fast) == 3


def test_a_tier_above_knows_it_for_no_longer_than_the_one_below():
    clock = ManualClock()
    bottom = d43.MemoryStore(clock=clock)
    middle = d43.cascade(d43.MemoryStore(clock=clock), bottom, negative=10)
    with d43.cascade(d43.MemoryStore(clock=clock), middle, negative=10) as store:
        assert middle.get("k") is None
        clock.advance(9)
        assert store.get("k") is None and store.get("k") is None
        bottom["k"] = 1
        assert store.get("k") is None
        clock.advance(1.1)
        assert store.get("k") == 1


def test_hits_and_misses_are_those_of_the_whole(pair):
    p = pair("disk", negative=10)
    p.store["k"] = 1
    for _ in range(3):
        p.store.get("k")
        p.store.get("no")
    p.store.get_many(["k", "no"])
    told = p.store.stats()
    assert (told["hits"], told["misses"], told["negative"]) == (4, 4, 3)


# -- the times of a layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_ttl_of_the_layer_caps_how_long_a_value_stays_there(pair, kind):
    p = pair(kind, ttl=10)
    p.store.set("short", 1, ttl=5)
    p.store.set("long", 2, ttl=100)
    p.store["endless"] = 3
    p.store.set_many({"many": 4}, ttl=100)
    for key in ("short", "long", "endless", "many"):
        assert p.store.get(key)
    assert p.fast.ttl("short") <= 5.1 and all(9.9 < p.fast.ttl(k) <= 10.1 for k in ("long", "endless", "many"))
    assert p.store.ttl("endless") is None and 99.9 < p.store.ttl("long") <= 100.1
    p.clock.advance(5.1)
    assert p.store.get("short") is None
    p.clock.advance(5.1)
    assert p.fetches("long") and not p.fetches("long") and p.store["endless"] == 3
    p.clock.advance(90)
    assert p.store.get("long") is None and p.store.get("many") is None and p.store["endless"] == 3


def test_each_layer_has_its_own_ttl():
    clock = ManualClock()
    bottom = d43.MemoryStore(clock=clock)
    middle = d43.cascade(d43.MemoryStore(clock=clock, ttl=20), bottom)
    with d43.cascade(d43.MemoryStore(clock=clock, ttl=5), middle) as store:
        bottom["k"] = "v"
        assert store["k"] == "v"
        assert 4.9 < store.fast.ttl("k") <= 5.1 and 19.9 < middle.fast.ttl("k") <= 20.1
        clock.advance(18)
        assert store["k"] == "v" and store.fast.ttl("k") <= 2.1      # the middle says no more than that
        assert store.get_many(["k"]) == ["v"]


def test_each_layer_has_its_own_budget():
    middle = d43.cascade(d43.MemoryStore(max_entries=20), d43.MemoryStore())
    with d43.cascade(d43.MemoryStore(max_bytes=4096), middle) as store:
        store.set_many({f"k{i}": bytes(500) for i in range(100)})
        assert store.get_many([f"k{i}" for i in range(100)]) == [bytes(500)] * 100
        store["large"] = bytes(10_000)
        assert store["large"] == bytes(10_000)
        top, below = store.stats()["layers"][0], store.stats()["layers"][1]["layers"][0]
        assert 0 < top["bytes"] <= 4096 and below["entries"] == 20 and "large" not in store.fast
        assert "large" in middle.fast


# -- options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "words"), [
    ({"promote": "twice"}, "second|always|never"), ({"write": "back"}, "write="), ({"negative": 0}, "no effect"),
    ({"negative": -1}, "negative"), ({"negative": "5"}, "seconds"), ({"promote": "never", "negative": 5}, "exclude"),
    ({"stale": 5}, "ttl="), ({"stale_on_error": 5}, "ttl="), ({"stale": 0}, "no effect"),
])
@pytest.mark.parametrize("kind", ["native", "reference"])
def test_options_that_are_wrong(kind, options, words):
    module = d43 if kind == "native" else reference
    if kind == "reference" and "write" in options:
        with pytest.raises(TypeError):
            reference.Cascade(reference.MemoryStore(), reference.MemoryStore(), **options)
        return
    with pytest.raises(d43.ConfigError, match=words):
        module.Cascade(module.MemoryStore(), module.MemoryStore(), **options)


def test_never_and_around_exclude_each_other():
    with pytest.raises(d43.ConfigError, match="exclude"):
        d43.cascade(d43.MemoryStore(), d43.MemoryStore(), promote="never", write="around")
    with pytest.raises(d43.ConfigError, match="promote"):
        d43.cascade(d43.MemoryStore(), d43.MemoryStore(), promotes="never")


def test_plans_say_them_of_their_first_layer(tmp_path):
    plan = {"strategy": "cascade", "promote": "second", "negative": "10s", "stale": 5, "stale_on_error": "1m",
            "write": "around", "layers": [{"type": "memory", "ttl": "1m"}, {"type": "memory"},
                                          {"type": "lmdb", "path": str(tmp_path / "s")}]}
    with d43.open(plan) as store:
        store["k"] = "v"
        assert store.get("k") == "v" and len(store.fast) == 0 and len(store.slow.fast) == 1
        assert store.get("k") == "v" and store.fast.ttl("k") <= 60.1
        for _ in range(3):
            assert store.get("no") is None
        assert store.stats()["negative"] == 1 and store.slow.stats()["negative"] == 0
        with pickle.loads(pickle.dumps(store)) as again:
            assert again["k"] == "v" and len(again.fast) == 0
    with pytest.raises(d43.ConfigError, match="ttl="):
        d43.open({**plan, "layers": [{"type": "memory"}, plan["layers"][2]]})
    with pytest.raises(d43.ConfigError, match="promote"):
        d43.open({**plan, "promote": "third"})

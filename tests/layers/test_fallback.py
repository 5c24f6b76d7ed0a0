"""A primary with a fallback when either fails: who answers, who is written, and what the primary gets afterwards."""

import time

import pytest
from doubled import START, held, wait
from test_parallel import METHODS, READS, WRITES

import door43fast as d43
from door43fast.errors import BackendUnavailableError, PartialWriteError
from door43fast.layers import Guard, PrimaryFallback
from door43fast.native.clock import ManualClock
from door43fast.testing import Faulty


def pair(fallback=None, **options):
    clock = ManualClock()
    layers = [Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore()) if fallback is None else fallback]
    store = PrimaryFallback(*layers, repair="manual", clock=clock, **options)
    store.set_many(START)
    return store, layers, clock


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize("on_miss", [False, True])
def test_a_mirror_that_fails_fails_no_write(name, kind, on_miss):
    call, gives, holds = WRITES[name]
    store, (primary, fallback), _ = pair(on_miss=on_miss)
    with store:
        fallback.down(kind)
        assert call(store) == gives and held(primary) == holds == dict(store.items())
        fallback.up()
        assert set(store.repair().values()) == {0} and held(fallback) == holds


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
def test_the_mirror_takes_what_the_primary_does_not(name, kind):
    call, gives, holds = WRITES[name]
    store, (primary, fallback), clock = pair()
    with store:
        primary.down(kind)
        for _ in range(5):                      # until it is known to be down
            assert store.get("b") == 2
        assert store.layers[0].state == "open"
        assert call(store) == gives and held(fallback) == holds == dict(store.items())
        primary.up()
        clock.advance(11)
        assert dict(store.items()) == holds     # what it has missed is not read there, before
        store.repair()
        assert held(primary) == holds and store.layers[0].state == "closed"


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("on_miss", [False, True])
def test_either_answers(name, place, on_miss):
    call, gives = READS[name]
    store, layers, _ = pair(on_miss=on_miss)
    with store:
        layers[place].down()
        for _ in range(7):
            assert call(store) == gives


def test_what_the_mirror_cannot_hold_is_not_asked_of_it():
    """The refusal of a mirror is no reason to refuse a write, and no answer."""
    small = d43.MemoryStore(max_entries=4, policy="none")
    store, (primary, _), _ = pair(small)
    with store:
        store["c"] = 5
        assert store.add("d", 6) and store["c"] == 5 and store.stats()["layers"][1]["owed"] == 2
        assert store.layers[1].state == "closed" and store.repair()["fallback"] == 2
        primary.down()
        assert store["a"] == 1
        for key in ("c", "d"):
            with pytest.raises(BackendUnavailableError):
                store.get(key)
        primary.up()
        store.delete("a")
        assert store.repair()["fallback"] == 1 and len(small) == 4


def test_the_primary_knows_best():
    """What it says is there or not holds, whatever the fallback has."""
    store, (primary, fallback), _ = pair()
    with store:
        fallback.slow.set_many({"a": "other", "stranger": 1})
        assert store["a"] == 1 and "stranger" not in store and store.get_many(["a", "stranger"]) == [1, None]
        assert store.add("stranger", 2) is True and held(fallback)["stranger"] == 2


def test_on_a_miss_the_fallback_is_asked():
    store, (primary, fallback), _ = pair(on_miss=True, mirror=False)
    with store:
        fallback.slow.set_many({"old": 7, "a": "older", "n": 1, "x": 2})
        assert store["old"] == 7 and "old" in store and store.get("old") == 7 and store["a"] == 1
        assert store.ttl("old") is None
        assert store.get_many(["old", "a", "none"], "?") == [7, 1, "?"]
        assert store.contains_many(["old", "a", "none"]) == [True, True, False]
        assert store.get_or_compute("old", lambda: 8) == 7 and store.setdefault("old", 9) == 7
        assert store.incr("n") == 2 and held(primary)["n"] == 2 and "n" not in held(fallback)
        assert store.delete("x") is True and "x" not in store and "x" not in held(fallback)
        assert store.pop("old") == 7 and store.get("old") is None and store.get_many(["old"]) == [None]
        fallback.down()
        assert store.get("none") is None        # the primary has answered
        fallback.up()


def test_on_a_miss_what_was_deleted_stays_deleted_though_the_fallback_fails():
    store, (primary, fallback), _ = pair(on_miss=True)
    with store:
        fallback.fail("error", "delete")
        assert store.delete("a") and "a" in held(fallback)
        assert "a" not in store and store.get("a") is None and store.get_many(["a", "b"]) == [None, 2]
        assert store.add("a", 5) and store["a"] == 5


def test_expiry_on_a_miss():
    """The copy expires no later than what it is a copy of."""
    clock = ManualClock()
    with PrimaryFallback(d43.MemoryStore(clock=clock), d43.MemoryStore(clock=clock), on_miss=True) as store:
        store.set("a", 1, ttl=5)
        left = [layer.ttl("a") for layer in store.layers]
        assert left[1] <= left[0]
        clock.advance(5.1)
        assert "a" not in store and store.get("a") is None


# -- without a mirror ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in WRITES if name not in ("clear", "clear_all")])
def test_without_a_mirror_the_fallback_loses_what_is_changed(name):
    call, gives, holds = WRITES[name]
    store, (primary, fallback), _ = pair(mirror=False)
    with store:
        fallback.slow.set_many(START)
        assert call(store) == gives and held(primary) == holds
        changed = {key for key in START if START[key] != holds.get(key)}
        assert not changed & set(held(fallback)) and set(held(fallback)) <= set(START)


def test_without_a_mirror_a_fallback_that_fails_is_not_asked_for_what_it_should_have_lost():
    store, (primary, fallback), clock = pair(mirror=False)
    with store:
        fallback.slow.set_many(START)
        fallback.fail("error", "delete_many", times=2)
        store["a"] = 9
        store.delete("b")
        primary.down()
        assert store["p/1"] == 3
        for key in ("a", "b", "none"):
            with pytest.raises(BackendUnavailableError):
                store.get(key)
        assert store.repair()["fallback"] == 0 and set(held(fallback)) == {"p/1", "p/2"}
        with pytest.raises(BackendUnavailableError, match="primary"):
            store.get("a")                      # what it lacks may be in the primary
        for whole in (lambda: len(store), lambda: list(store.scan()), lambda: store.get_many(["p/1", "a"])):
            with pytest.raises(BackendUnavailableError):
                whole()
        primary.up()
        clock.advance(11)
        assert store["a"] == 9 and "b" not in store


def test_without_a_mirror_the_fallback_takes_writes_while_the_primary_is_down():
    store, (primary, fallback), clock = pair(mirror=False)
    with store:
        primary.down()
        store["a"] = 9
        store.set("c", 1, tags=("t",))
        store.delete("b")
        assert store["a"] == 9 and store["c"] == 1 and "b" not in store and store.get("b") is None
        for call in (lambda: store.incr("p/1"), lambda: store.add("d", 1), lambda: store.pop("p/1"), store.clear,
                     lambda: store.invalidate("t")):
            with pytest.raises(d43.Error):
                call()
        primary.up()
        clock.advance(11)
        assert held(primary)["a"] == 1 and store["a"] == 9 and "b" not in store
        assert store.incr("a") == 10            # it is brought up to date first
        assert store.repair()["primary"] == 0
        assert held(primary) == {"a": 10, "c": 1, "p/1": 3, "p/2": 4} == dict(store.items())
        store.invalidate("t")
        assert "c" not in store


def test_without_a_mirror_the_primary_owes_no_more_than_it_may():
    store, (primary, fallback), clock = pair(mirror=False, max_owed=2)
    with store:
        primary.down()
        store.set_many({"x": 1, "y": 2})
        with pytest.raises(d43.Error, match="max_owed is 2"):
            store["z"] = 3
        store["x"] = 5
        primary.up()
        clock.advance(11)
        store.repair()
        assert held(primary) == START | {"x": 5, "y": 2} and not store.stats()["layers"][0]["lapsed"]


def test_a_failed_write_that_the_primary_may_have_is_not_taken_back_from_the_fallback():
    store, (primary, fallback), clock = pair(mirror=False)
    with store:
        fallback.slow["a"] = "ancient"
        primary.fail("lost", "set")
        fallback.fail("error", "set")
        with pytest.raises(PartialWriteError):
            store["a"] = 9
        assert store["a"] == 9
        store.repair()
        assert held(primary)["a"] == 9 and "a" not in held(fallback)


# -- a fallback that takes no writes ----------------------------------------------------------------------------


def read_only(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as before:
        before.set_many(START | {"old": 7})
    return d43.LmdbStore(tmp_path / "s", readonly=True)


def test_a_fallback_that_takes_no_writes(tmp_path):
    store, (primary, fallback), clock = pair(read_only(tmp_path), on_miss=True)
    with store:
        assert store["old"] == 7 and store.delete("old") and "old" not in store
        store["a"] = 9
        assert store.repair() == {"primary": 0, "fallback": 5} and store._repayer is None   # START was set anew
        primary.down()
        for key in ("a", "old", "none"):
            with pytest.raises(BackendUnavailableError):
                store.get(key)
        with pytest.raises(d43.Error):
            store["a"] = 10
        primary.up()
        clock.advance(11)
        assert store["a"] == 9
        store.clear()
        assert len(store) == 0 and store.get("p/1") is None and store.stats()["layers"][1]["lapsed"]


def test_its_tombstones_are_bounded_and_may_outlast_the_process(tmp_path):
    fallback = read_only(tmp_path)
    with PrimaryFallback(d43.MemoryStore(), fallback, on_miss=True, owed=tmp_path / "owed", max_owed=2) as store:
        store.delete("a")
    with PrimaryFallback(d43.MemoryStore(), d43.LmdbStore(tmp_path / "s", readonly=True), on_miss=True,
                         owed=tmp_path / "owed", max_owed=2) as store:
        assert "a" not in store and store["b"] == 2
        store.delete_many(["b", "p/1"])
        assert store.stats()["layers"][1]["lapsed"] and store.get("p/2") is None    # not asked any more: it may be gone


# -- the primary comes back -------------------------------------------------------------------------------------


def test_by_itself():
    primary, fallback = Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore())
    with PrimaryFallback(Guard(primary, failures=1, reset=0.01), fallback) as store:
        store.set_many(START)
        primary.down()
        store["a"] = 9
        store.delete("b")
        primary.up()
        wait(lambda: store.stats()["owed"] == 0)
        assert held(primary) == held(fallback) == {"a": 9, "p/1": 3, "p/2": 4}


def test_a_primary_that_hangs_costs_its_deadline_only_until_it_is_spared():
    primary = Faulty(d43.MemoryStore())
    with PrimaryFallback(Guard(primary, deadline=0.05, failures=2, reset=60), d43.MemoryStore()) as store:
        store["a"] = 1
        primary.down("hang")
        begun = time.monotonic()
        assert [store.get("a") for _ in range(50)] == [1] * 50
        assert time.monotonic() - begun < 20 and store.layers[0].late == 2 and primary.calls < 10
        primary.calm()


def test_an_empty_mirror_is_filled_and_the_primary_never_is(tmp_path):
    for name, other in (("one", "two"), ("two", "one")):
        with d43.LmdbStore(tmp_path / "full") as full:
            full.set_many({f"k{i}": i for i in range(300)})
        stores = {"one": d43.LmdbStore(tmp_path / "full"), "two": d43.MemoryStore()}
        with PrimaryFallback(stores[name], stores[other], repair="manual") as store:
            store.repair()
            assert (len(store.layers[0]), len(store.layers[1])) == ((300, 300) if name == "one" else (0, 300))


def test_every_method_is_covered():
    assert set(METHODS) <= set(WRITES)

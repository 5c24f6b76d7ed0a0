"""Memory over LMDB as one store: what each tier holds, and that the two never part."""

import os
import pickle
import subprocess
import sys
import threading

import pytest

import door43fast as d43
from door43fast.native.clock import ManualClock


@pytest.fixture
def store(tmp_path):
    with d43.open(tmp_path / "s") as store:
        yield store


def test_the_first_ten_minutes(tmp_path):
    import numpy

    with d43.open(tmp_path / "s") as store:
        store["dict"] = {"a": 1, "b": [1, 2]}
        store["list"] = [1, "two", 3.0]
        store["array"] = numpy.arange(12).reshape(3, 4)
        store["bytes"] = b"\x00\xff"
        for _ in range(2):
            assert store["dict"] == {"a": 1, "b": [1, 2]}
            assert store["list"] == [1, "two", 3.0]
            assert (store["array"] == numpy.arange(12).reshape(3, 4)).all()
            assert store["bytes"] == b"\x00\xff"
    with d43.open(tmp_path / "s") as store:
        assert store["dict"] == {"a": 1, "b": [1, 2]}
        assert store["array"].shape == (3, 4)


def test_a_hit_needs_the_slow_tier_no_more(store):
    store["k"] = "v"
    before = store.slow.stats()["hits"], store.stats()["layers"][0]["hits"]
    for _ in range(10):
        assert store["k"] == "v"
    assert (store.slow.stats()["hits"], store.stats()["layers"][0]["hits"]) == (before[0], before[1] + 10)


def test_the_arguments_of_get(store):
    """It takes them from the stack itself, in memory and below, found and missing, encoded and not."""
    store.update(s="v", l=[1])
    for layer in (store, store.fast):
        for _ in range(2):
            assert layer.get("s") == layer.get("s", 5) == layer.get(key="s") == layer.get("s", default=5) == "v"
            assert layer.get("no") is None and layer.get("no", 5) == layer.get(default=5, key="no") == 5
        for arguments, named in (((), {}), (("s", 1, 2), {}), (("s",), {"key": "s"}), (("s",), {"other": 1})):
            with pytest.raises(TypeError, match=r"get\(\)"):
                layer.get(*arguments, **named)
    assert store.get("l") == store.get("l", 5) == store.get(key="l") == [1]
    assert store.get("l") is not store.get("l")


def test_a_cascade_that_was_never_made_is_closed():
    with pytest.raises(d43.ClosedError):
        d43.Cascade.__new__(d43.Cascade).get("k")


def test_a_miss_is_promoted(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as below:
        below.update(a="1", b=[2])
    with d43.open(tmp_path / "s") as store:
        assert len(store.fast) == 0
        assert store["a"] == "1" and store.get_many(["a", "b", "c"]) == ["1", [2], None]
        assert len(store.fast) == 2
        assert store["b"] == [2]


@pytest.mark.parametrize("share", [False, True])
def test_no_caller_changes_what_another_gets(tmp_path, share):
    with d43.open(tmp_path / "s", share=share) as store:
        store["k"] = [1]
        first = store["k"]
        first.append(2)
        assert store["k"] == ([1, 2] if share else [1])
        given = {"a": 1}
        store["g"] = given
        given["a"] = 2
        assert store["g"] == {"a": 1}


def test_every_write_reaches_both_tiers(store):
    store["k"] = 1
    assert store["k"] == store.slow["k"] == 1
    store.set_many({"k": 2, "j": 3})
    assert store["k"] == store.slow["k"] == 2
    assert store.incr("k", 5) == 7 and store["k"] == store.slow["k"] == 7
    assert store.replace("k", 7, 8) and store["k"] == 8
    assert not store.add("k", 9) and store["k"] == 8
    assert store.pop("k") == 8 and "k" not in store and "k" not in store.slow
    assert store.delete("j") and not store.delete("j") and store.get("j") is None
    store["x"] = 1
    assert store["x"] == 1
    store.clear()
    assert store.get("x") is None and len(store) == 0


def test_a_failed_write_leaves_the_tiers_equal(store):
    store["k"] = "old"
    with pytest.raises(TypeError):
        store["k"] = object()
    assert store["k"] == store.slow["k"] == "old"
    with pytest.raises(d43.KeyTooLongError):
        store["k" * 65536] = 1


def test_tags_end_in_both_tiers(store):
    store.set("a", 1, tags=["t"])
    store.set("b", [1], tags=["t"])
    store["c"] = 1
    assert store["a"] == 1 and store["b"] == [1]
    store.invalidate("t")
    assert store.get("a") is None and store.get("b") is None and store["c"] == 1


def test_deadlines_go_up_with_the_value(tmp_path):
    clock = ManualClock()
    with d43.open(tmp_path / "s", clock=clock) as store:
        store.set("published", "v", ttl=10)
        store.set("promoted", ["v"], ttl=10)
        assert store["published"] == "v" and store["promoted"] == ["v"]
        clock.advance(9.9)
        assert store.get_many(["published", "promoted"]) == ["v", ["v"]]
        clock.advance(0.2)
        assert store.get_many(["published", "promoted"]) == [None, None]
        assert store.expire() == 2 and len(store) == 0


def test_a_default_ttl_holds_in_both_tiers(tmp_path):
    clock = ManualClock()
    with d43.open(tmp_path / "s", clock=clock, ttl=10) as store:
        store["k"] = "v"
        assert store["k"] == "v" and 9.9 < store.ttl("k") <= 10
        clock.advance(10.1)
        assert store.get("k") is None


def test_keys_that_python_holds_equal_stay_apart(tmp_path):
    with d43.open(tmp_path / "s", keys="any") as store:
        store[1], store[1.0], store["1"], store[b"1"], store[(1,)] = "int", "float", "str", "bytes", "tuple"
        for _ in range(2):
            assert [store[k] for k in (1, 1.0, "1", b"1", (1,))] == ["int", "float", "str", "bytes", "tuple"]


def test_int_keys(tmp_path):
    import numpy

    with d43.open(tmp_path / "s", keys="int") as store:
        store.set_many({i: str(i) for i in range(100)})
        for _ in range(2):
            assert store.get_many(numpy.arange(3)) == ["0", "1", "2"] and store[5] == "5"
            with pytest.raises(TypeError):
                store.get(True)
            with pytest.raises(TypeError, match="keys="):
                store.get("5")


WRITER = """
import sys, door43fast as d43
with d43.open(sys.argv[1]) as store:
    store["k"] = "theirs"
    store.delete("gone")
"""


def test_what_another_process_wrote_is_seen(store, tmp_path):
    store.update(k="ours", gone="1", stays="2")
    assert store["k"] == "ours" and store["gone"] == "1"
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "s")], check=True, timeout=60)
    assert store["k"] == "theirs" and store.get("gone") is None and store["stays"] == "2"


def test_another_store_of_this_process_is_seen(store, tmp_path):
    store["k"] = 1
    assert store["k"] == 1
    with d43.open(tmp_path / "s") as other:
        other["k"] = 2
        assert store["k"] == 2
        store["k"] = 3
        assert other["k"] == 3


def test_a_plan_travels_to_a_worker(store):
    store["k"] = [1, 2]
    with pickle.loads(pickle.dumps(store)) as copy:
        assert copy["k"] == [1, 2]
        copy["k"] = "new"
    assert store["k"] == "new"


def test_a_child_after_fork_reads_and_writes(store):
    store["k"] = "parent"
    assert store["k"] == "parent"
    child = os.fork()
    if child == 0:
        try:
            good = store["k"] == "parent"
            store["k"] = "child"
            os._exit(0 if good and store["k"] == "child" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert store["k"] == "child"


def test_closing_ends_both_and_twice_is_fine(tmp_path):
    store = d43.open(tmp_path / "s")
    store["k"] = 1
    store.close()
    store.close()
    for call in (lambda: store["k"], lambda: store.get("k"), lambda: store.set("k", 1), lambda: store.get_many([]),
                 lambda: len(store), lambda: store.scan(), lambda: store.clear(), lambda: store.stats()):
        with pytest.raises(d43.ClosedError, match="Cascade is closed"):
            call()


def test_a_value_too_large_for_the_memory_tier_stays_below(tmp_path):
    with d43.open(tmp_path / "s", memory="64KB") as store:
        store["large"] = bytes(100_000)
        assert store["large"] == bytes(100_000) and len(store.fast) == 0
        for i in range(100):
            store[f"k{i}"] = bytes(5000)
        assert store.fast.stats()["bytes"] <= 65536 and len(store) == 101
        assert all(store[f"k{i}"] == bytes(5000) for i in range(100))


def test_any_store_can_be_the_slow_layer():
    below = d43.MemoryStore()
    with d43.cascade(d43.MemoryStore(max_entries=2), below) as store:
        store.update(a=1, b=2, c=3)
        assert [store[k] for k in "abc"] == [1, 2, 3]
        store.set("t", 1, tags=["x"])
        assert store["t"] == 1
        store.invalidate("x")
        assert store.get("t") is None
        assert list(store.scan()) == [("a", 1), ("b", 2), ("c", 3)]


def test_concurrent_writers_leave_the_tiers_equal(store):
    """Threads that set, delete and read the same few keys; the schedules from a seed are in tests/schedules."""
    keys = [f"k{i}" for i in range(4)]

    def work(seed):
        import random

        rng = random.Random(seed)
        for step in range(300):
            key = rng.choice(keys)
            what = rng.random()
            if what < 0.4:
                store[key] = f"{seed}-{step}"
            elif what < 0.6:
                store.delete(key)
            else:
                store.get(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key in keys:
        assert store.get(key) == store.slow.get(key)


@pytest.mark.parametrize(("plan", "words"), [
    ({"type": "lmbd"}, "lmdb"), ({"strategy": "cascade"}, "layers"), ({}, "strategy"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "lmdb"}]}, "path"),
    ({"type": "memory", "max_byte": 5}, "max_bytes"), ({"type": "memory", "max_bytes": "5 apples"}, "size"),
])
def test_plans_that_are_wrong_say_where(plan, words):
    with pytest.raises(d43.ConfigError, match=words):
        d43.open(plan)


def test_plans_and_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with d43.open({"strategy": "cascade", "layers": [{"type": "memory", "max_bytes": "1MB"},
                                                     {"type": "lmdb", "path": "a"}]}) as store:
        store["k"] = 1
    with d43.open("lmdb:///a?durability=batch") as store:
        assert isinstance(store, d43.LmdbStore) and store["k"] == 1
    with d43.open(f"lmdb:///{tmp_path}/a", memory="1MB") as store:
        assert isinstance(store, d43.Cascade) and store["k"] == 1
    with d43.open("memory:?max_entries=5") as store:
        assert store.stats()["max_entries"] == 5
    with pytest.raises(d43.ConfigError, match="memory"):
        d43.open("memroy:")


def test_nothing_stays_open_when_a_layer_fails(tmp_path):
    with pytest.raises(d43.ConfigError):
        d43.open({"strategy": "cascade", "layers": [{"type": "memory", "policy": "no"},
                                                    {"type": "lmdb", "path": str(tmp_path / "s")}]})
    with d43.LmdbStore(tmp_path / "s", durability="none") as store:     # refused if it were still open as "commit"
        store["k"] = 1


def test_a_batch_goes_up_as_it_goes_down(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store.set_many({"a": "1", "b": b"2", "c": [3]}, ttl=60)
        assert sorted(store.fast) == ["a", "b"]         # a list could be changed by its owner: it comes up when read
        before = store.slow.stats()["hits"]
        assert store.get_many(["a", "b"]) == ["1", b"2"] and store.slow.stats()["hits"] == before
        assert 50 < store.fast.ttl("a") < 60.1        # rounded up to a tick
        store.set_many([("a", "2"), ("a", "3")])
        assert store["a"] == store.slow["a"] == "3"
        store.set_many({"a": "4"}, ttl=0)
        assert "a" not in store and "a" not in store.fast


def test_a_batch_publishes_nothing_over_a_write_that_came_between(tmp_path):
    """A write from a listener of the slow tier falls between the batch's own write and its publication."""
    with d43.open(tmp_path / "s") as store:
        seen = []

        def between(event):
            if not seen:
                seen.append(event.key)
                store["b"] = "later"

        store.subscribe("a", between)
        store.set_many({"a": "1", "b": "2"})
        store.flush()
        assert seen == ["a"]
        assert store["b"] == store.slow["b"] == "later"


def test_a_batch_that_fails_leaves_nothing_in_the_fast_tier(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store.set_many({"a": "1", "b": "2"})
        with pytest.raises(TypeError, match="b"):
            store.set_many({"a": "3", "b": object()})
        assert len(store.fast) == 0
        assert store.get_many(["a", "b"]) == ["1", "2"]


def test_packed_keys_may_come_from_an_iterator(store):
    store.set_packed(iter(["a", "b"]), b"xyz", [0, 1, 3])
    assert store.get_many(["a", "b"]) == [b"x", b"yz"]


def test_a_value_past_its_time_is_served_while_it_is_renewed(tmp_path):
    """The stale window stands on disk: it outlives the process that computed the value."""
    clock = ManualClock()
    with d43.LmdbStore(tmp_path / "s", clock=clock) as store:
        assert store.get_or_compute("k", lambda: "old", ttl=10, stale=100) == "old"
    clock.advance(50)
    with d43.LmdbStore(tmp_path / "s", clock=clock) as store:
        assert store._lookup("k") == (2, "old") and store.get("k") is None
        meanwhile = []

        def load():
            other = threading.Thread(target=lambda: meanwhile.append(
                store.get_or_compute("k", pytest.fail, ttl=10, stale=100)))
            other.start()
            other.join(30)
            return "new"

        assert store.get_or_compute("k", load, ttl=10, stale=100) == "new"
        assert meanwhile == ["old"] and store._lookup("k") == (1, "new")
        clock.advance(200)
        assert store._lookup("k") == (0, None)

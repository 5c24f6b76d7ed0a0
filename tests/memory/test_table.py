"""The native table under its own microscope: growth, budgets, pins, tags and the references that it holds."""

import gc
import random
import sys
import sysconfig
import weakref

import pytest

import door43fast as d43


class Thing:
    pass


def sound(store):
    report = store.verify()
    assert report["errors"] == []
    assert report["checked"] == len(store)


def test_every_key_is_found_at_each_size_while_it_grows():
    store = d43.MemoryStore()
    for i in range(3000):
        store[f"k{i}"] = i
        if i % 97 == 0:
            sound(store)
            assert all(store[f"k{j}"] == j for j in range(i + 1))
    assert len(store) == 3000


def test_deletions_in_the_middle_of_a_growth_leave_the_rest_findable():
    rng = random.Random(1)
    store, model = d43.MemoryStore(), {}
    for step in range(60_000):
        key = rng.randrange(5000)
        if rng.random() < 0.45:
            assert store.delete(key) == (model.pop(key, None) is not None)
        else:
            store[key] = model[key] = step
    sound(store)
    assert {key: store[key] for key in store} == model


def test_absent_keys_can_be_deleted_for_ever():
    store = d43.MemoryStore()
    store["here"] = 1
    for i in range(1000):
        assert not store.delete(f"absent{i}")
    assert store.get("absent") is None and store["here"] == 1


def test_keys_with_one_hash_stay_apart():
    class Same:
        def __init__(self, n):
            self.n = n

        def __hash__(self):
            return 7

        def __eq__(self, other):
            return isinstance(other, Same) and self.n == other.n

    store = d43.MemoryStore()
    for i in range(200):
        store[Same(i)] = i
    for i in range(0, 200, 2):
        del store[Same(i)]
    assert [store.get(Same(i)) for i in range(200)] == [None if i % 2 == 0 else i for i in range(200)]


@pytest.mark.parametrize("capacity", [1, 2, 7, 100])
def test_the_least_recent_goes_first(capacity):
    from collections import OrderedDict

    rng = random.Random(capacity)
    store, model = d43.MemoryStore(max_entries=capacity), OrderedDict()
    for _ in range(5000):
        key = rng.randrange(capacity * 3)
        if rng.random() < 0.5:
            store[key] = key
            model[key] = key
            model.move_to_end(key)
            if len(model) > capacity:
                model.popitem(last=False)
        else:
            assert store.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert len(store) == len(model)
    assert set(store) == set(model)
    sound(store)


def test_a_budget_in_bytes_is_never_exceeded():
    rng = random.Random(3)
    store = d43.MemoryStore(max_bytes=50_000)
    for i in range(5000):
        store[f"k{rng.randrange(400)}"] = bytes(rng.randrange(3000))
        assert store.stats()["bytes"] <= 50_000
    sound(store)
    assert store.stats()["evictions"] > 0


def test_a_value_beyond_the_budget_is_refused_and_the_old_one_stays():
    store = d43.MemoryStore(max_bytes=1000)
    store["k"] = b"old"
    with pytest.raises(d43.BudgetError, match="'k'"):
        store["k"] = bytes(2000)
    assert store["k"] == b"old"
    with pytest.raises(d43.BudgetError, match="weigher="):
        store["o"] = Thing()


def test_pinned_entries_stay_and_a_store_full_of_them_says_so():
    store = d43.MemoryStore(max_entries=3)
    for key in "ab":
        store.set(key, key, pin=True)
    for i in range(50):
        store[i] = i
    assert store["a"] == "a" and store["b"] == "b" and len(store) == 3
    store.set("c", 1, pin=True)
    with pytest.raises(d43.BudgetError, match="pinned"):
        store["d"] = 1
    assert set(store) == {"a", "b", "c"}
    store["a"] = "no longer pinned"
    store["d"] = 1
    assert set(store) == {"b", "c", "d"}
    sound(store)


def test_policy_none_evicts_nothing():
    store = d43.MemoryStore(max_entries=2, policy="none")
    store.update(a=1, b=2)
    with pytest.raises(d43.BudgetError):
        store["c"] = 3
    store["b"] = 4
    assert dict(store.items()) == {"a": 1, "b": 4}


def test_tags_do_not_pile_up():
    store = d43.MemoryStore()
    for i in range(10_000):
        store.set("k", i, tags=[f"tag{i}", "all"])
    store.set("j", 1, tags=["tag9999"])
    store.invalidate("tag9999")
    assert "k" not in store and "j" not in store
    store.clear()
    store.set("k", 1, tags=["tag5"])
    assert store["k"] == 1
    store.invalidate("all")
    assert store["k"] == 1


def test_a_tag_that_was_forgotten_begins_anew():
    store = d43.MemoryStore()
    store.set("a", 1, tags=["t"])
    store.invalidate("t")
    del_count = store.delete("a")
    assert del_count is False
    store.set("b", 2, tags=["other"])
    store.set("a", 1, tags=["t"])
    assert store["a"] == 1 and store["b"] == 2
    store.invalidate("other")
    assert store["a"] == 1 and "b" not in store


def test_references_are_given_back():
    value, key = Thing(), Thing()
    before = sys.getrefcount(value), sys.getrefcount(key)
    store = d43.MemoryStore(max_entries=5)
    for _ in range(3):
        store[key] = value
        store[key] = value
        assert store.get(key) is value and store.get_many([key, key]) == [value, value]
        assert store.pop(key) is value
        store.set(key, value, ttl=5, tags=["t"])
        for i in range(10):
            store[i] = value
        store[key] = value
        store.clear()
    store[key] = value
    store.close()
    del store
    assert (sys.getrefcount(value), sys.getrefcount(key)) == before


def test_a_cycle_through_the_store_is_collected():
    store = d43.MemoryStore()
    thing = Thing()
    thing.store = store
    store["thing"] = thing
    gone = weakref.ref(thing)
    del store, thing
    gc.collect()
    assert gone() is None


def test_a_list_that_shrinks_under_a_batch_is_an_error_not_a_crash():
    keys = []

    class Shrinks:
        def __hash__(self):
            keys.clear()
            return 1

    keys.extend([Shrinks(), "a", "b"])
    if sysconfig.get_config_var("Py_GIL_DISABLED"):     # there it is read at once, and what is done to it is too late
        assert d43.MemoryStore().get_many(keys) == [None] * 3
    else:
        with pytest.raises(RuntimeError, match="shorter"):
            d43.MemoryStore().get_many(keys)


def test_batches_of_every_length_are_what_single_calls_are():
    store = d43.MemoryStore()
    store.set_many({f"k{i}": i for i in range(5000)})
    store.set_many({i: -i for i in range(5000)})
    rng = random.Random(5)
    for n in (0, 1, 2, 63, 64, 65, 128, 1000):
        keys = [rng.choice([f"k{rng.randrange(6000)}", rng.randrange(6000)]) for _ in range(n)]
        assert store.get_many(keys, "no") == [store.get(key, "no") for key in keys]
        assert store.contains_many(keys) == [key in store for key in keys]


def test_nothing_is_written_when_one_item_is_wrong():
    store = d43.MemoryStore()
    for wrong in ([("a", 1), ([], 2)], [("a", 1), ("", 2)], [("a", 1), ("b",)]):
        with pytest.raises((TypeError, ValueError)):
            store.set_many(wrong)
        assert len(store) == 0
    tight = d43.MemoryStore(max_bytes=1000)
    with pytest.raises(d43.BudgetError):
        tight.set_many({"a": b"1", "b": bytes(5000)})
    assert len(tight) == 0


def test_memory_comes_back_after_clear():
    store = d43.MemoryStore()
    store.set_many({i: None for i in range(200_000)})
    assert store.stats()["bookkeeping_bytes"] > 8_000_000
    store.clear()
    assert store.stats()["bookkeeping_bytes"] < 10_000


def test_bookkeeping_is_within_its_bound_at_a_million():
    store = d43.MemoryStore(max_entries=2_000_000, ttl=3600)
    store.set_many({i: None for i in range(1_000_000)})
    assert store.stats()["bookkeeping_bytes"] / 1_000_000 <= 60


def test_a_store_is_not_pickled():
    import pickle

    with pytest.raises(TypeError, match="silent loss"):
        pickle.dumps(d43.MemoryStore())


def test_unknown_options_are_refused_with_a_suggestion():
    for options, words in (({"max_entry": 1}, "max_entries"), ({"policy": "lur"}, "lru"), ({"ttl": 0}, "ttl"),
                           ({"max_entries": 0}, "max_entries"), ({"weigher": len}, "max_bytes"),
                           ({"ttl": 1, "idle": 1}, "idle"), ({"clock": 5}, "clock")):
        with pytest.raises(d43.ConfigError, match=words):
            d43.MemoryStore(**options)

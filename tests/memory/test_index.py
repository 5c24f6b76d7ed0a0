"""The key index of the memory store: crowded groups, growth in steps, and the entry that changes hands."""

import random
import sys
from collections import OrderedDict

import pytest

import door43fast as d43


def home(number):
    """The group of two in which a small int belongs: the top bit of its mixed hash."""
    return (number * 0x9E3779B97F4A7C15 >> 63) & 1


def sound(store):
    report = store.verify()
    assert report["errors"] == []
    assert report["checked"] == len(store)


def test_a_search_ends_where_every_group_was_passed_over():
    """Both groups of the smallest table count entries that found them full: a miss must not go round for ever."""
    numbers = {group: [n for n in range(1, 400) if home(n) == group] for group in (0, 1)}
    store = d43.MemoryStore()
    first, second = numbers[0][:13], numbers[1][:11]
    for number in first:        # the last of them stands in the second group
        store[number] = number
    for number in first[:11]:
        del store[number]
    for number in second:       # with it and one more the second group is full
        store[number] = number
    extra = numbers[1][11:13]
    for number in extra:        # these stand in the first
        store[number] = number
    assert all(store[number] == number for number in first[11:] + second + extra)
    assert store.get(numbers[0][20]) is None and store.get(numbers[1][20]) is None
    assert store.get_many([numbers[0][21], numbers[1][21], extra[1]]) == [None, None, extra[1]]
    assert not store.delete(numbers[0][22]) and not store.delete(numbers[1][22])
    sound(store)
    for number in first[11:] + second + extra:
        assert store.pop(number) == number
        sound(store)


@pytest.mark.parametrize("kind", [str, int])
def test_what_is_there_is_found_after_many_changes_at_one_size(kind):
    """Deletions leave nothing behind: a table that stays at one size for long is as good as a new one."""
    rng = random.Random(4)
    store, model = d43.MemoryStore(), {}
    for step in range(120_000):
        key = kind(rng.randrange(1, 900))
        if rng.random() < 0.5:
            store[key] = model[key] = step
        else:
            assert store.pop(key, None) == model.pop(key, None)
    sound(store)
    assert {key: store[key] for key in store} == model
    everything = [kind(n) for n in range(1, 900)]
    assert store.get_many(everything) == [model.get(key) for key in everything]


@pytest.mark.parametrize("capacity", [1, 2, 17, 18, 19, 1000, 9217])
def test_the_new_key_takes_the_place_of_the_least_recent(capacity):
    rng = random.Random(capacity)
    store, model, evicted = d43.MemoryStore(max_entries=capacity), OrderedDict(), 0
    for step in range(capacity * 4 + 3000):
        key = f"k{rng.randrange(capacity * 2)}"
        if rng.random() < 0.6:
            store[key] = model[key] = step
            model.move_to_end(key)
            if len(model) > capacity:
                model.popitem(last=False)
                evicted += 1
        else:
            assert store.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
    assert {key: store[key] for key in store} == model
    sound(store)
    assert store.stats()["evictions"] == evicted


def test_what_was_evicted_is_let_go_of():
    class Value:
        alive = 0

        def __init__(self):
            Value.alive += 1

        def __del__(self):
            Value.alive -= 1

    store = d43.MemoryStore(max_entries=10)
    names = [f"name {i}" for i in range(50)]
    before = [sys.getrefcount(name) for name in names]
    for name in names * 3:
        store[name] = Value()
        store.set(name, Value())
        assert Value.alive == len(store)
    del name
    store.close()
    assert Value.alive == 0 and [sys.getrefcount(name) for name in names] == before


def test_a_value_that_writes_while_it_is_evicted_leaves_the_store_whole():
    """What is evicted is let go of last: its finalizer may evict others, empty the store or close it."""
    class Writes:
        def __init__(self, number):
            self.number = number

        def __del__(self):
            if not store.closed:
                store[f"from {self.number % 7}"] = self.number
                if self.number % 50 == 0:
                    store.clear()
                store.pop(f"k{self.number + 3}", None)

    store = d43.MemoryStore(max_entries=20)
    for i in range(2000):
        store[f"k{i}"] = Writes(i)
        assert len(store) <= 20
        if i % 20 == 0:
            sound(store)
    store.close()


@pytest.mark.parametrize("key", ["", "\ud800"])
def test_a_full_store_refuses_the_same_keys(key):
    store = d43.MemoryStore(max_entries=1)
    store["a"] = 1
    hash(key)
    with pytest.raises(ValueError, match="key"):
        store[key] = 2
    assert dict(store.items()) == {"a": 1}

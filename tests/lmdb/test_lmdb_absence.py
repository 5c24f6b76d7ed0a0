"""Keys that are not there: answered without the tree once that was seen, and never wrongly, whoever adds them."""

import os
import random

import pytest

from door43fast.errors import CorruptError


def long_names(count):
    """Keys of which few go into a page, so that the tree is deep and its branch pages split and merge often."""
    return [f"{number:06d}".ljust(200 + number % 5 * 70, "x") for number in range(count)]


def learn(store, names):
    """Have the store see, by all ways of reading, what is there and what is not."""
    for _ in range(2):
        store.get_many(names)
        store.contains_many(names)
    for name in names[::50]:
        store.get(name)


@pytest.mark.parametrize("seed", range(6))
def test_absence_is_what_a_dict_says(make, seed):
    """Ranges of keys are deleted and others added, one or two commits between reads, by this store and another."""
    rng = random.Random(seed)
    store = make()
    other = make("store", keys="str")
    names = long_names(4000)
    model = {name: b"v" for name in names if rng.random() < 0.5}
    store.set_many(model)
    learn(store, names)
    for turn in range(150):
        for _ in range(rng.choice([1, 1, 2])):
            who = rng.choice([store, other])
            start = rng.randrange(len(names))
            stretch = names[start:start + rng.choice([1, 1, 5, 40, 400])]
            if rng.random() < 0.55:
                who.delete_many(stretch)
                for name in stretch:
                    model.pop(name, None)
            else:
                added = {name: b"%d" % turn for name in rng.sample(stretch, (len(stretch) + 3) // 4)}
                who.set_many(added)
                model.update(added)
        some = rng.sample(names, 1500)
        assert store.get_many(some) == [model.get(name) for name in some]
        assert [store.get(name) for name in some[:200]] == [model.get(name) for name in some[:200]]
    assert store.contains_many(names) == [name in model for name in names]
    store.verify()


@pytest.mark.parametrize("seed", range(3))
def test_a_key_before_the_first_of_its_leaf_may_go_to_the_leaf_on_the_left(make, seed):
    """Only the least key of each stretch stays, then branch pages merge, then single keys come back."""
    rng = random.Random(seed)
    store = make()
    names = long_names(3000)
    for _ in range(6):
        store.set_many({name: b"v" for name in names})
        learn(store, names)
        gone = [name for number, name in enumerate(names) if number % 12 not in (0, 11)]
        store.delete_many(gone)
        learn(store, names)
        start = rng.randrange(1500)
        far = [name for name in names[start:start + 1200] if rng.random() < 0.97]
        held = set(names) - set(gone)
        for at in range(0, len(far), 100):
            store.delete_many(far[at:at + 100])
            held -= set(far[at:at + 100])
            store.get_many(names)
        for name in rng.sample(names, 400):
            assert store.get(name) == (b"v" if name in held else None)
            store.set(name, b"v")
            held.add(name)
            assert store.get(name) == b"v" and store.get_many([name]) == [b"v"]
        assert store.contains_many(names) == [name in held for name in names]


def test_it_needs_no_tree(make):
    """Every leaf of the records is hidden from LMDB's search: what was seen to be absent is told all the same."""
    store = make()
    names = [f"key {number:05d}" for number in range(0, 4000, 2)]
    absent = [f"key {number:05d}" for number in range(1, 2000, 2)]
    store.set_many(dict.fromkeys(names, b"v" * 50))
    learn(store, [*names, *absent])
    learn(store, absent)
    with open(os.path.join(store.path, "data.mdb"), "r+b") as file:
        data = file.read()
        leaves = [at for at in range(0, len(data), 4096)
                  if data[at + 10:at + 12] == b"\2\0" and b"key 0" in data[at:at + 4096]]
        for at in leaves:
            file.seek(at + 10)
            file.write(b"\0\0")
        file.flush()
        try:
            known = []
            for name in absent:
                try:
                    assert store.get(name) is None
                except CorruptError:
                    continue            # others have taken its place in the table
                known.append(name)
            assert len(known) > 0.9 * len(absent)
            assert store.get_many(known) == [None] * len(known)
            assert not any(store.contains_many(known))
            assert not store.get_packed(known).found.any()
            with pytest.raises(CorruptError):
                store.get("key 03001")
        finally:
            for at in leaves:
                file.seek(at + 10)
                file.write(b"\2\0")
            file.flush()
    assert store.get("key 03001") is None


def test_a_store_that_was_only_ever_asked_in_vain_notes_it_too(make):
    """The file has grown since it was opened, and no read has had to look how long it is."""
    store = make()
    store.set_many({f"key {number}": b"v" * 100 for number in range(20_000)})
    absent = [f"none {number}" for number in range(2000)]
    for _ in range(3):
        assert store.get_many(absent) == [None] * 2000
    assert store.stats()["index_bytes"] > 20_000 * 16 + 20_000 * 14


def test_what_is_kept_of_absent_keys_is_counted_and_bounded(make):
    store, small = make(), make("small", index_bytes=65536)
    names = [f"key {number:05d}" for number in range(5000)]
    for held in (store, small):
        held.set_many(dict.fromkeys(names, b"v"))
        held.get_many(names)
        before = held.stats()["index_bytes"]
        for _ in range(2):
            assert held.get_many([f"none {number}" for number in range(20_000)]) == [None] * 20_000
        assert held.get_many(names) == [b"v"] * 5000
        assert before <= held.stats()["index_bytes"] <= held.plan["index_bytes"]
    assert before <= 65536 < store.stats()["index_bytes"]


def test_expired_and_new_ones_are_no_gaps(make):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    clock.advance(1000)
    store = make(clock=clock)
    store.set_many({f"k{number}": b"v" for number in range(1000)})
    store.set("mortal", b"m", ttl=5)
    absent = [f"n{number}" for number in range(1000)]
    learn(store, absent)
    clock.advance(6)
    assert store.get("mortal") is None and store.get_many(["mortal"]) == [None]
    store.set("mortal", b"again")
    assert store.get("mortal") == b"again"
    for name in absent[::7]:
        assert store.get(name) is None
        store.set(name, b"new")
        assert store.get(name) == b"new" and store.get_packed([name]).tolist() == [b"new"]
        assert store.delete(name) and store.get(name) is None

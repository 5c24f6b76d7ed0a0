"""Differences that nothing tells of are found by hashes of ranges, counted, and mended."""

import random
import threading

import pytest

import door43fast as d43
from door43fast.errors import ReplicationError
from door43fast.replication import ranges
from door43fast.testing.faults import Faulty
from replication_sets import digest, held, members

RECORDS = {f"k{i:05}": {"n": i, "text": "x" * (i % 40)} for i in range(20_000)}


@pytest.fixture(params=["memory", "lmdb"])
def pair(request, tmp_path):
    primary, below = members(request.param, tmp_path, 2)
    with d43.replicated(primary, [below], timeout=30) as store:
        store.set_many(RECORDS)
        yield store, primary, below


def test_equal_members_cost_one_hash(pair):
    store, _, _ = pair
    (found,) = store.compare()
    assert found == ("replica 1", 20_000, 1, 0, (), 0)


@pytest.mark.parametrize("count", [1, 7, 300])
def test_what_differs_is_found_and_mended(pair, count):
    store, primary, below = pair
    luck = random.Random(count)
    keys = luck.sample(sorted(RECORDS), count)
    wrong = set(keys)
    for number, key in enumerate(keys):     # behind the back of the set
        if number % 3 == 0:
            below[key] = {"n": -1}
        elif number % 3 == 1:
            below.delete(key)
        else:
            below[key + " too many"] = 1
            wrong.add(key + " too many")
            wrong.remove(key)
    (found,) = store.compare()
    assert set(found.different) == wrong and found.mended == 0 and held(below) != held(primary)
    leaves = len(RECORDS) / ranges.LEAF
    assert found.hashes <= 1 + count * ranges.FAN * 2 + ranges.FAN and found.hashes < leaves * 1.2
    assert found.read_again <= count * 2 * (ranges.LEAF + 1)
    (mended,) = store.repair()
    assert set(mended.different) == wrong and mended.mended == len(wrong)
    assert digest(below) == digest(primary)
    assert store.compare()[0].different == ()


def test_it_is_right_while_others_write(pair):
    store, primary, below = pair
    below["k00077"] = "wrong"
    ended = threading.Event()

    def write():
        i = 0
        while not ended.is_set():
            i += 1
            store[f"k{i * 31 % 20_000:05}"] = i if i % 20_000 != 77 else 0
            store.delete(f"k{i * 7 % 20_000:05}")
    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(3):
        store.repair()
    ended.set()
    writer.join()
    store.wait_for()
    assert digest(primary) == digest(below) and store.compare()[0].different == ()


def test_it_tells_how_far_it_is_and_who_cannot_be_compared(tmp_path):
    primary, sound, below = members("memory", tmp_path)
    faulty, heard = Faulty(below), []
    with d43.replicated(primary, [sound, faulty], "eventual", timeout=0.2) as store:
        store.set_many({f"k{i}": i for i in range(5000)})
        store.wait_for(timeout=20)
        store.compare(progress=lambda *one: heard.append(one))
        assert {what for _, _, what in heard} == {
            "hashing the primary", "hashing replica 1", "hashing replica 2", "compared"}
        assert all(done <= total == 5000 for done, total, _ in heard)
        faulty.down()
        store["a"] = 1
        with pytest.raises(ReplicationError, match="replica 2"):
            store.compare()
        faulty.calm()


def test_the_edges_of_ranges(tmp_path):
    """An empty primary, an empty replica, and keys before the first and after the last range."""
    primary, below = members("memory", tmp_path, 2)
    with d43.replicated(primary, [below]) as store:
        store.wait_for()
        below["x"] = 1
        assert store.repair()[0].mended == 1 and held(below) == {}
        store.set_many({f"k{i:03}": i for i in range(ranges.LEAF * 3)})
        below["a"] = below["z"] = 1
        below.delete_many([f"k{i:03}" for i in range(ranges.LEAF, ranges.LEAF * 2)])
        assert len(store.repair()[0].different) == ranges.LEAF + 2
        assert held(below) == held(primary)
        for key in list(held(below)):
            below.delete(key)
        assert store.repair()[0].mended == ranges.LEAF * 3
        assert held(below) == held(primary)


@pytest.mark.parametrize("value", [1, 1.5, True, None, b"1", "1", [1, "x"], {"a": [1]}, (1, 2), {1, 2}, 2**90])
def test_the_same_value_has_the_same_hash_in_every_store(tmp_path, value):
    codec = "pickle" if type(value) in (set, tuple) else "auto"
    memory, disk = d43.MemoryStore(), d43.LmdbStore(tmp_path / "d", codec=codec)
    memory["k"] = value
    try:
        disk["k"] = value
    except TypeError:
        assert value == 2**90       # what only memory holds
        disk["k"] = value = memory["k"] = "other"
    assert ranges.fingerprint("k", memory["k"]) == ranges.fingerprint("k", disk["k"])
    assert ranges.fingerprint("k", value) != ranges.fingerprint("k", [value, value])
    assert ranges.fingerprint("ab", "c") != ranges.fingerprint("a", "bc")


def test_a_store_whose_keys_have_no_order_is_compared_too():
    class Unordered(d43.MemoryStore):
        @property
        def capabilities(self):
            return super().capabilities._replace(ordered=False)

        def scan(self, *args, **options):
            raise d43.UnsupportedError("no order")
    primary, below = d43.MemoryStore(), Unordered()
    with d43.replicated(primary, [below]) as store:
        store.set_many({f"k{i * 37 % 1000}": i for i in range(1000)})
        below["k5"] = "wrong"
        assert store.repair()[0].different == ("k5",) and store["k5"] == below["k5"]

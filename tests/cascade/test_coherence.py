"""Memory over a directory that others write to: what they changed leaves the memory, and nothing else, with a journal.

The other is a second store on the same directory; to the cascade it is as foreign as another process.
"""

import mmap
import random

import pytest

import door43fast as d43
from door43fast import errors
from door43fast.lmdb import LmdbStore

KEYS = [f"k{i}" for i in range(100)]


@pytest.fixture
def pair(tmp_path):
    """A cascade whose memory holds all keys, and another who may write."""
    made = []

    def pair(journal=True, **options):
        other = LmdbStore(tmp_path / "s", durability="none", journal=journal, **options)
        ours = d43.open(tmp_path / "s", durability="none", memory="64MB", **options)
        made.extend((ours, other))
        ours.set_many({key: 0 for key in KEYS} if options.get("keys", "str") == "str" else {})
        for key in KEYS if options.get("keys", "str") == "str" else ():
            assert ours.get(key) == 0
        return ours, other

    yield pair
    for store in made:
        store.close()


def in_memory(ours):
    return {key for key in KEYS if key in ours.fast}


CHANGES = {
    "set": lambda s: s.set("k1", 5), "set_many": lambda s: s.set_many({"k1": 5, "new": 1}),
    "delete": lambda s: s.delete("k1"), "delete_many": lambda s: s.delete_many(["k1", "no"]),
    "incr": lambda s: s.incr("k1"), "replace": lambda s: s.replace("k1", 0, 5), "pop": lambda s: s.pop("k1"),
    "touch": lambda s: s.touch("k1", 50), "ttl": lambda s: s.set("k1", 5, ttl=0),
    "packed": lambda s: s.set_packed(["k1"], b"5", [0, 1]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", ["get", "get_many", "in"])
def test_only_what_was_changed_leaves_the_memory(pair, change, read):
    ours, other = pair()
    CHANGES[change](other)
    wanted = other.get("k1", "gone")
    if read == "get":
        assert ours.get("k1", "gone") == wanted
    elif read == "get_many":
        assert ours.get_many(["k1"], "gone") == [wanted]
    else:
        assert ("k1" in ours) is (wanted != "gone")
    assert in_memory(ours) >= set(KEYS) - {"k1"}
    assert ours.stats()["coherence"]["emptied"] == 0 < ours.stats()["coherence"]["dropped"]


def test_a_transaction_of_another(pair):
    ours, other = pair()
    with other.transaction() as t:
        t["k1"] = 1
        t.delete("k2")
    assert ours.get_many(["k1", "k2", "k3"]) == [1, None, 0] and in_memory(ours) >= set(KEYS) - {"k1", "k2"}


def test_without_a_journal_all_of_it_leaves(pair):
    ours, other = pair(journal=None)
    other["k1"] = 5
    assert ours.get("k1") == 5 and in_memory(ours) == {"k1"} and ours.stats()["coherence"]["emptied"] == 1


def test_our_own_writes_take_nothing_away(pair):
    ours, other = pair()
    ours["k1"] = 1
    ours.set_many({"k2": 2})
    other["x"] = 1
    assert ours.get("x") == 1 and ours.get("k1") == 1 and in_memory(ours) == set(KEYS)
    assert ours.stats()["coherence"] == {"dropped": 1, "emptied": 0}


def test_a_tag_of_another(pair):
    ours, other = pair()
    ours.set("k1", 1, tags=("t",))
    assert ours.get("k1") == 1
    other.invalidate("t")
    assert ours.get("k1") is None and in_memory(ours) == set(KEYS) - {"k1"}


def test_a_clear_of_another(pair):
    ours, other = pair()
    other.clear("k1")
    assert ours.get("k1") is None and ours.get("k15") is None and ours.get("k2") == 0


def test_more_changes_than_are_worth_following(pair):
    ours, other = pair()
    other.set_many({f"x{i}": 1 for i in range(5000)})
    other["k1"] = 5
    assert ours.get("k1") == 5 and in_memory(ours) == {"k1"} and ours.stats()["coherence"]["emptied"] == 1
    ours.get_many(KEYS)
    other["k2"] = 6
    assert ours.get("k2") == 6 and in_memory(ours) == set(KEYS)     # and it follows again


def test_what_is_pruned_cannot_be_followed(pair):
    ours, other = pair(journal={"max_bytes": 1 << 16})
    other["k1"] = 5
    for i in range(30):
        other.set_many({f"x{j}": i for j in range(1000)})
    assert ours.get("k1") == 5 and ours.stats()["coherence"]["emptied"] == 1


def test_many_own_writes_between_those_of_others(pair):
    ours, other = pair()
    for i in range(5000):
        ours[f"x{i}"] = i
    other["k1"] = 5
    assert ours.get("k1") == 5 and in_memory(ours) == set(KEYS)
    assert ours.stats()["coherence"] == {"dropped": 1, "emptied": 0}


def test_a_journal_that_comes_later(pair, tmp_path):
    ours, other = pair(journal=None)
    third = LmdbStore(tmp_path / "s", durability="none", journal=True)
    third["k1"] = 5
    assert ours.get("k1") == 5      # it cannot be told what was written before
    ours.get_many(KEYS)
    other["k2"] = 6
    assert ours.get("k2") == 6 and in_memory(ours) == set(KEYS)
    third.close()


@pytest.mark.parametrize(("mode", "keys"), [
    ("int", [-5, 7]), ("bytes", [b"a", b"\xff"]), ("any", [("a", 1), "b"])])
def test_keys_of_other_kinds(pair, mode, keys):
    ours, other = pair(keys=mode)
    first, second = keys
    ours.set_many({first: 1, second: 2})
    assert ours.get_many(keys) == [1, 2]
    other[first] = 5
    hits = ours.stats()["layers"][0]["hits"]
    assert ours.get(first) == 5 and ours.get(second) == 2
    assert ours.stats()["layers"][0]["hits"] == hits + 1 and ours.stats()["coherence"]["dropped"] == 1
    ours.invalidate("t")
    ours.expire()
    ours.clear()
    assert ours.contains_many(keys) == [False, False]


def test_a_damaged_journal_costs_speed_and_no_truth(pair, tmp_path):
    """The row that the memory would have to read is overwritten; the records are sound."""
    ours, other = pair()
    other["k1"] = 5
    other["k2"] = 6
    origin = bytes.fromhex(list(other.changes())[-1].origin)
    with open(tmp_path / "s" / "data.mdb", "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        at = data.find(origin)
        while at >= 0:
            data[at] ^= 1
            at = data.find(origin, at + 1)
    assert ours.get("k1") == 5 and ours.get("k2") == 6 and ours.get("k3") == 0
    assert in_memory(ours) == {"k1", "k2", "k3"}       # it was emptied
    with pytest.raises(errors.CorruptError):
        ours.verify()


def test_a_finalizer_that_reads_while_keys_leave(tmp_path):
    """With share=True values may be objects with code of their own; it finds no stale value either."""
    seen = []

    class Loud(list):
        def __del__(self):
            seen.append(ours.get_many(["a", "b"]))

    other = d43.open(tmp_path / "s", durability="none", memory=0, journal=True, codec="pickle")
    ours = d43.open(tmp_path / "s", durability="none", share=True, codec="pickle", journal=True)
    other.set_many({"a": 1, "b": 1})
    ours.get_many(["a", "b"])
    for turn in range(2, 20):
        ours.fast.set("noise", Loud())
        other.set_many({"a": turn, "b": turn, "noise": turn})
        assert ours.get("noise") == turn and ours.get_many(["a", "b"]) == [turn, turn]
        assert seen.pop() == [turn, turn] and not seen
    ours.close()
    other.close()


def test_random_steps_of_two_cascades(tmp_path):
    """Whatever either does, each reads what a dict holds."""
    rng = random.Random(3)
    stores = [d43.open(tmp_path / "s", durability="none", memory="1MB", journal=True) for _ in range(2)]
    model = {}
    for step in range(6000):
        store, key = rng.choice(stores), rng.choice(KEYS)
        kind = rng.random()
        if kind < 0.2:
            store[key] = model[key] = step
        elif kind < 0.25:
            batch = {rng.choice(KEYS): step for _ in range(5)}
            store.set_many(batch)
            model.update(batch)
        elif kind < 0.3:
            store.delete(key)
            model.pop(key, None)
        elif kind < 0.305:
            store.clear("k1")
            model = {k: v for k, v in model.items() if not k.startswith("k1")}
        elif kind < 0.31:
            store.set(key, step, tags=("t",))
            rng.choice(stores).invalidate("t")
            model.pop(key, None)
        else:
            assert store.get(key) == model.get(key), (step, key)
            assert store.get_many(KEYS[:5]) == [model.get(k) for k in KEYS[:5]]
    assert dict(stores[0].items()) == model and sum(s.stats()["coherence"]["dropped"] for s in stores) > 1000
    for store in stores:
        store.close()


@pytest.mark.parametrize("journal", [True, None])
def test_a_commit_that_its_head_page_tells_of_too_early(pair, tmp_path, journal):
    """A writer puts the head page into the file before readers see its commit, and may be killed in between.

    The head page that the next commit will write is given that commit's number beforehand: what is read meanwhile must
    not be taken for what that commit leaves.
    """
    ours, other = pair(journal=journal)
    newest = other.stats()["transactions"]
    page = mmap.PAGESIZE * ((newest + 1) % 2)
    with open(tmp_path / "s" / "data.mdb", "r+b") as file:
        file.seek(page + 16 + 128)
        assert int.from_bytes(file.read(8), "little") < newest
        file.seek(page + 16 + 128)
        file.write((newest + 1).to_bytes(8, "little"))
    assert ours.get("k1") == 0 and ours.get_many(["k1"]) == [0]
    other["k1"] = 5
    assert other.stats()["transactions"] == newest + 1
    assert ours.get("k1") == 5

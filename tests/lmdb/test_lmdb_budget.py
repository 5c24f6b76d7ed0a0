"""A store with a budget: the file never beyond it, what is evicted and what is not, and what reads cost."""

import os
import pathlib
import pickle
import random

import pytest
from lmdb_tables import tables

import door43fast as d43
from door43fast import errors
from door43fast.native.clock import ManualClock

LEAST = 1 << 20


def size(store):
    return os.path.getsize(os.path.join(store.path, "data.mdb"))


def fill(store, first, last, bytes=1000):
    """Set numbered keys; the file is looked at after each."""
    for number in range(first, last):
        store[f"key {number:06}"] = os.urandom(bytes)
        assert size(store) <= store.stats()["budget"]["max_bytes"]


@pytest.mark.parametrize("durability", ["none", "batch", "commit"])
def test_the_file_stays_within_the_budget(make, durability):
    store = make(max_bytes=LEAST, durability=durability)
    fill(store, 0, 2000 if durability == "none" else 800)
    stats = store.stats()
    assert stats["evictions"] > 200 and stats["entries"] + stats["evictions"] == stats["sets"]
    assert stats["bytes"] <= LEAST and stats["budget"]["used"] <= LEAST
    assert stats["budget"]["evicted_bytes"] > 1000 * stats["evictions"]
    assert stats["entries"] * 1000 > LEAST / (3 if durability != "batch" else 4)       # and it is not emptied
    assert store.verify()["checked"] == stats["entries"]


def test_values_of_many_sizes_stay_within_it(make):
    store = make(max_bytes=4 << 20)
    dice = random.Random(7)
    held = {}
    for number in range(3000):
        key = f"k{dice.randrange(400)}"
        held[key] = dice.randbytes(int(dice.paretovariate(0.6) * 50) % (LEAST // 4 - 100))
        store[key] = held[key]
        assert size(store) <= 4 << 20 and store[key] == held[key]
        if dice.random() < 0.1:
            store.delete(gone := f"k{dice.randrange(400)}")
            held.pop(gone, None)
    assert all(held[key] == value for key, value in store.items())
    assert store.stats()["evictions"] > 50 and len(store) > 20
    store.verify()


def test_the_oldest_goes_first(make):
    store = make(max_bytes=LEAST, policy="fifo")
    fill(store, 0, 1500)
    store.get("key 000000")
    kept = list(store)
    assert kept == [f"key {number:06}" for number in range(1500 - len(kept), 1500)]
    store[kept[0]] = b"again"       # what is written anew is young
    fill(store, 1500, 1500 + len(kept) // 2)
    assert kept[0] in store and kept[1] not in store


def test_what_is_read_gets_another_round(make):
    store = make(max_bytes=LEAST)
    hot = [f"hot {number}" for number in range(20)]
    store.set_many({key: b"h" * 500 for key in hot})
    for number in range(4000):
        if number % 100 == 0:
            assert store.get_many(hot[:10]) == [b"h" * 500] * 10
            assert store[hot[10]] and store.get(hot[11]) and store.get_packed(hot[12:14]).found.all()
        store[f"cold {number:06}"] = b"c" * 1000
    assert store.contains_many(hot) == [True] * 14 + [False] * 6
    assert store.stats()["evictions"] > 2000


def test_looking_and_scanning_are_no_reads(make):
    store = make(max_bytes=LEAST)
    store.set_many({f"a{number}": b"a" * 500 for number in range(10)})
    for number in range(1500):
        assert "a0" in store or number > 100
        if number % 50 == 0:
            list(store.scan("a"))
        store[f"cold {number:06}"] = b"c" * 1000
    assert store.count("a") == 0


def test_a_read_writes_nothing(make):
    store = make(max_bytes=LEAST)
    fill(store, 0, 1200)
    before = store.stats()["transactions"]
    path = pathlib.Path(store.path, "data.mdb")
    stamp = path.stat().st_mtime_ns, path.read_bytes()
    for key in list(store):
        store.get(key)
        store.get_many([key, "absent"])
    assert store.stats()["transactions"] == before and (path.stat().st_mtime_ns, path.read_bytes()) == stamp


def test_pinned_records_stay(make):
    store = make(max_bytes=LEAST)
    for number in range(50):
        store.set(f"pinned {number}", b"p" * 1000, pin=True)
    fill(store, 0, 2000)
    assert store.count("pinned") == 50
    store["pinned 0"] = b"not any more"
    fill(store, 2000, 4000)
    assert store.count("pinned") == 49


def test_when_only_pinned_records_are_left(make):
    store = make(max_bytes=LEAST)
    with pytest.raises(errors.BudgetError, match="what is left is pinned"):
        for number in range(2000):
            store.set(f"pinned {number}", b"p" * 1000, pin=True)
    held = len(store)
    assert held > 300
    with pytest.raises(errors.BudgetError):
        store["pinned 0"] = b"x" * 100_000
    assert store["pinned 0"] == b"p" * 1000 and len(store) == held
    assert store.delete_many([f"pinned {number}" for number in range(200)]) == 200
    store["room"] = b"again" * 1000


def test_a_store_that_evicts_nothing(make):
    store = make(max_bytes=LEAST, policy="none")
    with pytest.raises(errors.BudgetError, match='policy="none"'):
        fill(store, 0, 2000)
    held = len(store)
    assert held > 300 and store.stats()["evictions"] == 0 and "key 000000" in store
    store.delete_many([f"key {number:06}" for number in range(200)])
    fill(store, 2000, 2050)


def test_a_value_that_does_not_fit_is_refused_and_the_old_one_stays(make):
    store = make(max_bytes=LEAST)
    store["k"] = b"old"
    fill(store, 0, 100)
    for refused in (lambda: store.set("k", b"x" * (LEAST // 16 + 1)), lambda: store.set_many({"k": b"x" * LEAST}),
                    lambda: store.set("k", b"x" * (LEAST * 20)), lambda: store.add("new", b"x" * LEAST),
                    lambda: store.set_many({f"new {number}": b"x" * 1000 for number in range(600)}),
                    lambda: store.replace("k", b"old", b"x" * LEAST)):
        with pytest.raises(errors.BudgetError):
            refused()
    with pytest.raises(errors.BudgetError), store.transaction() as t:
        t["k"] = b"x" * LEAST
        t["new"] = b""
    assert store["k"] == b"old" and len(store) == 101 and store.stats()["evictions"] == 0
    store["k"] = b"x" * (LEAST // 16)
    assert store["k"] == b"x" * (LEAST // 16)


def test_batches_and_transactions_make_room(make):
    store = make(max_bytes=LEAST)
    for start in range(0, 5000, 100):
        store.set_many({f"key {number:06}": b"v" * 1000 for number in range(start, start + 100)})
        assert store.get_many([f"key {number:06}" for number in range(start, start + 100)]) == [b"v" * 1000] * 100
        with store.transaction() as t:
            for number in range(20):
                t[f"t {start + number}"] = b"t" * 1000
        assert size(store) <= LEAST
    assert store.stats()["evictions"] > 4000
    store.verify()


def test_what_has_expired_goes_first(make):
    clock = ManualClock()
    store = make(max_bytes=LEAST, clock=clock)
    fill(store, 0, 100)
    for number in range(150):
        store.set(f"short {number:03}", b"s" * 1000, ttl=10)
    clock.advance(11)
    fill(store, 1000, 1220)
    assert store.stats()["evictions"] == 0 and store.stats()["expirations"] == 150 and store.count("key 000") == 100


def test_what_was_invalidated_is_no_loss(make):
    store = make(max_bytes=LEAST)
    for number in range(300):
        store.set(f"tagged {number:03}", b"t" * 1000, tags=("t",))
        store.get(f"tagged {number:03}")
    store.invalidate("t")
    fill(store, 0, 900)
    assert store.stats()["evictions"] < 900 - 300 and store.count("tagged") == 0


def test_listeners_hear_of_evictions(make):
    store = make(max_bytes=LEAST)
    heard = []
    with store.subscribe("*", heard.append):
        fill(store, 0, 1000)
        store.flush()
    evicted = [event.key for event in heard if event.op == "delete"]
    assert {event.reason for event in heard if event.op == "delete"} == {"evict"}
    assert len(evicted) == store.stats()["evictions"] > 0 and not set(evicted) & set(store)
    assert sorted(evicted) + sorted(store) == [f"key {number:06}" for number in range(1000)]


def test_a_journal_tells_of_evictions(make):
    store = make(max_bytes=LEAST, journal=True)
    store.set_many({f"key {number:06}": b"v" * 1000 for number in range(100)})
    for start in range(100, 1000, 100):
        store.set_many({f"key {number:06}": b"v" * 1000 for number in range(start, start + 100)})
    state = set()
    ops = set()
    for change in store.changes():
        ops.add(change.op)
        state.add(change.key) if change.op == "set" else state.discard(change.key)
    assert ops == {"set", "evict"} and state == set(store)


# The order of eviction on the disk

ROWS = """
import json, sys, lmdb
env = lmdb.open(sys.argv[1], max_dbs=16, readonly=True)
with env.begin() as txn:
    rows = [value[8:].decode() for _, value in txn.cursor(env.open_db(b"order", txn))]
print(json.dumps(rows))
"""


def rows(store, judge):
    path = store.path
    store.close()
    return judge(ROWS, path)


def test_every_record_has_one_row_and_what_is_gone_has_none(make, judge):
    store = make(max_bytes=8 * LEAST)
    for number in range(200):
        store[f"k{number % 50}"] = b"v"             # overwritten
        store.incr("n")
        store.touch("n", 100)
    store.set("pinned", 1, pin=True)
    store.delete("k0")
    store.delete_many(["k1", "k2"])
    store.pop("k3")
    store.set("k4", 1, ttl=0)
    with store.transaction() as t:
        del t["k5"]
        t["k6"] = 1
    store.clear("k1")
    assert sorted(rows(store, judge)) == sorted(set(make()) - {"pinned"})


def test_rows_are_not_left_behind_by_evictions_and_writes(make, judge):
    store = make(max_bytes=LEAST)
    dice = random.Random(3)
    for _ in range(6000):
        key = f"k{int(dice.paretovariate(0.5)) % 3000}"
        if store.get(key) is None or dice.random() < 0.2:
            store[key] = b"v" * 700
    held = set(store)
    found = rows(store, judge)
    assert held <= set(found) and len(found) <= 2 * len(held)
    store = make()
    store.clear()
    assert rows(store, judge) == []


def test_a_store_without_a_budget_is_as_it_was(make, judge):
    plain, other = make("plain"), make("other", max_bytes=LEAST)
    paths = [store.path for store in (plain, other)]
    for store in (plain, other):
        store["k"] = b"v"
        store.close()
    without, bounded = (tables(judge, path) for path in paths)
    assert "order" not in without["main"] and b"budget" not in without["meta"] and \
        without["meta"][b"door43fast"] == (1).to_bytes(4, "little") and not without["data"][b"k"][9] & 64
    assert "order" in bounded["main"] and bounded["meta"][b"door43fast"] == (0x40001).to_bytes(4, "little") and \
        bounded["data"][b"k"][9] & 64


def test_records_from_before_the_budget_count_too(make):
    store = make()
    store.set_many({f"old {number:04}": b"v" * 1000 for number in range(400)})
    store.set("pinned", b"p", pin=True)
    assert store.stats()["budget"] is None
    store.close()
    store = make(max_bytes=LEAST)
    fill(store, 0, 1000)
    assert store.count("old") == 0 and store["pinned"] == b"p"
    store.verify()


# Opening again

def test_the_budget_is_the_stores(make):
    make(max_bytes=2 * LEAST, policy="fifo").close()
    store = make()
    budget = store.stats()["budget"]
    assert (budget["max_bytes"], budget["policy"]) == (2 * LEAST, "fifo")
    fill(store, 0, 3000)
    assert store.stats()["evictions"] > 0
    store.close()
    assert make(policy="clock").stats()["budget"]["policy"] == "clock"


def test_another_budget(make):
    store = make(max_bytes=LEAST)
    fill(store, 0, 1000)
    held = len(store)
    store.close()
    store = make(max_bytes=4 * LEAST)
    fill(store, 1000, 1500)
    assert len(store) == held + 500
    store.close()
    with pytest.raises(errors.ConfigError, match="a file never shrinks"):
        make(max_bytes=LEAST)
    assert len(make(max_bytes=3 * LEAST)) == held + 500


def test_bad_options(make):
    for options, said in (({"max_bytes": 100}, "from 1048576"), ({"max_bytes": True}, "out of range"),
                          ({"max_bytes": LEAST, "policy": "clok"}, "did you mean 'clock'"),
                          ({"policy": "fifo"}, "give max_bytes="),
                          ({"max_bytes": LEAST, "map_size": 1 << 30}, "map_size= has no effect")):
        with pytest.raises(errors.ConfigError, match=said):
            make(**options)
    store = make(max_bytes=LEAST)
    store["k"] = 1
    store.close()
    assert make(readonly=True)["k"] == 1
    with pytest.raises(errors.ConfigError, match="another budget"):
        make(readonly=True, max_bytes=2 * LEAST)


def test_by_open_and_its_plan(tmp_path):
    with d43.open(f"lmdb:///{tmp_path}/url?max_bytes=2MB&policy=fifo") as store:
        assert store.stats()["budget"]["policy"] == "fifo"
    with d43.open(tmp_path / "tier", max_bytes="2MB", memory="1MB", policy="lru") as store:
        assert store.slow.stats()["budget"]["max_bytes"] == 2 << 20
        for number in range(4000):
            store[f"key {number:06}"] = b"v" * 1000
        assert size(store.slow) <= 2 << 20
        again = pickle.loads(pickle.dumps(store))
        assert again.slow.stats()["budget"] is not None
        again.close()

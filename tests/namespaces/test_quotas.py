"""Quotas: what counts, what is refused, what makes room; exact, lasting, and whole after a conflict or a failure."""

import pickle
import random

import pytest

import door43fast as d43
from door43fast import namespaces
from door43fast.native.clock import ManualClock


def books(space):
    """What the book says, which must be what there is."""
    space_now = space.stats()
    assert space._counted() == (space_now["entries"], space_now["bytes"]) and space.verify()["errors"] == []
    return space_now["entries"], space_now["bytes"]


def size(key, value):
    """What a plain record counts: the key, and what lies under it."""
    base = d43.MemoryStore()
    space = d43.namespace(base, "n")
    space[key] = value
    return space.stats()["bytes"]


def test_entries_are_exact(base):
    space = d43.namespace(base, "n", max_entries=3)
    space.set_many({"a": 1, "b": 2, "c": 3})
    for write in (lambda: space.set("d", 4), lambda: space.set_many({"a": 0, "e": 5}), lambda: space.add("f", 6),
                  lambda: space.incr("g"), lambda: space.setdefault("h", 1),
                  lambda: space.get_or_compute("i", lambda: 1)):
        with pytest.raises(d43.QuotaError, match="'n' holds 3 of max_entries=3 and would hold 4"):
            write()
        assert dict(space.items()) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(d43.QuotaError), space.transaction() as t:
        t["a"] = 9
        t["z"] = 9
    space["a"] = 7      # no entry more
    del space["b"]
    space["d"] = 4
    assert dict(space.items()) == {"a": 7, "c": 3, "d": 4} and space.stats()["refused"] == 7
    with space.transaction() as t:      # one goes, one comes
        del t["d"]
        t["e"] = 5
    assert books(space)[0] == 3


def test_bytes_are_exact(base):
    limit = size("k", b"x" * 100)
    space = d43.namespace(base, "n", max_bytes=limit)
    space["k"] = b"x" * 100
    assert books(space) == (1, limit)
    with pytest.raises(d43.QuotaError) as error:
        space["k"] = b"x" * 101
    assert (error.value.namespace, error.value.quota, error.value.limit, error.value.used, error.value.needed) == (
        "n", "max_bytes", limit, limit, limit + 1)
    assert isinstance(error.value, d43.BudgetError) and str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    assert space["k"] == b"x" * 100
    space["k"] = b"x" * 99
    assert books(space) == (1, limit - 1)
    assert space.delete("k") and books(space) == (0, 0)


def test_the_limits_of_one_are_not_those_of_another(base):
    full, free = d43.namespace(base, "full", max_entries=1), d43.namespace(base, "free")
    full["a"] = 1
    free.set_many({f"k{i}": i for i in range(50)})
    with pytest.raises(d43.QuotaError):
        full["b"] = 1
    free["more"] = 1
    assert len(free) == 51 and free.stats()["refused"] == 0 and full.stats()["refused"] == 1


def test_random_writes_leave_the_book_exact(base):
    dice = random.Random(5)
    clock = ManualClock()
    for policy in ("none", "fifo"):
        space = d43.namespace(base, f"n-{policy}", max_entries=20, max_bytes=4000, policy=policy, clock=clock)
        for _ in range(150):
            key = f"k{dice.randrange(30)}"
            try:
                dice.choice([
                    lambda: space.set(key, dice.randbytes(dice.randrange(300)), tags=dice.choice([(), ("t",), ("u",)])),
                    lambda: space.set(key, "x", ttl=dice.choice([0, 1, 5])),
                    lambda: space.delete(key), lambda: space.pop(key, None), lambda: space.touch(key, 2),
                    lambda: space.set_many({f"k{dice.randrange(30)}": b"x" * 50 for _ in range(5)}),
                    lambda: space.invalidate("t"), lambda: space.expire(), lambda: clock.advance(0.7),
                    lambda: space.clear(f"k{dice.randrange(3)}"), lambda: space.incr(f"i{dice.randrange(3)}"),
                ])()
            except d43.QuotaError:
                pass
            entries, held = books(space)
            assert entries <= 20 and held <= 4000
        assert space.stats()["evictions"] == 0 or policy == "fifo"


def test_what_has_expired_makes_room(base):
    clock = ManualClock()
    space = d43.namespace(base, "n", max_entries=2, clock=clock)
    seen = []
    space.subscribe("*", seen.append)
    space.set("a", 1, ttl=1)
    space.set("b", 1, ttl=100)
    with pytest.raises(d43.QuotaError):
        space["c"] = 1
    clock.advance(1.5)
    assert len(space) == 2      # held until it is reaped
    space["c"] = 1
    space.flush()
    assert sorted(space) == ["b", "c"] and books(space)[0] == 2 and space.stats()["expirations"] == 1
    assert [(e.op, e.key, e.reason) for e in seen][2:] == [("delete", "a", "expire"), ("set", "c", "user")]
    with pytest.raises(d43.QuotaError):
        space["d"] = 1


def test_what_lost_its_tag_makes_room(base):
    space = d43.namespace(base, "n", max_entries=2)
    space.set("a", 1, tags=("t",))
    space["b"] = 1
    space.invalidate("t")
    space["c"] = 1
    assert sorted(space) == ["b", "c"] and books(space)[0] == 2


def test_tags_count_too(base):
    """A namespace cannot grow by inventing tags, and gets what they take back when it is cleared."""
    space = d43.namespace(base, "n", max_bytes=200)
    with pytest.raises(d43.QuotaError):
        for i in range(100):
            space.invalidate(f"tag{i:03}")
    held = books(space)[1]
    assert 180 < held <= 200
    space.invalidate("tag000")      # known already
    assert books(space)[1] == held
    space.clear()
    assert books(space) == (0, 0)
    space.set("a", 1, tags=("tag000",))
    assert space["a"] == 1
    space.invalidate("tag000")
    assert "a" not in space


def test_the_oldest_make_room_with_fifo(base):
    space = d43.namespace(base, "n", max_entries=3, policy="fifo")
    seen = []
    space.subscribe("*", seen.append)
    space.set_many({"c": 1, "a": 1, "b": 1})
    space["c"] = 2      # now it is the newest
    space["d"] = 1
    space.flush()
    assert sorted(space) == ["b", "c", "d"] and books(space)[0] == 3
    assert [(e.op, e.key, e.reason) for e in seen][-2:] == [("delete", "a", "evict"), ("set", "d", "user")]
    space.set_many({"e": 1, "f": 1})
    assert sorted(space) == ["d", "e", "f"] and space.stats()["evictions"] == 3
    with pytest.raises(d43.QuotaError):
        space.set_many(dict.fromkeys("ghij", 1))
    assert sorted(space) == ["d", "e", "f"]     # nothing made room in vain
    with pytest.raises(d43.UnsupportedError):
        space.set("p", 1, pin=True)


def test_limits_change(base):
    space = d43.namespace(base, "n", max_entries=5)
    space.set_many(dict.fromkeys("abcde", 1))
    space.limit(max_entries=2)
    space.delete("a")
    space["b"] = 2      # no more than before
    with pytest.raises(d43.QuotaError):
        space["f"] = 1
    d43.namespace(base, "n", max_entries=6)["f"] = 1
    space.limit(max_entries=None)
    space.set_many(dict.fromkeys("ghijkl", 1))
    assert space.stats()["max_entries"] is None and books(space)[0] == 11
    for wrong in ({"max_entries": 0}, {"max_bytes": "much"}, {"rate": 0}, {"burst": 5}, {"rate": -1}):
        with pytest.raises(d43.ConfigError):
            space.limit(**wrong)
    assert space.stats()["rate"] is None and space.stats()["burst"] is None


def test_quotas_last(lasting):
    with lasting() as base:
        space = d43.namespace(base, "n", max_entries=2, max_bytes="1MB", policy="fifo")
        space.set_many({"a": 1, "b": 2})
        held = books(space)
    with lasting() as base:
        assert namespaces.listed(base) == [namespaces.About("n", *held, 1 << 20, 2, "fifo", None, None, "str")]
        space = d43.namespace(base, "n")
        assert books(space) == held and dict(space.items()) == {"a": 1, "b": 2}
        space["c"] = 3
        assert sorted(space) == ["b", "c"]      # in the order of before
        with pytest.raises(d43.ConfigError, match="policy='fifo'"):
            d43.namespace(base, "n", policy="none")


def test_what_others_wrote_into_its_place_is_found(base):
    space = d43.namespace(base, "n", max_entries=5)
    space.set_many({"a": 1, "b": 2})
    base.delete(space._regions.row("a"))
    assert ["recount" in error for error in space.verify()["errors"]] == [True]
    space.recount()
    assert books(space)[0] == 1 and space.verify()["errors"] == []
    base[space._regions.row("b")] = b"something else"
    with pytest.raises(d43.CorruptError, match="'b'"):
        space["b"]
    assert any("'b'" in error for error in space.verify()["errors"])


def test_a_store_that_forgets_is_refused(tmp_path):
    with pytest.raises(d43.ConfigError, match="expire"):
        d43.namespace(d43.MemoryStore(ttl=60), "n")
    with d43.open(tmp_path / "tiered", max_bytes="2MB") as tiered, pytest.raises(d43.ConfigError, match="evicts"):
        d43.namespace(tiered, "n")
    with d43.LmdbStore(tmp_path / "ints", keys="int") as ints, pytest.raises(d43.ConfigError, match="keys='str'"):
        d43.namespace(ints, "n")


def test_nothing_of_it_is_evicted_underneath(tmp_path):
    """A store underneath that evicts leaves its namespaces alone, and says so when there is no room."""
    for base in (d43.MemoryStore(max_entries=50), d43.LmdbStore(tmp_path / "s", max_bytes=2 << 20, durability="none")):
        with base:
            space = d43.namespace(base, "n")
            space.set_many({f"k{i}": b"x" * 100 for i in range(30)})
            for i in range(3000):
                base[f"other{i}"] = b"y" * 1000
            assert base.stats()["evictions"] > 1000
            assert len(list(space.items())) == 30 and books(space)[0] == 30
            with pytest.raises(d43.BudgetError):
                for i in range(300):
                    space[f"more{i}"] = b"x" * 9000
            books(space)


@pytest.mark.parametrize("policy", ["none", "fifo"])
def test_a_batch_without_room_underneath_is_written_whole_or_not(policy):
    """A MemoryStore that has no room for all of a transaction has written a part, which is put back."""
    base = d43.MemoryStore(max_entries=20)
    space = d43.namespace(base, "n", policy=policy)
    space.set_many({f"k{i}": i for i in range(6)})
    space.set("t", 1, tags=("x",))
    space.invalidate("x")
    held, places = books(space), dict(base.items())
    for write in (lambda: space.set_many({f"k{i}": -i for i in range(40)}),
                  lambda: space.set_many({f"m{i}": i for i in range(30)})):
        with pytest.raises(d43.BudgetError):
            write()
        assert books(space) == held and dict(base.items()) == places
    space["k0"] = "again"
    assert space["k0"] == "again" and space["k5"] == 5

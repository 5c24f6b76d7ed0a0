"""Tags: replicas get them with the values, by log and by copy, and lose what an ``invalidate`` took out."""

import pytest

import door43fast as d43
from door43fast.errors import UnsupportedError
from door43fast.tagged import tags_of
from replication_sets import held, lmdb, members, told, until

KINDS = ["memory", "lmdb"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
def test_an_invalidate_reaches_every_replica(tmp_path, kind, consistency):
    with d43.replicated(*(lambda one, *others: (one, others))(*members(kind, tmp_path)), consistency) as store:
        store.set("a", 1, tags=("x",))
        store.set("b", 2, tags=("x", "y"), ttl=500)
        store.set("c", 3)
        store.wait_for(timeout=20)
        for one in store.replicas:
            assert tags_of(one, ["a", "b", "c"]) == [("x",), ("x", "y"), ()]
        store.invalidate("y")
        store.wait_for(timeout=20)
        assert [held(one) for one in store.replicas] == [{"a": 1, "c": 3}] * 2
        store.set("b", 4, tags=("y",))
        store.invalidate("x")
        store.wait_for(timeout=20)
        assert [held(one) for one in store.replicas] == [{"b": 4, "c": 3}] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_promoted_replica_knows_the_tags(tmp_path, kind):
    """Those that came by log, by a copy, and of an entry that was counted up since."""
    primary, *others = members(kind, tmp_path)
    primary.set("copied", 1, tags=("x",))
    with d43.replicated(primary, others, "strong", timeout=20) as store:
        store.set("followed", 1, tags=("x",))
        store.incr("followed", 2)
        store["plain"] = 1
        with store.transaction() as t:
            t.set("in a transaction", 2, tags=("x",))
        store.promote(others[0])
        store.invalidate("x")
        store.wait_for(timeout=20)
        assert held(others[0]) == held(others[1]) == {"plain": 1}
        until(lambda: held(primary) == {"plain": 1})


def test_what_is_mended_has_its_tags(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    with d43.replicated(primary, [below]) as store:
        store.set("a", 1, tags=("x",))
        below["a"] = 7
        assert [found.mended for found in store.repair()] == [1]
        assert below["a"] == 1 and tags_of(below, ["a"]) == [("x",)]


def test_a_counter_under_a_lease_keeps_its_tags(tmp_path):
    with d43.replicated(lmdb(tmp_path / "p", journal=True), [lmdb(tmp_path / "r")], "strong", timeout=20,
                        lease=lmdb(tmp_path / "l"), own_lease=True) as store:
        store.set("n", 1, tags=("x",))
        assert store.incr("n") == 2
        assert tags_of(store.primary, ["n"]) == tags_of(store.replicas[0], ["n"]) == [("x",)]
        store.invalidate("x")
        assert "n" not in store and held(store.replicas[0]) == {}


def test_a_replica_that_was_away_takes_an_invalidate_with_the_rest(tmp_path):
    primary, below = members("lmdb", tmp_path, 2)
    with d43.replicated(primary, [below], "eventual") as store:
        store.set("a", 1, tags=("x",))
        store.wait_for(timeout=20)
        with store._lineup.replicas[0].busy:
            store.invalidate("x")
            store.set("b", 2, tags=("x",))
        store.wait_for(timeout=20)
        assert held(below) == {"b": 2} and told(store)["copies"] <= 1


def test_pins_are_refused_also_in_a_transaction(tmp_path):
    with d43.replicated(*(lambda one, *others: (one, others))(*members("memory", tmp_path))) as store:
        with pytest.raises(UnsupportedError, match="pins nothing"):
            store.set("a", 1, pin=True)
        with pytest.raises(UnsupportedError, match="pins nothing"), store.transaction() as t:
            t.set("a", 1, pin=True)
        assert "a" not in store

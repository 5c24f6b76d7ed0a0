"""What is under way while a replica is promoted: transactions and computations that have read before."""

import pytest

import door43fast as d43
from door43fast.errors import ConflictError


@pytest.fixture(params=["memory", "both"])
def store(request, tmp_path):
    second = d43.LmdbStore(tmp_path / "b", durability="none") if request.param == "both" else d43.MemoryStore()
    with d43.replicated(d43.MemoryStore(), [second]) as store:
        store["a"] = 1
        yield store


@pytest.mark.parametrize("look", [lambda t: t.get("a"), lambda t: t.get("nothing"), lambda t: list(t.scan())])
def test_a_transaction_that_has_read_in_the_primary_of_before_conflicts(store, look):
    for _ in range(2):
        with pytest.raises(ConflictError, match="another primary was promoted"), store.transaction() as t:
            look(t)
            t["a"] = 2
            store.promote("replica 1")
        assert store["a"] == 1
        with store.transaction() as t:
            look(t)
            t["b"] = 2


def test_one_that_only_writes_does_not(store):
    with store.transaction() as t:
        t["a"] = 2
        store.promote("replica 1")
    assert store["a"] == 2


def test_one_that_only_reads_conflicts_only_over_what_has_changed(store):
    store.promote("replica 1")
    with store.transaction() as t:
        assert dict(t.scan()) == {"a": 1}
    with pytest.raises(ConflictError), store.transaction() as t:
        assert dict(t.scan()) == {"a": 1}
        store["b"] = 2


def test_what_was_looked_for_in_the_primary_of_before_is_given_and_not_stored(store):
    def compute():
        store.promote("replica 1")
        store["c"] = 5
        del store["c"]
        return 3
    assert store.get_or_compute("c", compute) == 3 and "c" not in store
    assert store.get_or_compute("c", lambda: 4) == 4 == store["c"]

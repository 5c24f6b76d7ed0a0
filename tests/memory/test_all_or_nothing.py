"""Batches and transactions of a bounded store that cannot evict enough: all of their writes are made, or none."""

import pytest

from door43fast.errors import BudgetError
from door43fast.memory import MemoryStore
from door43fast.native.clock import ManualClock
from door43fast.reference import MemoryStore as Reference


@pytest.fixture(params=[MemoryStore, Reference], ids=["native", "reference"])
def make(request):
    return request.param


def batch(store, writes):
    store.set_many(writes)


def transaction(store, writes):
    with store.transaction() as t:
        for key, value in writes.items():
            if value is None:
                t.delete(key)
            else:
                t.set(key, value)


@pytest.mark.parametrize("write", [batch, transaction])
@pytest.mark.parametrize("bounds", [{"max_entries": 3}, {"max_bytes": 3500}])
def test_what_does_not_fit_together_is_not_begun(make, write, bounds):
    store = make(policy="none", **bounds)
    store.set_many({"x": bytes(900), "y": bytes(900)})
    before, heard = dict(store.items()), []
    store.subscribe("*", heard.append)
    with pytest.raises(BudgetError, match="'b'"):
        write(store, {"a": bytes(900), "b": bytes(900)})
    assert dict(store.items()) == before and not heard
    write(store, {"a": bytes(900), "x": bytes(800)})
    assert len(store) == 3


@pytest.mark.parametrize("bounds", [{"max_entries": 3}, {"max_bytes": 3500}])
def test_room_is_made_by_what_comes_before(make, bounds):
    store = make(policy="none", **bounds)
    store.set_many({"x": bytes(900), "y": bytes(900), "z": bytes(900)})
    with pytest.raises(BudgetError, match="'a'"):
        transaction(store, {"a": bytes(900), "x": None})
    assert sorted(store.keys()) == ["x", "y", "z"]
    transaction(store, {"x": None, "a": bytes(900)})
    assert sorted(store.keys()) == ["a", "y", "z"]


def test_pins_of_one_transaction_are_counted_together(make):
    store = make(max_entries=3)
    store.set_many({"x": 1, "y": 1, "z": 1})
    with pytest.raises(BudgetError), store.transaction() as t:
        for key in "abcd":
            t.set(key, 1, pin=True)
    assert sorted(store.keys()) == ["x", "y", "z"]
    with store.transaction() as t:
        for key in "abc":
            t.set(key, 1, pin=True)
    assert sorted(store.keys()) == ["a", "b", "c"]


def test_a_pin_that_is_let_go_makes_room(make):
    store = make(max_entries=2)
    store.set("a", 1, pin=True)
    store.set("b", 1, pin=True)
    with pytest.raises(BudgetError):
        store.set_many({"c": 1, "d": 1})
    with store.transaction() as t:
        t.set("a", 2)
        t.set("c", 2)
    assert store.get_many(["b", "c"]) == [1, 2] and len(store) == 2


def test_of_equal_keys_the_last_alone_must_fit(make):
    store = make(policy="none", max_entries=2)
    store.set_many([("a", 1), ("b", 1), ("a", 2), ("b", 2)])
    assert dict(store.items()) == {"a": 2, "b": 2}


def test_what_is_past_its_time_takes_no_room(make):
    clock = ManualClock()
    store = make(policy="none", max_entries=2, clock=clock)
    store.set("a", 1, ttl=5)
    store.set("b", 1, ttl=5)
    clock.advance(6)
    with store.transaction() as t:
        t.set("c", 1)
        t.set("d", 1)
    assert sorted(store.keys()) == ["c", "d"]


def test_unequal_keys_and_values_are_refused_as_before(make):
    store = make(policy="none", max_entries=2)
    with pytest.raises(ValueError, match="2 keys"):
        store.set_packed(["a", "b"], b"xy", [0, 1])
    assert len(store) == 0

"""Two writes of different keys at once that fail in different layers: what one leaves owed, the other must know of."""

import threading

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError, PartialWriteError
from door43fast.layers import Parallel, PrimaryFallback
from door43fast.layers.debts import Debt, Ledger
from door43fast.testing import Faulty

ALL = [1, 2, 3]         # of three stripes


def faulty():
    return Faulty(d43.MemoryStore())


def in_a_thread(work, patience=0.3):
    """Have it done by another thread, which may have to wait for this one. What it raised is in the list."""
    raised = []

    def run():
        try:
            work()
        except BaseException as error:
            raised.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(patience)
    return thread, raised


@pytest.fixture
def partial():
    primary, fallback = faulty(), faulty()
    store = PrimaryFallback(primary, fallback, mirror=False, repair="manual", max_owed=1)
    store.set_many(dict.fromkeys(ALL, "first"))
    yield store, primary, fallback
    store.close()


def test_a_primary_does_not_lapse_by_two_writes_that_had_room_for_one(partial):
    store, primary, fallback = partial
    primary.down()
    fallback.meanwhile(lambda: in_a_thread(lambda: store.set(2, "second"))[0].join(10), "set", key=1)
    store.set(1, "second")
    primary.up()
    assert not store.stats()["layers"][0]["lapsed"]
    store.repair()
    assert dict(primary.slow.items()) == {1: "second", 2: "second", 3: "first"}     # it was emptied


def test_a_fallback_that_lapses_under_a_write_that_only_it_has_taken_has_not_acknowledged_it(partial):
    store, primary, fallback = partial
    fallback.fail("error", "delete_many")
    store.set(3, "second")

    def lapse():
        fallback.fail("error", "delete_many")
        store.set(1, "second")
    primary.fail("error", "set", key=2)
    fallback.meanwhile(lambda: in_a_thread(lapse)[0].join(10), "set", key=2)
    with pytest.raises(PartialWriteError, match="missed too much"):
        store.set(2, "second")
    assert store.stats()["layers"][1]["lapsed"]
    store.repair()
    assert store.get_many(ALL) == ["second", "first", "second"]
    store[2] = "second"
    assert store[2] == primary.slow[2] == "second"


def test_nor_does_it_lapse_while_the_primary_begins_to_owe(partial, monkeypatch):
    store, primary, fallback = partial
    others, lapse = [], Ledger.lapse

    def second():
        primary.fail("error", "set", key=2)
        store.set(2, "second")

    def paused(self, since):
        if not others:
            others.append(in_a_thread(second))
        lapse(self, since)
    monkeypatch.setattr(Ledger, "lapse", paused)
    fallback.fail("error", "delete_many", times=2)
    store.set(3, "second")
    store.set(1, "second")
    thread, raised = others[0]
    thread.join(10)
    assert [type(error) for error in raised] == [PartialWriteError] and store.stats()["layers"][1]["lapsed"]


def beside(max_owed):
    a, b = faulty(), faulty()
    store = Parallel(a, b, require="any", repair="manual", max_owed=max_owed)
    store.set_many(dict.fromkeys(ALL, 1))
    return store, a, b


def test_layers_do_not_lapse_since_they_believe_in_each_other(monkeypatch):
    store, a, b = beside(0)
    others = []

    def second():
        b.fail("error", "set", key=2)
        store.set(2, 2)
    lapse = Ledger.lapse

    def paused(self, since):
        if not others:
            others.append(in_a_thread(second)[0])
        lapse(self, since)
    monkeypatch.setattr(Ledger, "lapse", paused)
    a.fail("error", "set", key=1)
    store.set(1, 2)
    others[0].join(10)
    assert sum(row["lapsed"] for row in store.stats()["layers"]) == 1
    store.repair()
    assert dict(a.slow.items()) == dict(b.slow.items()) and store[1] == 2
    store.close()


def test_a_layer_does_not_lapse_between_the_two_looks_of_a_write_that_it_alone_has(monkeypatch):
    store, a, b = beside(1)
    others = []

    def lapse():
        for key in (1, 3):
            a.fail("error", "set", key=key)
            store.set(key, 2)

    class Meeting(Parallel):
        def _settle(self, keys, *rest):
            if not others and keys == [2]:
                others.append(in_a_thread(lapse)[0])
            super()._settle(keys, *rest)
    store.__class__ = Meeting
    b.fail("error", "set", key=2)
    store.set(2, 2)
    others[0].join(10)
    store.repair()
    assert store.get_many(ALL) == [2, 2, 2]
    assert dict(a.slow.items()) == dict(b.slow.items()) == dict.fromkeys(ALL, 2)
    store.close()


@pytest.mark.parametrize("kind", ["error", "lost"])
def test_a_layer_that_lapses_after_it_has_decided_has_not_acknowledged_what_others_lack(kind):
    store, a, b = beside(0)

    def lapse():
        a.fail("error", "set", key=1)
        store.set(1, 2)
    b.fail(kind, "incr")
    b.meanwhile(lambda: in_a_thread(lapse)[0].join(10), "incr", after=False)
    with pytest.raises(PartialWriteError):
        store.incr(2)
    assert store.stats()["layers"][0]["lapsed"]
    store.repair()
    assert store[2] == (2 if kind == "lost" else 1)
    assert dict(a.slow.items()) == dict(b.slow.items())
    store.close()


def test_what_a_layer_refuses_that_lapses_is_a_partial_failure_where_another_has_it():
    store, a, b = beside(0)

    def lapse():
        b.raised = (BackendUnavailableError,)
        b.fail("error", "set", key=1)
        store.set(1, 2)
        b.raised = (ValueError,)
    b.fail("error", "set", key=2)
    b.raised = (ValueError,)
    b.meanwhile(lambda: in_a_thread(lapse)[0].join(10), "set", key=2, after=False)
    with pytest.raises(PartialWriteError):
        store.set(2, 2)
    store.repair()
    assert dict(a.slow.items()) == dict(b.slow.items()) == {1: 2, 2: 2, 3: 1}
    store.close()


def test_a_ledger_that_lapses_while_it_is_paid_is_no_error():
    ledger = Ledger("a", 10)
    ledger.add([1, 2], 1)

    class Lapsing(list):
        def __iter__(self):
            for key in super().__iter__():
                yield key
                ledger.lapse(2)
    ledger.paid(Lapsing([1, 2]))
    assert ledger.lapsed == 2 and not ledger.owed


def test_who_lacks_the_fewest_writes_is_found_while_a_layer_lapses():
    store, a, b = beside(10)

    class Owed(dict):
        """Debts of which one is gone when it was seen."""

        def __contains__(self, key):
            there = super().__contains__(key)
            self.pop(key, None)
            return there
    for layer in store._layers:
        layer.ledger.owed = Owed({2: Debt(1)})
    assert store._latest(2) == store._layers[:1]
    for layer in store._layers:
        layer.ledger.owed = {}
    store.close()


def test_a_transaction_of_which_nobody_knows_holds_as_a_whole_or_not_at_all():
    store, a, b = beside(10)
    b.down()
    store[1] = 2
    a.fail("lost", "_commit")
    with pytest.raises(PartialWriteError), store.transaction() as t:
        t[1] = t[2] = 3
    b.up()
    store.repair()
    assert store.get_many([1, 2]) in ([3, 3], [2, 1])
    assert dict(a.slow.items()) == dict(b.slow.items())
    store.close()

"""Random plans under four threads: for each key an order of the writes and any one read explains what they gave."""

import os
import time

import pytest

import door43fast as d43
from door43fast import reference
from door43fast.contracts import MISSING
from door43fast.reference import cascade as reference_cascade
from door43fast.testing import Faulty
from door43fast.testing.trials import effects
from door43fast.testing.trials.building import Pool
from door43fast.testing.trials.effects import ANY, FAILED, Act, Held
from door43fast.testing.trials.linear import Made, explained, unexplained
from door43fast.testing.trials.operations import operation
from door43fast.testing.trials.rush import rushed
from door43fast.testing.trials.trial import Violation

DAILY = 60
SEEDS = range(int(os.environ.get("DOOR43FAST_PLANS", 4 * DAILY)) // 4)
NONE = frozenset([None])


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


def test_an_order_explains_what_threads_see(pool):
    for seed in SEEDS:
        rushed(seed, pool)


def test_stores_beside_each_other_keep_an_order(pool):
    for seed in SEEDS:
        rushed(f"beside {seed}", pool, kinds=("memory",), strategies=("parallel", "primary_fallback"), around=False)


def test_the_reference_keeps_an_order_too(pool):
    pool.makers["cascade"] = lambda layers: reference.Cascade(*layers)
    for seed in SEEDS[:len(SEEDS) // 2]:
        rushed(seed, pool, kinds=("memory",), around=False)


def test_a_promotion_without_a_ticket_is_found(pool, monkeypatch):
    def promote(self, key, value):
        if value is not MISSING:
            time.sleep(0.002)       # others write meanwhile, however busy the machine is
            self.fast.set(key, value)
    monkeypatch.setattr(reference_cascade._Promotion, "__call__", promote)
    pool.makers["cascade"] = lambda layers: reference.Cascade(*layers)
    with pytest.raises(Violation, match="(?s)no order of the calls explains|memory tier holds|may be"):
        for seed in range(DAILY):
            rushed(seed, pool, kinds=("memory",), around=False)


# -- the search for an order ---------------------------------------------------------------------------------

PUT = effects.put(1, None, (), 0)


def made(begun, ended, step, got):
    return Made(begun, ended, Act("a", step, got))


@pytest.mark.parametrize(("calls", "states"), [
    ([], {None}),
    ([made(0, 1, PUT, None), made(2, 3, effects.read, 1)], {Held(1)}),
    ([made(0, 1, PUT, None), made(2, 3, effects.read, MISSING)], set()),                # what had ended was not seen
    ([made(0, 3, PUT, None), made(1, 2, effects.read, MISSING)], {Held(1)}),            # at once: before it
    ([made(0, 3, PUT, None), made(1, 2, effects.read, 1)], {Held(1)}),                  # or after it
    ([made(0, 9, PUT, None), made(1, 2, effects.read, 1), made(3, 4, effects.read, MISSING)], set()),   # and not back
    ([made(0, 1, PUT, FAILED), made(2, 3, effects.read, MISSING)], {None, Held(1)}),    # it may come yet
    ([made(0, 1, PUT, FAILED), made(2, 3, effects.delete, True), made(4, 5, effects.read, MISSING)], {None}),
    ([made(4, 5, PUT, FAILED), made(2, 3, effects.delete, True)], set()),               # but not before it began
    ([made(0, 1, PUT, None), made(0, 1, effects.put(2, None, (), 0), None)], {Held(1), Held(2)}),
    ([made(0, 5, effects.incr(1), 2), made(0, 5, effects.incr(1), 1)], {Held(2)}),
    ([made(0, 5, effects.incr(1), 1), made(0, 5, effects.incr(1), 1)], set()),
    ([made(0, 5, effects.delete, ANY), made(6, 7, effects.present, False)], {None})])
def test_orders(calls, states):
    assert explained(calls, NONE) == states


def test_a_transaction_that_pops_what_is_not_there_reads_while_a_delete_is_under_way():
    first, second = Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore())
    store = d43.parallel(first, second, repair="manual")
    store["a"] = 1
    calls = []

    def call(name, *args):
        one, begun = operation(name, args, 0), len(calls)
        got = one.run(store)
        calls.extend(Made(2 * begun + 1, 2 * begun + 2, act) for act in one.acts(got))

    def meanwhile():
        call("transaction", [("pop", "a")])
        first.fail("error")
        call("get", "a")
    second.meanwhile(meanwhile, "delete", after=False)
    gone = operation("delete", ("a",), 0)
    deleted = Made(0, 9, *gone.acts(gone.run(store)))
    assert [one.act.got for one in calls] == [MISSING, 1]
    assert unexplained([deleted, *calls], frozenset([Held(1)])) == ({None}, [])
    store.close()


def test_a_transaction_that_counts_what_is_no_number_reads():
    store = d43.MemoryStore()
    store["a"] = b"1"
    one = operation("transaction", ([("incr", "a", 1)],), 0)
    assert [(act.step, act.got) for act in one.acts(one.run(store))] == [(effects.other, True)]
    assert [list(effects.other(state)) for state in (None, Held(1), Held(b""))] == [
        [(False, None)], [(False, Held(1))], [(True, Held(b""))]]
    store.close()


@pytest.mark.parametrize(("calls", "explains"), [
    ([made(0, 9, PUT, None), made(1, 2, effects.read, 1), made(3, 4, effects.read, MISSING)], True),    # under way yet
    ([made(0, 2, PUT, None), made(1, 3, effects.read, 1), made(4, 5, effects.read, MISSING)], False),
    ([made(0, 1, PUT, None), made(2, 3, effects.delete, False)], False)])
def test_reads_are_explained_one_by_one(calls, explains):
    states, wrong = unexplained(calls, NONE)
    assert (not wrong) is explains and all(one in calls for one in wrong)

"""Random nested plans with faults from a seed, beside a model of what may come of them; what the model says in words is
in door43fast/testing/trials/__init__.py."""

import os

import pytest

import door43fast as d43
from door43fast import reference
from door43fast.contracts import MISSING
from door43fast.layers import WriteBuffer
from door43fast.layers.absentee import Absentee
from door43fast.layers.debts import Ledger
from door43fast.layers.flusher import Flusher
from door43fast.reference import cascade as reference_cascade
from door43fast.testing.trials import effects
from door43fast.testing.trials.building import Pool
from door43fast.testing.trials.drawing import Fault, Meanwhile, Step
from door43fast.testing.trials.effects import ANY, FAILED, Act, Held, after
from door43fast.testing.trials.shrinking import drawn, run
from door43fast.testing.trials.trial import Trial, Violation

DAILY = 400
ALONE = {"kinds": ("memory",), "strategies": ("cascade",), "around": False}
SEEDS = range(int(os.environ.get("DOOR43FAST_PLANS", DAILY)))


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


def test_no_seed_violates_the_model(pool):
    assert run(SEEDS, pool) == 40 * len(SEEDS)


def test_nor_do_plans_of_which_layers_are_often_away_at_a_reopening(pool, monkeypatch):
    away, expected = [], Absentee.expected
    monkeypatch.setattr(Absentee, "expected", lambda self: away.append(self) or expected(self))
    run(SEEDS[:len(SEEDS) // 4], pool, away=1.0, strategies=("cascade", "parallel", "primary_fallback"))
    assert len(away) > len(SEEDS) // 20 and any(one.arrived for one in away)


def referred(layers):
    return reference.Cascade(*layers)


def test_the_reference_does_not_either(pool):
    pool.makers["cascade"] = referred
    run(SEEDS[:len(SEEDS) // 2], pool, **ALONE)


def test_the_trials_have_what_they_are_about(pool):
    """Every kind of fault and each call occurs, nested plans do, and most calls succeed."""
    kinds, names, depths, calls, failed = set(), set(), set(), 0, 0
    for seed in range(100):
        plan, steps = drawn(seed)
        trial = Trial(plan, pool)
        trial.run(steps)
        depth = 0
        while "strategy" in plan:
            plan, depth = plan["layers"][-1], depth + 1
        depths.add(depth)
        for leaf in trial.building.leaves:
            log = [] if leaf.faulty is None else leaf.faulty.log
            kinds.update(fault.kind for fault in log)
            calls += 0 if leaf.faulty is None else leaf.faulty.calls
            failed += len(log)
        names.update(step.name for step in steps)
        names.update("meanwhile" for step in steps if step.meanwhile is not None)
    assert kinds == {"error", "lost", "partial", "hang", "late"} and depths == {1, 2, 3}
    assert len(names) == 32, sorted(names)
    assert 0.05 < failed / calls < 0.4


# -- what is found when something is missing -----------------------------------------------------------------


def finds(pool, maker, seeds=DAILY):
    """The violation that the machine finds with a broken strategy, within the seeds of a day."""
    pool.makers["cascade"] = maker
    with pytest.raises(Violation) as found:
        run(range(seeds), pool, **ALONE)
    return str(found.value)


def test_it_finds_a_promotion_without_a_ticket(pool, monkeypatch):
    def promote(self, key, value):
        if value is not MISSING:
            try:
                self.fast.set(key, value, ttl=self.slow.ttl(key))
            except KeyError:
                return
    monkeypatch.setattr(reference_cascade._Promotion, "__call__", promote)
    assert "meanwhile=Meanwhile(" in finds(pool, referred)


class Writing(reference.Cascade):
    """A cascade without the rule of one method, as the subclasses say."""


def test_it_finds_a_write_that_failed_and_left_the_tier_as_it_was(pool):
    class Hopeful(Writing):
        def _through(self, keys, method, *args, **options):
            result = getattr(self.slow, method)(*args, **options)
            self.fast.delete_many(keys)
            return result
    assert "'lost'" in finds(pool, lambda layers: Hopeful(*layers))


def test_it_finds_a_clear_that_failed_and_left_the_tier_as_it_was(pool):
    class Hopeful(Writing):
        def clear(self, prefix=""):
            self.slow.clear(prefix)
            self.fast.clear(prefix)
    assert "Step('clear'" in finds(pool, lambda layers: Hopeful(*layers), 8 * DAILY)


def test_it_finds_a_tier_whose_values_live_too_long(pool, monkeypatch):
    def promote(self, key, value):
        ticket = self.tickets.get(key)
        if ticket is not None and value is not MISSING:
            self.fast._publish(ticket, key, value, None, None)
    monkeypatch.setattr(reference_cascade._Promotion, "__call__", promote)
    # A ticket holds at the fast store, so what is found is a value that has outlived its time.
    assert "may be {None}" in finds(pool, referred)


SEVERAL = {"kinds": ("memory",), "strategies": ("parallel", "primary_fallback"), "around": False}


def test_it_finds_layers_without_debts(pool, monkeypatch):
    monkeypatch.setattr(Ledger, "add", lambda self, keys, since, tags=None, pin=False: None)
    with pytest.raises(Violation):
        run(range(DAILY), pool, **SEVERAL)


def test_it_finds_layers_that_are_read_while_they_owe(pool, monkeypatch):
    monkeypatch.setattr(Ledger, "owes", lambda self, key: self.lapsed is not None)
    with pytest.raises(Violation):
        run(range(DAILY), pool, **SEVERAL)


def test_it_finds_layers_that_are_read_while_they_have_lapsed(pool, monkeypatch):
    monkeypatch.setattr(Ledger, "lapse", lambda self, since: None)
    with pytest.raises(Violation):
        run(range(DAILY), pool, **SEVERAL)


def test_it_finds_a_write_buffer_whose_deletes_hide_nothing(pool):
    class Unburied(WriteBuffer):
        def _found(self, key):
            entry = super()._found(key)
            return None if entry is not None and entry.gone else entry
    pool.makers["buffer"] = Unburied
    with pytest.raises(Violation, match="'buffer'"):
        run(range(DAILY), pool, strategies=("cascade",))


def test_it_finds_a_write_buffer_that_forgets_what_failed(pool, monkeypatch):
    def write(self, shape, run):
        try:
            self._carry(shape, run)
        finally:
            with self.backlog.lock:
                self.backlog.written(run)
    monkeypatch.setattr(Flusher, "_write_run", write)
    with pytest.raises(Violation, match="'buffer'"):
        run(range(DAILY), pool, strategies=("cascade",))


def test_what_it_tells_is_small_and_runs_again(pool):
    class Forgetful(Writing):
        def delete_many(self, keys):
            return self.slow.delete_many(keys)
    text = finds(pool, lambda layers: Forgetful(*layers))
    assert text.count("    Step(") <= 4
    names = {"Step": Step, "Fault": Fault, "Meanwhile": Meanwhile, "Trial": Trial, "Pool": lambda: pool}
    code = text[text.index("plan = "):]
    with pytest.raises(Violation):
        exec(code, names)
    pool.makers.clear()
    exec(code, names)


# -- the model -----------------------------------------------------------------------------------------------

ONE, TWO = Held(1), Held(2)
PUT = effects.put(2, None, (), 0)


@pytest.mark.parametrize(("before", "step", "got", "states"), [
    ({ONE}, PUT, None, {TWO}), ({ONE}, PUT, FAILED, {ONE, TWO}), ({ONE, None}, effects.read, 1, {ONE}),
    ({ONE, None}, effects.read, MISSING, {None}), ({ONE}, effects.read, MISSING, set()),
    ({ONE}, effects.read, True, set()), ({ONE, None}, effects.delete, FAILED, {ONE, None}),
    ({ONE, None}, effects.delete, True, {None}), ({None}, effects.delete, True, set()),
    ({ONE, None}, effects.delete, ANY, {None}), ({ONE, TWO}, effects.incr(1), 3, {Held(3)}),
    ({ONE, None}, effects.add(2, None, 0), False, {ONE}), ({ONE, None}, effects.add(2, None, 0), True, {TWO}),
    ({ONE}, effects.add(2, None, 0), FAILED, {ONE}), ({ONE, None}, effects.touch(5.0, 0), True, {Held(1, 5.0)}),
    ({Held(b"")}, effects.incr(1), TypeError, {Held(b"")}), ({ONE, TWO}, effects.replace(1, 7), True, {Held(7)}),
    ({Held(1, None, ("x",)), TWO}, effects.untag("x"), ANY, {None, TWO}), ({Held(1, 5.0)}, effects.left(3.0), 2.0,
                                                                           {Held(1, 5.0)}),
    ({Held(1, 5.0)}, effects.left(3.0), 1.9, set()), ({None}, effects.compute(2, None, 0, True), (True, 2), {TWO}),
    ({ONE}, effects.compute(2, None, 0, True), (True, 2), set()),
    ({None}, effects.compute(2, None, 0, False), (True, 2), {TWO, None})])
def test_what_a_call_makes_of_the_states(before, step, got, states):
    assert after(frozenset(before), Act("a", step, got)) == states


def test_time_makes_nothing_of_a_state():
    assert effects.living(frozenset([Held(1, 5.0), ONE]), 5.0) == {None, ONE}


def test_a_layer_that_is_off_is_found(pool):
    """At the end the layers are looked at, not only asked."""
    trial = Trial({"strategy": "cascade", "layers": [{"type": "memory", "tier": True}, {"type": "memory"}]}, pool)
    trial.take(Step("set", ("a", 1, None, ())))
    trial.building.caches[0].set("of nobody", 2)
    with pytest.raises(Violation, match="memory tier"):
        trial.rest()


def test_an_error_without_a_fault_is_a_violation(pool):
    class Failing(Writing):
        def delete(self, key):
            raise d43.BackendUnavailableError("for no reason")
    assert "though no layer failed" in finds(pool, lambda layers: Failing(*layers))

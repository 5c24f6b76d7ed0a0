"""Write buffers beside the reference and beside a dict: with flushes at random, and a layer that fails."""

import os
import shutil
import tempfile

import pytest
from failing_layer import FailingLayer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.errors import BudgetError
from door43fast.layers import WriteBuffer
from door43fast.testing import machine

SCALE = float(os.environ.get("DOOR43FAST_MACHINE_SCALE", "1"))


class Buffered(machine.StoreMachine):
    """Every step is compared by reads of single keys, which flush nothing; everything at random moments."""

    pinned = False
    delay = 1000.0

    def make_store(self, **options):
        self.folder = tempfile.mkdtemp()
        return self.over(WriteBuffer(d43.LmdbStore(self.folder, durability="none", **options), delay=self.delay))

    def over(self, buffer):
        return buffer

    def finish(self):
        self.store.close()
        shutil.rmtree(self.folder)

    @rule()
    def flush(self):
        self.store.flush()

    @rule()
    def compare_all(self):
        super().they_hold_the_same()
        super().events_tell_what_is_there()

    @invariant()
    def they_hold_the_same(self):
        if hasattr(self, "store"):
            machine.Count.steps += 1
            wanted = self.model.get_many(machine.KEYS, MISSING)
            assert all(map(machine.same, self.store.get_many(machine.KEYS, MISSING), wanted))
            assert self.store.contains_many(machine.KEYS) == [value is not MISSING for value in wanted]

    @invariant()
    def events_tell_what_is_there(self):
        """Only when all is flushed."""


class Busy(Buffered):
    delay = 0.0


class UnderMemory(Buffered):
    """A write-back cascade."""

    def over(self, buffer):
        return d43.cascade(d43.MemoryStore(max_entries=4, clock=self.clock), buffer)


KEYS = ["a", "b", "c", "d", "e"]
keys = st.sampled_from(KEYS)


class OverALayerThatFails(RuleBasedStateMachine):
    """Whatever was taken is there, whatever the layer does; what raised has changed nothing here."""

    @initialize(max_dirty=st.sampled_from([2, 3, 1000]), delay=st.sampled_from([0.0, 1000.0]))
    def begin(self, max_dirty, delay):
        self.below = FailingLayer(d43.MemoryStore())
        self.store = WriteBuffer(self.below, max_dirty=max_dirty, delay=delay, patience=0)
        self.model = {}

    @rule(down=st.sampled_from([None, None, "before", "after"]))
    def fail(self, down):
        self.below.down = down

    @rule(key=keys, value=st.integers(0, 99))
    def set(self, key, value):
        try:
            self.store[key] = value
        except BudgetError:
            return
        self.model[key] = value

    @rule(items=st.dictionaries(keys, st.integers(0, 99), max_size=2))
    def set_many(self, items):
        try:
            self.store.set_many(items)
        except BudgetError:
            return
        self.model.update(items)

    @rule(key=keys)
    def delete(self, key):
        try:
            assert self.store.delete(key) is (self.model.pop(key, None) is not None)
        except OSError:     # it went straight below, since the flusher wrote all the time; the layer may have it
            self.settle()

    @rule(some=st.lists(keys, max_size=4))
    def delete_many(self, some):
        there = {key for key in some if key in self.model}
        try:
            assert self.store.delete_many(some) == len(there)
        except OSError:
            self.settle()
        for key in there:
            self.model.pop(key, None)

    @rule(key=keys, by=st.integers(1, 3))
    def incr(self, key, by):
        if self.below.down is None:
            self.model[key] = self.model.get(key, 0) + by
            assert self.store.incr(key, by) == self.model[key]

    @rule()
    def flush(self):
        try:
            self.store.flush()
        except OSError:
            assert self.below.down is not None
        else:
            assert dict(self.below.slow.items()) == self.model

    def settle(self):
        self.below.down = None
        self.store.flush()
        self.model = dict(self.below.slow.items())

    @invariant()
    def they_hold_the_same(self):
        if hasattr(self, "store"):
            assert self.store.get_many(KEYS) == [self.model.get(key) for key in KEYS]

    def teardown(self):
        if hasattr(self, "store"):
            self.below.down = None
            self.store.flush()
            assert dict(self.below.slow.items()) == self.model and self.store.dirty() == []
            self.store.close()


def profile(examples):
    return settings(max_examples=max(int(examples * SCALE), 1), stateful_step_count=50, deadline=None, database=None,
                    derandomize=SCALE == 1, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("kind", "examples"), [(Buffered, 60), (Busy, 30), (UnderMemory, 60),
                                                (OverALayerThatFails, 200)],
                         ids=lambda one: getattr(one, "__name__", one))
def test_machine(kind, examples):
    run_state_machine_as_test(kind, settings=profile(examples))

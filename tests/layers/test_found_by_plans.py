"""What random plans have found, each by the fewest steps that show it."""

import threading

import pytest

import door43fast as d43
from door43fast.layers import Parallel, PrimaryFallback, Wrapper
from door43fast.layers.readthrough import ReadThrough
from door43fast.layers.repair import BATCH
from door43fast.testing import Faulty
from door43fast.testing.trials.building import Pool
from door43fast.testing.trials.drawing import Fault, Meanwhile, Step
from door43fast.testing.trials.effects import Held
from door43fast.testing.trials.trial import MENDING, Trial

MEMORY = {"type": "memory"}
GUARD = {"failures": 5, "reset": 5.0, "probes": 1}
PAIR = {"strategy": "parallel", "layers": [MEMORY, MEMORY], "require": "any", "repair": "manual"}
FOUND = {
    "a write that only a layer has which is being copied anew": (
        {"strategy": "parallel", "require": "any", "repair": "manual", "layers": [
            {"strategy": "parallel", "layers": [MEMORY, MEMORY], "require": "all", "repair": "manual", "max_owed": 0},
            MEMORY]},
        [Step("invalidate", ("y",), (Fault(0, "lost", 1), Fault(2, "lost", 1))), Step("incr", ("a", 1)),
         Step("invalidate", ("x",)), Step("get", ("c",), (Fault(1, "error", 1),)), Step("set_many", ([("c", 1)], None)),
         Step("scan", ("",)), Step("set", ("ab", 2, None, ("x",)))]),
    "the layer that holds everything lapses, and one that owes is believed": (
        PAIR, [Step("down", (0, "error")), Step("set", ("ab", 1, None, ())),
               Step("invalidate", ("y",), (Fault(1, "lost", 1),))]),
    "the same, when the other one was not even asked": (
        {**PAIR, "layers": [{**MEMORY, "guard": {"failures": 1, "reset": 5.0}}, MEMORY]},
        [Step("down", (0, "error")), Step("set", ("c", 1, None, ())),
         Step("invalidate", ("y",), (Fault(1, "lost", 1),))]),
    "a clear that only a layer took which owes": (
        PAIR, [Step("set", ("c", 1, None, ()), (Fault(0, "error", 1),)),
               Step("clear", ("a",), (Fault(1, "error", 1),))]),
    "an empty layer is filled at opening from one that owes the deletes": (
        {**PAIR, "owed": "owed", "layers": [MEMORY, {**MEMORY, "guard": {"failures": 1, "reset": 5.0}}]},
        [Step("set", ("a", 1, None, ())), Step("down", (1, "error")), Step("delete", ("a",)), Step("up", (1,)),
         Step("scan", ("",)), Step("reopen")]),
    "two layers that owe each other, and one owes more than it may": (
        {"strategy": "primary_fallback", "layers": [MEMORY, MEMORY], "repair": "manual", "max_owed": 1},
        [Step("down", (0, "error")), Step("set", ("ab", 400, None, ())),
         Step("set_packed", ([("b", b"500"), ("c", b"600")],), (Fault(1, "lost", 1),))]),
    "a layer that alone has what another one owes, and owes more than it may": (
        {**PAIR, "max_owed": 1},
        [Step("set", ("ab", 400, None, ()), (Fault(0, "error", 1),)),
         Step("set_many", ([("b", 1), ("c", 2)], None), (Fault(1, "error", 1),))]),
    "the slow layer of a cascade is not copied anew from the fast one": (
        {"strategy": "cascade", "layers": [MEMORY, MEMORY], "repair": "manual"},
        [Step("down", (0, "lost")), Step("set", ("a", 1100, None, ())), Step("reopen")]),
    "a value copied from a cascade lives no longer than its fast layer lets it": (
        {"strategy": "parallel", "require": "all", "repair": "manual", "layers": [
            {"strategy": "cascade", "layers": [{"type": "memory", "tier": True, "ttl": 2.025}, MEMORY]}, MEMORY]},
        [Step("set", ("a", 200, None, ()), (Fault(1, "lost", 1),)), Step("get", ("a",)), Step("reopen")]),
    "a replica of a cascade whose fast layer lets values live for a while": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [
            {"strategy": "cascade", "layers": [{"type": "memory", "tier": True, "ttl": 2.025}, MEMORY],
             "buffer": {"delay": 1000.0}}, MEMORY]},
        [Step("down", (1, "error")), Step("set", ("a", 200, None, ())), Step("flush"), Step("get", ("a",)),
         Step("up", (1,)), Step("flush"), Step("advance", (30.0,))]),
    "a clear of which one layer has done nobody knows what, and that did not reach the other, which owes a key": (
        {**PAIR, "layers": [{**MEMORY, "guard": {"failures": 1, "reset": 50.0}}, MEMORY]},
        [Step("set", ("b", 1, None, ())), Step("set", ("a", 2, None, ()), (Fault(0, "error", 1),)),
         Step("clear", ("",), (Fault(1, "lost", 1),))]),
    "a layer that knows all tags and owes a key": (
        {**PAIR, "owed": "owed"},
        [Step("down", (1, "error")), Step("transaction", ([("set", "c", 2, None, ())],)), Step("up", (1,)),
         Step("reopen"), Step("set_many", ([("ab", 6)], None), (Fault(0, "error", 1),)), Step("invalidate", ("x",))]),
    "all layers are copied from one another, none of them by set": (
        {"strategy": "parallel", "require": 2, "repair": "background", "read": "race", "owed": "owed1", "layers": [
            MEMORY,
            {"strategy": "primary_fallback", "repair": "manual", "guard": {**GUARD, "deadline": 0.03}, "layers": [
                {**MEMORY, "guard": GUARD, "buffer": {"max_dirty": 100, "patience": 0.03, "delay": 1000.0}},
                {"type": "lmdb", "guard": {**GUARD, "deadline": 0.03}}]},
            {"type": "sqlite", "guard": {**GUARD, "failures": 1}}]},
        [Step("set", ("a", 200, None, ("x",))), Step("down", (2, "lost")), Step("set_many", ([("b", 500)], 0.025)),
         Step("incr", ("a", 1), (Fault(0, "error", 1),)), Step("reopen"), Step("invalidate", ("x",))]),
    "a layer is copied anew from one that owes a key, which only one knows that is not there yet": (
        {**PAIR, "owed": "owed", "layers": [
            {**MEMORY, "guard": {**GUARD, "failures": 1}}, {**MEMORY, "guard": {**GUARD, "absent": "wait"}}, MEMORY]},
        [Step("invalidate", ("x",), (Fault(0, "lost", 1),)), Step("down", (2, "error")),
         Step("set", ("b", 1, None, ())), Step("reopen", (1,))]),
    "a primary that has the write, and is spared when it is asked afterwards who is the writer": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [
            {"strategy": "primary_fallback", "repair": "manual", "buffer": {"delay": 1000.0}, "layers": [
                {"type": "sqlite", "guard": {"failures": 1, "reset": 5.0}},
                {**MEMORY, "guard": {"failures": 1, "reset": 5.0}}]}, MEMORY]},
        [Step("set", ("a", 100, None, ())), Step("get", ("c",), (Fault(0, "error", 1), Fault(1, "error", 1))),
         Step("set", ("ab", 200, None, ()))]),
    "the same, of a journal that is asked for the number of a write whose acknowledgement got lost": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [
            {"type": "journal", "guard": {"failures": 1, "reset": 5.0}}, MEMORY]},
        [Step("set", ("a", 100, None, ()), (Fault(0, "lost", 2),)), Step("advance", (30.0,)), Step("get", ("a",))]),
    "a flush in the middle of another call, which asks all members where that needs one": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [{"type": "journal"}, MEMORY, MEMORY]},
        [Step("down", (2, "error")), Step("clear", ("b",), (), Meanwhile(1, 1, True, Step("flush")))]),
    "a replica of two layers takes a portion and its head, and nobody knows of it": (
        {"strategy": "replicated", "consistency": "quorum", "timeout": 0.2, "layers": [{"type": "plain-journal"}, {
            "strategy": "primary_fallback", "repair": "background", "layers": [
                {**MEMORY, "guard": GUARD}, {**MEMORY, "guard": {**GUARD, "failures": 1}}]}]},
        [Step("down", (2, "error")), Step("add", ("b", 200, 0.125)),
         Step("add", ("a", 300, None), (Fault(1, "lost", 2),))]),
    "a primary that cannot be fenced at a promotion, of a set that is opened again": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [{"type": "journal"}, MEMORY, MEMORY]},
        [Step("set", ("a", 100, None, ())), Step("promote", (0, 0), (Fault(0, "error", 1),)), Step("reopen")]),
    "the primary gets a head while its keys are read": (
        {"strategy": "replicated", "consistency": "strong", "layers": [{"type": "journal"}, MEMORY]},
        [Step("keys", ("",), (), Meanwhile(0, 1, True, Step("promote", (1, 0))))]),
    "a transaction in which a replica is promoted": (
        {"strategy": "replicated", "consistency": "strong", "layers": [{"type": "plain-journal"}, MEMORY]},
        [Step("promote", (0, 0)), Step("transaction", ([("delete", "c"), ("get", "c"), ("pop", "a")],), (),
                                       Meanwhile(1, 1, True, Step("promote", (0, 0))))]),
    "a journal that nobody but its replicas asks after a failure": (
        {"strategy": "replicated", "consistency": "eventual", "layers": [
            {"type": "journal", "guard": {"failures": 1, "reset": 5.0}}, MEMORY]},
        [Step("set", ("a", 100, None, ())), Step("get", ("a",), (Fault(0, "error", 1),))]),
}


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


@pytest.mark.parametrize("name", FOUND)
def test_found(pool, name):
    Trial(FOUND[name][0], pool).run(FOUND[name][1])


class Hurried(Trial):
    """One of which the first call at the end is late, as for want of a processor."""

    def _mend(self, anew=False):
        super()._mend(anew)
        if not self.building.guards[0].breaker.failures:
            self.building.leaves[0].faulty.fail("hang", "flush")


def test_a_call_at_the_end_that_is_late_is_made_again(pool):
    plan = {"strategy": "cascade", "layers": [
        {**MEMORY, "tier": True}, {**MEMORY, "guard": {**GUARD, "failures": 1, "deadline": 0.03}}]}
    trial = Hurried(plan, pool)
    trial.states["a"] |= {Held(1)}      # as after a call that nobody knows the end of
    trial.run([])
    assert trial.building.guards[0].breaker.failures == 1 and trial.states["a"] == {None}


class Busy(Trial):
    """One of which more calls are late at the end than there are rounds in which layers are mended."""

    left = MENDING + 2

    def take(self, step):
        super().take(step)
        if step.name == "advance" and self.left:
            self.left -= 1
            self.building.leaves[0].faulty.fail("hang")


def test_a_round_of_mending_in_which_a_call_is_late_does_not_count(pool):
    plan = {**PAIR, "layers": [{**MEMORY, "guard": {**GUARD, "failures": 1, "deadline": 0.03}}, MEMORY]}
    trial = Busy(plan, pool)
    trial.run([Step("set", ("a", 1, None, ()), (Fault(0, "error", 1),))])
    assert not trial.left


class Closed(Trial):
    """One of which a call is late when the store is closed: whoever stands above says it in an error of its own."""

    def reopen(self, gone=None):
        self.building.leaves[0].faulty.fail("hang", times=None)
        super().reopen(gone)
        assert self.building.leaves[0].faulty.log


def test_what_is_late_while_a_buffer_is_closed_is_no_violation(pool):
    plan = {"strategy": "cascade", "layers": [{**MEMORY, "tier": True}, {
        **PAIR, "require": "all", "layers": [{**MEMORY, "guard": {**GUARD, "deadline": 0.03}}, MEMORY],
        "buffer": {"max_dirty": 100, "patience": 0.03, "delay": 1000.0}}]}
    Closed(plan, pool).run([Step("set", ("a", 1, None, ())), Step("reopen")])


class Walked(Wrapper):
    """A store of which a call is made before and after a walk over all its keys, by the number of the walk."""

    def __init__(self, slow):
        super().__init__(slow)
        self.walks = 0
        self.before, self.after = {}, {}

    def _ask_all(self, call):
        found = super()._ask_all(call)
        return self._walk(found) if call.name == "keys" else found

    def _walk(self, found):
        self.walks += 1
        number = self.walks
        self.before.get(number, bool)()
        yield from found
        self.after.get(number, bool)()


def test_a_copy_is_not_ended_by_one_that_was_begun_before_the_layer_was_emptied_again():
    full, copied = Walked(d43.MemoryStore()), Faulty(d43.MemoryStore())
    store = Parallel(full, copied, require="any", repair="manual")
    values = {f"{number}": number for number in range(BATCH)}
    store.set_many(values)
    emptied, go_on = threading.Event(), threading.Event()
    other = threading.Thread(target=store.repair)

    def again():
        copied.fail("lost", "invalidate")
        store.invalidate("x")
        other.start()
        assert emptied.wait(10)
    full.walks = 0
    full.after[2] = again       # the odd walks only look whether it answers
    full.before[4] = lambda: (emptied.set(), go_on.wait(10))
    store.repair(anew=True)
    assert len(copied.slow) == 0 and store.stats()["layers"][1]["lapsed"]
    go_on.set()
    other.join(10)
    assert dict(copied.slow.items()) == values and not store.stats()["layers"][1]["lapsed"]
    store.close()


@pytest.mark.parametrize("kind, call, options", [
    (PrimaryFallback, "invalidate", {"mirror": False}), (ReadThrough, "clear", {})])
def test_a_layer_of_parts_that_lapses_anew_when_it_was_emptied_is_emptied_again(kind, call, options):
    part, whole = Faulty(d43.MemoryStore()), d43.MemoryStore()

    def lapse():
        part.fail("error", call)
        store.invalidate("x")

    class Meeting(kind):
        others = ()

        def _restart(self, layer):
            made = super()._restart(layer)
            if made and not self.others:
                self.others = [threading.Thread(target=lapse)]
                self.others[0].start()
                self.others[0].join(0.3)
            return made
    store = Meeting(*((whole, part) if kind is PrimaryFallback else (part, whole)), repair="manual", **options)
    place = int(kind is PrimaryFallback)
    lapse()
    assert store.stats()["layers"][place]["lapsed"]
    store.repair()
    store.others[0].join(10)
    assert store.stats()["layers"][place]["lapsed"]
    assert store.repair() and not store.stats()["layers"][place]["lapsed"]
    store.close()

"""One trial: the steps are made on the store of a plan and on the model, and what does not agree is a violation."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

from door43fast.errors import ConflictError, Error
from door43fast.layers.failures import reached
from door43fast.testing.trials.building import Building, Pool
from door43fast.testing.trials.drawing import Fault, Step
from door43fast.testing.trials.effects import FAILED, Act, States, after, living
from door43fast.testing.trials.operations import KEYS, Operation, operation



class Violation(AssertionError):
    """The store did what the model does not allow."""


class Trial:
    """The state of one: the store, and for each key the states that it may be in."""

    BLOCKED = 0.01      # seconds after which a call that is made meanwhile is taken to wait for the other

    def __init__(self, plan: dict[str, Any], pool: Pool) -> None:
        self.plan = plan
        self.building = Building(plan, pool)
        self.states: dict[str, States] = dict.fromkeys(KEYS, frozenset([None]))
        self.past: dict[str, set[Any]] = {key: {None} for key in KEYS}      # since the last flush that returned

    @property
    def now(self) -> float:
        return self.building.clock.seconds

    def run(self, steps: list[Step]) -> None:
        """Make all steps, and then see that everything comes to rest as it should."""
        for number, step in enumerate(steps):
            try:
                self.take(step)
            except Violation as error:
                error.args = (f"step {number + 1}, {step.name}{step.args}: {error}",)
                raise
        self.rest()
        self.building.leave()

    # -- steps -----------------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        """Make one step."""
        if step.name == "advance":
            self.building.clock.advance(*step.args)
            self.states = {key: living(states, self.now) for key, states in self.states.items()}
        elif step.name in ("down", "up"):
            self._switch(step)
        elif step.name == "reopen":
            self.reopen()
        else:
            self._call(step)

    def _switch(self, step: Step) -> None:
        leaf = self.building.leaves[step.args[0]]
        leaf.down = step.args[1] if step.name == "down" else None
        if leaf.down is None:
            leaf.faulty.up()
        else:
            leaf.faulty.down(leaf.down)

    def _call(self, step: Step) -> None:
        faulty = [leaf.faulty for leaf in self.building.leaves if leaf.faulty is not None]
        befell = sum(len(one.log) for one in faulty)
        unwell = [guard for guard in self.building.guards if guard.state != "closed" or guard.late]
        self._order(step.faults)
        inner: list[Any] = []
        if step.meanwhile is not None:
            self._arrange(step, inner)
        made = operation(step.name, step.args, self.now, step.meanwhile is None)
        got = self.attempt(made)
        for thread in inner[:1]:
            if thread is not None:
                thread.join()
        for one in faulty:
            one.forget()
        late = sum(guard.late for guard in self.building.guards)
        self.building.settle()
        disturbed = (befell != sum(len(one.log) for one in faulty) or any(leaf.down for leaf in self.building.leaves)
                     or bool(unwell) or late)
        outcomes = [(made, got), *inner[1:]]
        for _, one in outcomes:
            if isinstance(one, Exception) and not disturbed and not (inner and isinstance(one, ConflictError)):
                raise Violation(f"{one!r}, though no layer failed")
        self.note([acts_of(made, one) for made, one in outcomes])
        if step.name == "flush" and not disturbed:
            self.past = {key: set(states) for key, states in self.states.items()}

    def _order(self, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            self.building.leaves[fault.leaf].faulty.fail(fault.kind, nth=fault.nth)

    def _arrange(self, step: Step, inner: list[Any]) -> None:
        """Have the other call made in a thread; if it waits for the first one, that goes on."""
        meanwhile = step.meanwhile
        assert meanwhile is not None

        def meet() -> None:
            other = operation(meanwhile.step.name, meanwhile.step.args, self.now, False)
            thread = threading.Thread(target=lambda: inner.append((other, self.attempt(other))), daemon=True)
            inner.append(thread)
            thread.start()
            thread.join(self.BLOCKED)
        self.building.leaves[meanwhile.leaf].faulty.meanwhile(meet, nth=meanwhile.nth, after=meanwhile.after)

    def attempt(self, made: Operation) -> Any:
        """What a call answers, or its exception."""
        try:
            return made.run(self.building.store)
        except (Error, OSError) as error:
            return error

    # -- the model -------------------------------------------------------------------------------------------

    def note(self, calls: list[list[Act]]) -> None:
        """What one call, or two at once, have done."""
        for key in {act.key for acts in calls for act in acts}:
            own = [[act for act in acts if act.key == key] for acts in calls]
            if key not in self.states:
                raise Violation(f"the key {key!r} was never written, and is there: {own}")
            before = self.states[key]
            found: set[Any] = set()
            for order in merges(*own):
                states = before
                for act in order:
                    states = after(states, act)
                found |= states
            self.states[key] = living(frozenset(found), self.now)
            self.past[key] |= self.states[key]
            if not found:
                answers = [act.got for acts in own for act in acts]
                raise Violation(f"{key!r} may be {set(before)}, which explains no answer {answers}")

    # -- the ends --------------------------------------------------------------------------------------------

    def reopen(self) -> None:
        """Close the store and make it anew over what its layers hold."""
        try:
            self.building.store.close()
        except (Error, OSError):
            if not any(leaf.down for leaf in self.building.leaves):
                raise
            for key in KEYS:
                self.states[key] = living(self.states[key] | frozenset(self.past[key]), self.now)
        self.building.store = self.building.make()

    def rest(self) -> None:
        """All layers are back: every call succeeds, and the layers agree."""
        for leaf in self.building.leaves:
            if leaf.down is not None:
                self.take(Step("up", (self.building.leaves.index(leaf),)))
        if self.building.guards:
            self.take(Step("advance", (10.0,)))
        for step in (Step("flush"), Step("get_many", (KEYS,)), Step("scan", ("",)), Step("verify")):
            self._call(step)
        for key, states in self.states.items():
            if len({None if state is None else state.value for state in states}) != 1:
                raise Violation(f"{key!r} may still be {set(states)}, though it was read")
        wanted = {key: state.value for key, states in self.states.items() for state in states if state is not None}
        for number, leaf in enumerate(self.building.leaves):
            if (held := leaf.holds()) != wanted:
                raise Violation(f"the leaf {number} holds {held}, and should hold {wanted}")
        for cache in self.building.caches:
            held = dict(cache.scan())
            if not held.items() <= wanted.items():
                raise Violation(f"a memory tier holds {held}, of which the store has only {wanted}")


def acts_of(made: Operation, got: Any) -> list[Act]:
    """What a call did. After a conflict, or when no layer was asked, that is nothing."""
    if not isinstance(got, Exception):
        return made.acts(got)
    return [] if isinstance(got, ConflictError) or not reached(got) else made.acts(FAILED)


def merges(one: list[Act], other: list[Act] | None = None) -> Iterator[list[Act]]:
    """Every order of two calls' acts that keeps the order of each; what a batch does to a key twice can be parted."""
    if not other:
        yield one
        return
    for places in itertools.combinations(range(len(one) + len(other)), len(one)):
        ones, others = iter(one), iter(other)
        yield [next(ones) if place in places else next(others) for place in range(len(one) + len(other))]

"""One trial: the steps are made on the store of a plan and on the model, and what does not agree is a violation."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from door43fast.errors import BudgetError, ConflictError, Error, ReplicationError
from door43fast.layers.failures import Late, reached
from door43fast.native.encoded import Encoded
from door43fast.replication.head import KEYS as HEADS
from door43fast.replication.members import PRIMARY
from door43fast.testing.trials.building import LIMIT, Building, Pool, leaves_of
from door43fast.testing.trials.drawing import Fault, Meanwhile, Step
from door43fast.testing.trials.effects import ANY, FAILED, Act, States, after, delete, living
from door43fast.testing.trials.members import WRITES, Members
from door43fast.testing.trials.operations import KEYS, Operation, operation
from door43fast.testing.trials.primaries import promoted


MENDING = 12    # rounds in which layers that are back must have been brought up to date
RESET = 11.0    # seconds after which every circuit breaker tries again


class Violation(AssertionError):
    """The store did what the model does not allow."""


class Other:
    """A call that is made in a thread of its own while another is under way, if it meets that."""

    BLOCKED = 0.005     # seconds after which it is taken to wait for the first one, which then goes on

    def __init__(self, made: Operation, call: Callable[[], Any]) -> None:
        self.made, self._call = made, call
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = False
        self._got: list[Any] = []

    def meet(self) -> None:
        """The first one is in the middle."""
        with self._lock:
            if self._over:
                return
            self._thread = threading.Thread(target=lambda: self._got.append(self._call()), daemon=True)
            self._thread.start()
        self._thread.join(self.BLOCKED)

    def end(self) -> list[tuple[Operation, Any]]:
        """The call and its answer; nothing if it was not made, and then it is not made any more."""
        with self._lock:
            self._over = True
        if self._thread is not None:
            self._thread.join()
        return [(self.made, got) for got in self._got]


class Trial:
    """The state of one: the store, and for each key the states that it may be in."""

    def __init__(self, plan: dict[str, Any], pool: Pool) -> None:
        self.plan = plan
        self.building = Building(plan, pool)
        self.states: dict[str, States] = dict.fromkeys(KEYS, frozenset([None]))
        # A fallback that holds a part, asked to delete while the primary is down, tells only whether it had the key.
        self.partly = any(place.part for place in leaves_of(plan))
        self.followed = plan.get("strategy") == "replicated"
        self.calm = True        # no fault was ordered for this step
        self.members = Members(plan, self.building)
        self.past: dict[str, set[Any]] = {key: {None} for key in KEYS}      # since the last flush that returned
        self.loose: dict[str, set[Any]] = {key: {None} for key in KEYS}     # and since a write was acknowledged

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
            self.building.advance(*step.args)
            self.states = {key: living(states, self.now) for key, states in self.states.items()}
        elif step.name in ("down", "up"):
            self._switch(step)
        elif step.name == "reopen":
            self.reopen(*step.args)
        else:
            self._call(step)

    def _switch(self, step: Step) -> None:
        leaf = self.building.leaves[step.args[0]]
        leaf.down = step.args[1] if step.name == "down" else None
        if leaf.down is None:
            leaf.faulty.up()
        else:
            leaf.faulty.down(leaf.down)

    def _call(self, step: Step) -> list[Any]:
        """Make a call, and the one meanwhile. Gives what they answered."""
        befell, unwell = self._befell(), self._unwell()
        self.calm = not step.faults
        if step.name != "promote" or self.followed:
            self._order(step.faults)
        other = None if step.meanwhile is None else self._arrange(step.meanwhile)
        made = self._operation(step, other is None)
        self.members.begin()
        outcomes = [(made, self.attempt(made))]
        held = self.members.looked() if other is None else []
        self.building.settle()      # a late call may yet meet the other one
        if other is not None:
            outcomes += other.end()
            self.building.settle()
        for leaf in self.building.leaves:
            if leaf.faulty is not None:
                leaf.faulty.forget()
        disturbed = unwell or befell != self._befell() or self.building.owing()
        names = [step.name] + ([] if step.meanwhile is None else [step.meanwhile.step.name])
        names = names[:len(outcomes)]       # the other one may not have been met
        for name, (_, one) in zip(names, outcomes, strict=True):
            if isinstance(one, Exception) and not disturbed and not self.members.busy(one) and not (
                    isinstance(one, BudgetError) or len(outcomes) == 2 and isinstance(one, ConflictError)):
                raise Violation(f"{one!r}, though no layer failed")
            if isinstance(one, Exception) and "promote" not in names and self.members.enough(name, one):
                raise Violation(f"{one!r}, though enough members are well")
        acts = [self.acts(made, one) for made, one in outcomes]
        if disturbed and self.partly:
            acts = [[act._replace(got=ANY) if act.step is delete and act.got is not FAILED else act for act in one]
                    for one in acts]
        self.note(acts)
        lacking = self.members.lacking(step.name, acts[0], held, self.states)
        if lacking and not isinstance(outcomes[0][1], Exception):
            raise Violation(lacking)
        self._led(names, outcomes, disturbed)
        if step.name == "flush" and other is None and not disturbed and not self.building.owing():
            self.past = {key: set(states) for key, states in self.states.items()}
        return [one for _, one in outcomes]

    def _unwell(self) -> bool:
        """If a layer is down, or spared since it failed, or has still to be brought up to date."""
        return (any(leaf.down for leaf in self.building.leaves)
                or any(guard.state != "closed" for guard in self.building.guards) or self.building.owing())

    def _befell(self) -> int:
        """How many faults there were, and how many calls were late for whatever reason."""
        return (sum(len(leaf.faulty.log) for leaf in self.building.leaves if leaf.faulty is not None)
                + self.building.failures)

    def _order(self, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            self.building.leaves[fault.leaf].faulty.fail(fault.kind, nth=fault.nth)

    def _arrange(self, meanwhile: Meanwhile) -> Other:
        made = self._operation(meanwhile.step, False)
        other = Other(made, lambda: self.attempt(made))
        self.building.leaves[meanwhile.leaf].faulty.meanwhile(other.meet, nth=meanwhile.nth, after=meanwhile.after)
        return other

    def _operation(self, step: Step, alone: bool) -> Operation:
        if step.name != "promote":
            return operation(step.name, step.args, self.now, alone)
        return Operation(lambda _: self._promote(*step.args), lambda got: [])

    def _promote(self, number: int, whom: int) -> None:
        """Promote a replica. In the middle of a plan only while nothing fails: what stands above a set would not know
        what that has lost."""
        sets, unwell = self.building.sets, self._unwell()
        if self.followed or not unwell:
            promoted(sets[number % len(sets)], whom, self.building.fit, unwell or not self.calm)

    def attempt(self, made: Operation) -> Any:
        """What a call answers, or its exception."""
        try:
            return made.run(self.building.store)
        except (Error, OSError) as error:
            return error

    def acts(self, made: Operation, got: Any) -> list[Act]:
        """What a call did. Of a set at the root, what the primary has done stands, also where replicas lack it."""
        acts = acts_of(made, got)
        if self.followed and isinstance(got, ReplicationError) and PRIMARY in got.done:
            return [act._replace(got=ANY) for act in acts]
        return acts

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
                    self.past[key] |= states    # also what was so for a moment, between the two
                    self.loose[key] |= states
                found |= states
            self.states[key] = living(frozenset(found), self.now)
            if not found:
                answers = [act.got for acts in own for act in acts]
                raise Violation(f"{key!r} may be {set(before)}, which explains no answer {answers}")

    def _led(self, names: list[str], outcomes: list[tuple[Operation, Any]], disturbed: bool) -> None:
        """What promotions have made of the states, and writes that were acknowledged by as many as needed."""
        done = [name for name, (_, one) in zip(names, outcomes, strict=True) if not isinstance(one, Exception)]
        if "promote" in done and disturbed:
            self._lose()
        if self.followed and done == names and any(name in WRITES for name in names):
            self.loose = {key: set(states) for key, states in self.states.items()}
        if any(store._standing.fenced is not None for store in self.building.sets):
            self.reopen()       # the promotion was cut short, and another may lead

    def _lose(self) -> None:
        """What was not acknowledged may be gone, with the member that had it."""
        for key in KEYS:
            self.states[key] = living(self.states[key] | frozenset(self.loose[key]), self.now)

    # -- the ends --------------------------------------------------------------------------------------------

    def reopen(self, gone: int | None = None) -> None:
        """Close the store and make it anew over what its layers hold, of which the leaf ``gone`` is down by then.

        Where that raises, something may be lost, and layers may differ: all are brought back then, and made the same.
        """
        if self.building.sets:      # a set is opened only where its primary can be asked
            self._bring_back()
        failed, unwell, befell = False, self._unwell(), self._befell()
        self.building.primaries.note(self.building.sets)
        try:
            self.building.store.close()
        except (Error, OSError) as error:
            failed = True
            if not unwell and not isinstance(error, Late) and befell == self._befell():
                raise
            for key in KEYS:
                self.states[key] = living(self.states[key] | frozenset(self.past[key]), self.now)
        self.building.settle()
        if failed:
            self._bring_back()
        elif gone is not None:
            self.take(Step("down", (gone, "error")))
        self.building.store = self.building.make()
        self.building.settle()
        if self.building.primaries.turned:
            self._lose()
        if failed:
            self._mend(anew=True)

    def _mend(self, anew: bool = False) -> None:
        """Bring layers up to date that are all back; one that waits for another opens its circuit meanwhile."""
        end, rounds, turn = time.monotonic() + LIMIT, 0, 0
        while rounds < MENDING:
            befell = self._befell()
            owed = self.building.repair(anew and not turn)
            if not owed:
                return
            # One in which a call was late, for want of a processor, shows nothing.
            rounds += befell == self._befell() or time.monotonic() > end
            turn += 1
            time.sleep(min(turn, MENDING) / 100)    # for what is done in the background
            self.take(Step("advance", (RESET,)))
        raise Violation(f"layers that are all back still owe something: {owed}")

    def _bring_back(self) -> None:
        for number, leaf in enumerate(self.building.leaves):
            if leaf.down is not None:
                self.take(Step("up", (number,)))

    def _succeed(self, step: Step) -> None:
        """Make a call while all is well. One that was late for want of a processor is made again."""
        for _ in range(MENDING):
            failed = [one for one in self._call(step) if isinstance(one, Exception)]
            if not failed:
                return
            self.take(Step("advance", (RESET,)))
            self._mend()
        raise Violation(f"{step.name} raises {failed[0]!r}, though all layers are back")

    def rest(self) -> None:
        """All layers are back: every call succeeds, and the layers agree."""
        self._bring_back()
        if self.building.guards:
            self.take(Step("advance", (RESET,)))
        self._mend()
        for step in (Step("flush"), Step("get_many", (KEYS,)), Step("scan", ("",)), Step("verify")):
            self._succeed(step)
        for key, states in self.states.items():
            if len({None if state is None else state.value for state in states}) != 1:
                raise Violation(f"{key!r} may still be {set(states)}, though it was read")
        wanted = {key: state.value for key, states in self.states.items() for state in states if state is not None}
        for number, (leaf, place) in enumerate(zip(self.building.leaves, leaves_of(self.plan), strict=True)):
            held = leaf.holds()
            if held != wanted and not (place.part and held.items() <= wanted.items()):
                raise Violation(f"the leaf {number} holds {held}, and should hold {wanted}")
        for cache in self.building.caches:
            held = {key: value for key, value in cache.scan()      # what is encoded is missing
                    if key not in HEADS and not isinstance(value, Encoded)}
            if not held.items() <= wanted.items():
                raise Violation(f"a memory tier holds {held}, of which the store has only {wanted}")


def acts_of(made: Operation, got: Any) -> list[Act]:
    """What a call did. After a conflict, without room, or when no layer was asked, that is nothing."""
    if not isinstance(got, Exception):
        return made.acts(got)
    return [] if isinstance(got, (ConflictError, BudgetError)) or not reached(got) else made.acts(FAILED)


def merges(one: list[Act], other: list[Act] | None = None) -> Iterator[list[Act]]:
    """Every order of two calls' acts that keeps the order of each; what a batch does to a key twice can be parted."""
    if not other:
        yield one
        return
    for places in itertools.combinations(range(len(one) + len(other)), len(one)):
        ones, others = iter(one), iter(other)
        yield [next(ones) if place in places else next(others) for place in range(len(one) + len(other))]

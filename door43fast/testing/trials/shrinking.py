"""Trials by their seeds; one that fails is made small before it is told."""

from __future__ import annotations

from typing import Any

from door43fast.testing.trials.building import Pool, leaves_of
from door43fast.testing.trials.drawing import Drawing, Step
from door43fast.testing.trials.trial import Trial, Violation

KINDS = ("memory", "plain-lmdb", "lmdb", "sqlite")
STRATEGIES = ("cascade", "parallel", "primary_fallback", "replicated")
STEPS = 40
TRIES = 400     # of a smaller trial, before the smallest is told


def drawn(seed: Any, *, kinds: tuple[str, ...] = KINDS, strategies: tuple[str, ...] = STRATEGIES,
          around: bool = True, away: float = 0.5, count: int = STEPS) -> tuple[dict[str, Any], list[Step]]:
    """The plan and the steps of a seed."""
    drawing = Drawing(seed, kinds, strategies, around=around, away=away)
    plan = drawing.plan()
    leaves = leaves_of(plan)
    faulty = [number for number, leaf in enumerate(leaves) if not leaf.kind.startswith("plain-")]
    timed = [number for number in faulty if leaves[number].timed]
    return plan, drawing.steps(faulty, timed, count)


def violation(plan: dict[str, Any], steps: list[Step], pool: Pool) -> Violation | None:
    """What a trial violates, if anything."""
    try:
        Trial(plan, pool).run(steps)
    except Violation as error:
        return error
    except Exception as error:      # of no kind that a store may raise
        found = Violation(f"{type(error).__name__}: {error}")
        found.__cause__ = error
        return found
    return None


def smallest(plan: dict[str, Any], steps: list[Step], pool: Pool) -> tuple[list[Step], Violation]:
    """The fewest steps that were found to violate something, with the fewest faults."""
    found = violation(plan, steps, pool)
    assert found is not None, "it does not fail again: its outcome hangs on how threads run"
    left = TRIES
    size = len(steps) // 2
    while size and left:
        at = 0
        while at < len(steps) and left:
            left -= 1
            less = steps[:at] + steps[at + size:]
            error = violation(plan, less, pool)
            if error is None:
                at += size
            else:
                steps, found = less, error
        size //= 2
    for at, step in enumerate(steps):
        for plain in (step._replace(faults=(), meanwhile=None), step._replace(faults=()), step._replace(meanwhile=None),
                      *(step._replace(faults=(fault,)) for fault in step.faults)):
            less = [*steps[:at], plain, *steps[at + 1:]]
            error = violation(plan, less, pool) if plain != steps[at] else None
            if error is not None:
                steps, found = less, error
                break
    return steps, found


def told(seed: Any, plan: dict[str, Any], steps: list[Step], error: BaseException) -> str:
    """A violation as text that can be run again."""
    lines = [f"seed {seed!r}: {error}", f"plan = {plan!r}", "steps = ["]
    for step in steps:
        more = [f"{name}={value!r}" for name, value in zip(step._fields[2:], step[2:], strict=True) if value]
        lines.append(f"    Step({', '.join([repr(step.name), repr(step.args), *more])}),")
    return "\n".join([*lines, "]", "Trial(plan, Pool()).run(steps)"])


def run(seeds: Any, pool: Pool, **options: Any) -> int:
    """Make the trials of all seeds. Returns how many steps that were.

    Raises
    ------
    Violation
        With the smallest steps that violate the same plan.
    """
    made = 0
    for seed in seeds:
        plan, steps = drawn(seed, **options)
        error = violation(plan, steps, pool)
        if error is not None:
            try:
                less, error = smallest(plan, steps, pool)
            except AssertionError as unsteady:
                less = steps
                error.add_note(str(unsteady))
            raise Violation(told(seed, plan, less, error)) from error.__cause__
        made += len(steps)
    return made

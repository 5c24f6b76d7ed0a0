"""A trial with threads: each makes its own calls, and for each key some order of all explains what they gave."""

from __future__ import annotations

import itertools
import sys
import threading
from typing import Any

from door43fast.testing.trials.building import Pool
from door43fast.testing.trials.drawing import Drawing
from door43fast.testing.trials.effects import ANY, FAILED, delete
from door43fast.testing.trials.linear import Made, unexplained
from door43fast.testing.trials.operations import KEYS, operation
from door43fast.testing.trials.trial import Trial, Violation

THREADS = 4
CALLS = 12          # of each thread
# What is read by key, and what writes. A scan, and what else is asked of the slow layer alone, may tell of a write that
# is still under way a moment before the memory tier does.
NAMES = ("get", "[]", "get_many", "get_packed", "set", "set", "set", "set_many", "add", "replace", "incr", "touch",
         "pop", "delete", "delete", "delete_many", "set_packed", "clear", "invalidate", "transaction")
SHARES = {"error": 0.02, "lost": 0.02, "partial": 0.02, "late": 0.3, "latency": 0.2}
PAUSE = 0.0005      # seconds for which an answer is late


class Rush(Trial):
    """The same store and the same model, and several threads."""

    def __init__(self, plan: dict[str, Any], pool: Pool, shares: dict[str, float] | None = None) -> None:
        super().__init__(plan, pool)
        self.made: list[Made] = []
        self._time = itertools.count()
        for number, leaf in enumerate(self.building.leaves):
            if leaf.faulty is not None:
                leaf.faulty.seed = number
                leaf.faulty.shares.update(SHARES if shares is None else shares)
                leaf.faulty.delay, leaf.faulty.patience = (0, PAUSE), PAUSE

    def rush(self, calls: list[list[tuple[str, tuple[Any, ...]]]]) -> None:
        """Have each list of calls made by a thread of its own; then see that an order explains them, and the end."""
        failed: list[BaseException] = []
        start = threading.Barrier(len(calls))

        def work(mine: list[tuple[str, tuple[Any, ...]]]) -> None:
            try:
                start.wait(20)
                for name, args in mine:
                    self.one(name, args)
            except BaseException as error:
                failed.append(error)
        threads = [threading.Thread(target=work, args=(mine,)) for mine in calls]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        if failed:
            raise failed[0]
        for leaf in self.building.leaves:
            if leaf.faulty is not None:
                leaf.faulty.calm()
        self.judge()
        self.rest()
        self.building.leave()

    def one(self, name: str, args: tuple[Any, ...]) -> None:
        made = operation(name, args, self.now, False)
        begun = next(self._time)
        got = self.attempt(made)
        ended = next(self._time)
        self.made.extend(Made(begun, ended, act._replace(got=ANY) if self.partly and act.step is delete
                              and act.got is not FAILED else act) for act in self.acts(made, got))

    def judge(self) -> None:
        for key in KEYS:
            mine = [made for made in self.made if made.act.key == key]
            self.states[key], wrong = unexplained(mine, self.states[key])
            if wrong:
                lines = "\n".join(f"  {made.begun:3}-{made.ended:3} {said(made)}"
                                  for made in sorted(wrong, key=lambda made: made.begun))
                raise Violation(f"no order of the calls explains what they gave for {key!r}:\n{lines}")


def said(made: Made) -> str:
    """An act in words: what it would make of nothing, and what it gave."""
    answer, new = next(iter(made.act.step(None)))
    return f"{made.act.step.__qualname__.split('.')[0]} (of nothing {answer!r} and {new!r}) gave {made.act.got!r}"


def rushed(seed: Any, pool: Pool, **options: Any) -> None:
    """The rush of a seed.

    Raises
    ------
    Violation
        With the plan and the calls of each thread.
    """
    drawing = Drawing(f"rush {seed}", options.pop("kinds", ("memory", "plain-lmdb", "lmdb", "sqlite")),
                      options.pop("strategies", ("cascade",)), deadlines=False, around=options.pop("around", True))
    plan = drawing.plan()
    calls = [[drawing.call(NAMES, spans=(None,)) for _ in range(CALLS)] for _ in range(THREADS)]
    try:
        Rush(plan, pool, **options).rush(calls)
    except Violation as error:
        lines = "\n".join(f"  {mine!r}," for mine in calls)
        raise Violation(f"seed {seed!r}: {error}\nplan = {plan!r}\ncalls = [\n{lines}\n]") from error

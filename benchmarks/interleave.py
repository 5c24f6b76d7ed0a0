"""Contenders measured side by side: in one process, in turns, with the garbage collector at rest."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CONTROL = "dict"
OURS = "door43fast"


@dataclass
class Contender:
    """One way to do the work: ``run(prepared)`` does it once; ``prepare()`` sets up for it, outside the clock."""

    name: str
    run: Callable[[Any], Any]
    prepare: Callable[[], Any] = lambda: None
    finish: Callable[[Any], Any] = lambda prepared: None


@dataclass
class Result:
    """What one case measured. ``samples`` are nanoseconds an operation, a list a contender, one entry a round."""

    case: str
    unit: str = "ns"
    samples: dict[str, list[float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(self.samples[name])

    def ratio(self, name: str, other: str) -> float | None:
        """How many times ``other`` the contender ``name`` took: the median over the rounds. None if one is missing."""
        if name not in self.samples or other not in self.samples:
            return None
        return statistics.median(a / b for a, b in zip(self.samples[name], self.samples[other], strict=True))

    def as_dict(self) -> dict[str, Any]:
        return {"case": self.case, "unit": self.unit, "missing": self.missing, "control": CONTROL,
                "median": {name: self.median(name) for name in self.samples},
                "to_control": {name: self.ratio(name, CONTROL) for name in self.samples}}


def interleave(case: str, contenders: list[Contender], operations: int, rounds: int,
               missing: list[str] | None = None) -> Result:
    """Let the contenders take turns, each round beginning with another one.

    One turn of each before the first round warms caches and is not counted.
    """
    result = Result(case, samples={contender.name: [] for contender in contenders}, missing=missing or [])
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(-1, rounds):
            for place in range(len(contenders)):
                contender = contenders[(place + turn) % len(contenders)]
                prepared = contender.prepare()
                start = time.perf_counter_ns()
                done = contender.run(prepared)
                spent = time.perf_counter_ns() - start
                del done
                contender.finish(prepared)
                if turn >= 0:
                    result.samples[contender.name].append(spent / operations)
    finally:
        gc.enable()
        gc.unfreeze()
    return result

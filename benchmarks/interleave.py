"""Contenders measured side by side: in one process, in turns, with the garbage collector at rest."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CONTROL = "dict"
OURS = "door43fast"
ALONE = 0.05            # of the machine that others may take in a turn that needs all of its processors
ATTEMPTS = 8


def _others() -> Callable[[], float]:
    """Begin to watch the machine; the answer tells what share of all its processors went to others since then."""
    def taken() -> tuple[float, float]:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
        own = os.times()
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), own.user + own.system

    busy, own = taken()
    start = time.perf_counter()

    def share() -> float:
        now_busy, now_own = taken()
        span = (time.perf_counter() - start) * (os.cpu_count() or 1)
        return max(now_busy - busy - (now_own - own), 0) / span

    return share


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


def _turn(contender: Contender) -> int:
    prepared = contender.prepare()
    start = time.perf_counter_ns()
    done = contender.run(prepared)
    spent = time.perf_counter_ns() - start
    del done
    contender.finish(prepared)
    return spent


def _undisturbed(contender: Contender) -> int:
    """The turn in which others took least of the machine; the first in which they took next to nothing."""
    tried: list[tuple[float, int]] = []
    for _ in range(ATTEMPTS):
        others = _others()
        spent = _turn(contender)
        tried.append((others(), spent))
        if tried[-1][0] <= ALONE:
            break
    return min(tried)[1]


def interleave(case: str, contenders: list[Contender], operations: int, rounds: int,
               missing: list[str] | None = None, alone: bool = False) -> Result:
    """Let the contenders take turns, each round beginning with another one.

    One turn of each before the first round warms caches and is not counted. With ``alone`` a turn in which others took
    more than a twentieth of the machine is taken again, up to ``ATTEMPTS`` times, and the least disturbed one counts:
    for what needs all processors at once, a busy machine has none to show. Without ``/proc/stat`` every turn counts.
    """
    result = Result(case, samples={contender.name: [] for contender in contenders}, missing=missing or [])
    watched = alone and os.path.exists("/proc/stat")
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(-1, rounds):
            for place in range(len(contenders)):
                contender = contenders[(place + turn) % len(contenders)]
                spent = _turn(contender) if turn < 0 or not watched else _undisturbed(contender)
                if turn >= 0:
                    result.samples[contender.name].append(spent / operations)
    finally:
        gc.enable()
        gc.unfreeze()
    return result

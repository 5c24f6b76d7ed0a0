"""Measures every case and prints the table of goals and ratios in Markdown.

Run ``python -m benchmarks.report``: ``--quick`` for small data, ``--only NAME`` for some cases, ``--json`` for the
numbers, ``--check`` to fail where a case got slower against its control than the committed baseline allows, and
``--save`` to make this run the baseline.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.compare import (
    arrays, backends, cold, compression, growth, layers, lmdb, memory, mixes, processes, redis, tiers)
from benchmarks.goals import GOALS
from benchmarks.interleave import CONTROL, OURS, Result

# Judged by their goals alone: one slow set among millions, and who gets a core when several processes want one, say too
# little about the next run.
UNSTEADY = {"longest_set", *processes.CASES, *redis.CASES}
BASELINE = Path(__file__).with_name("baseline.json")
CASES: dict[str, Callable[[bool], Result]] = {
    **memory.CASES, **arrays.CASES, **growth.CASES, **lmdb.CASES, **cold.CASES, **mixes.CASES,
    **processes.CASES, **tiers.CASES, **layers.CASES,
    **compression.CASES, **backends.CASES, **redis.CASES}


def table(results: dict[str, Result]) -> str:
    lines = ["| what | against | goal | measured | met |", "|---|---|---|---|---|"]
    for goal in GOALS:
        if goal.case not in results:
            continue
        found = goal.measured(results[goal.case])
        if found is None:
            measured, met = f"missing: {', '.join(results[goal.case].missing)} is not installed", "–"
        else:
            measured, met = found[0], "yes" if found[1] else "no"
        lines.append(f"| {goal.what} | {goal.against} | {goal.words()} | {measured} | {met} |")
    return "\n".join(lines)


def details(results: dict[str, Result]) -> str:
    """Every contender of every case: its median, and its ratio to the control of the same run."""
    lines = ["| case | contender | median | to the control |", "|---|---|---|---|"]
    for result in results.values():
        for name in result.samples:
            ratio = result.ratio(name, CONTROL)
            lines.append(f"| {result.case} | {name} | {result.median(name):,.1f} {result.unit} | "
                         + (f"{ratio:.2f}× |" if ratio is not None else "– |"))
        lines.extend(f"| {result.case} | {name} | missing: not installed | – |" for name in result.missing)
    return "\n".join(lines)


def ratios(results: dict[str, Result]) -> dict[str, float]:
    """What the baseline holds: our time against the control's, by case."""
    found = {}
    for name, result in results.items():
        ratio = result.ratio(OURS, CONTROL)
        if ratio is not None and name not in UNSTEADY:
            found[name] = round(ratio, 4)
    return found


def regressed(now: dict[str, float], baseline: dict[str, float], factor: float) -> list[str]:
    """A sentence for each case that is slower against its control than ``factor`` times the baseline."""
    return [f"{name}: {ratio:.2f}× the control, more than {factor:g} times the {baseline[name]:.2f}× of the baseline"
            for name, ratio in now.items() if name in baseline and ratio > factor * baseline[name]]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small data: a minute, and only a hint")
    parser.add_argument("--only", action="append", choices=sorted(CASES), metavar="NAME", help="one case; repeatable: "
                        + ", ".join(CASES))
    parser.add_argument("--json", action="store_true", help="print numbers instead of tables")
    parser.add_argument("--details", action="store_true", help="print every contender, also of cases that have a goal")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a case regressed against the baseline")
    parser.add_argument("--factor", type=float, default=2.0, help="what --check allows (default 2)")
    parser.add_argument("--save", action="store_true", help="write the ratios of this run into the baseline")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = _arguments(argv)
    results: dict[str, Result] = {}
    for name in options.only or CASES:
        start = time.perf_counter()
        results[name] = CASES[name](options.quick)
        print(f"{results[name].case}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    size = "quick" if options.quick else "full"
    baseline: dict[str, Any] = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    now = ratios(results)
    if options.json:
        print(json.dumps({"machine": machine.line(), "size": size,
                          "results": {name: result.as_dict() for name, result in results.items()}}, indent=2))
    else:
        judged = {goal.case for goal in GOALS}
        shown = results if options.details else {
            name: result for name, result in results.items() if name not in judged}
        parts = [table(results)] if judged & set(results) else []
        print("\n\n".join(parts + [details(shown)] if shown else parts))
        print(f"\nMedians of interleaved rounds{' of the quick run' if options.quick else ''}; {machine.line()}.")
    if options.save:
        baseline[size] = {**baseline.get(size, {}), **now}
        BASELINE.write_text(json.dumps(baseline, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if options.check:
        if size not in baseline:
            print(f"there is no baseline of the {size} run: make one with --save", file=sys.stderr)
            return 2
        worse = regressed(now, baseline[size], options.factor)
        print("\n".join(worse) if worse else "no case regressed", file=sys.stderr)
        return 1 if worse else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

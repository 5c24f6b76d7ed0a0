"""Run in a process of its own: how many traces of the core that is imported there the models refuse."""

import pathlib
import sys

from models import replay, test_replay

import door43fast
from door43fast.native import stack

TRACES = 250


def main(what, folder):
    if what == "one process":
        traces = [test_replay.trace_of(door43fast.cascade, seed) for seed in range(TRACES)]
        came = replay.reached(folder, "promotion", test_replay.BEGIN, traces)
    else:
        traces = [test_replay.trace_of_processes(folder / f"store{seed}", seed, True) for seed in range(TRACES)]
        came = replay.reached(folder, "coherence", test_replay.PROCESSES, traces, *test_replay.NATIVE, "JOURNAL")
    home = pathlib.Path(stack.__file__).parents[2]
    print(home, sum(at < len(trace) for at, trace in zip(came, traces, strict=True)), len(traces))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))

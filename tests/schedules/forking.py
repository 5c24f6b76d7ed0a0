"""Run in a process of its own: children forked at the points of a schedule, while another thread reads and writes."""

import os
import signal
import sys

from schedules import test_schedules
from schedules.stepping import Schedule


def fork_against_read(cascade, seeds):
    """The child finds a whole store, and so does the parent."""
    for seed in range(seeds):
        cascade.set("k", "value")

        def read():
            assert cascade.get("k") == "value"
            cascade.delete("k")
            cascade.get("k")
            cascade.set("k", "value")

        def fork(seed=seed):
            cascade.get("k")
            child = os.fork()
            if child == 0:
                in_the_child(cascade)
            _, status = os.waitpid(child, 0)
            assert status == 0, f"the child of seed {seed} ended with {status}"
        errors = Schedule(seed).run(read, fork)
        assert errors == [None, None], f"seed {seed}: {errors}"
        assert cascade.get("k") == "value" == test_schedules.below(cascade).get("k")
    cascade.close()


def in_the_child(cascade):
    """Reads and writes, and ends the process: 0 if all was well, a signal if it hangs."""
    status = 1
    try:
        signal.alarm(20)
        cascade.slow.__dict__["_stepped"] = lambda call: call     # the other threads are not here to be stepped
        if cascade.get("k") in ("value", None):
            cascade.set("child", "x")
            status = 0 if cascade.get("child") == "x" and cascade.delete("child") else 2
    finally:
        os._exit(status)


if __name__ == "__main__":
    kind, folder, count = sys.argv[1:]
    fork_against_read(getattr(test_schedules, kind)(folder), int(count))
    print(f"{count} forks")

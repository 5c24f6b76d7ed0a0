"""The processes that are killed: each takes the steps of a seed, and acknowledges each with one byte.

Each line of the input is directory, durability, seed and a named pipe, as JSON. For each a child is forked, which is
what starts quickly, that opens the store and writes to the pipe: its number, a new line, and a byte for each step.
"""

import json
import os
import signal
import sys

from workload import steps, take

from door43fast.lmdb import LmdbStore


def write(path, durability, seed, pipe):
    out = os.open(pipe, os.O_WRONLY)
    store = LmdbStore(path, durability=durability, map_size=1 << 20, sync_interval=0.005,
                      journal={"max_bytes": None, "max_age": None})
    os.write(out, b"%d\n" % os.getpid())
    for number, step in enumerate(steps(seed)):
        take(store, number, step)
        os.write(out, b".")


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)       # who was killed is not waited for
    for line in sys.stdin:
        if os.fork() == 0:
            sys.stdin.close()
            write(*json.loads(line))

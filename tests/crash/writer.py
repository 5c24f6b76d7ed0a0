"""The process that is killed: takes the steps of a seed, and acknowledges each with one byte on its output.

Arguments: directory, durability, seed.
"""

import os
import sys

from workload import steps, take

from door43fast.lmdb import LmdbStore

path, durability, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = LmdbStore(path, durability=durability, map_size=1 << 20, sync_interval=0.005,
                  journal={"max_bytes": None, "max_age": None})
out = sys.stdout.fileno()
os.write(out, b"r")
for number, step in enumerate(steps(seed)):
    take(store, number, step)
    os.write(out, b".")

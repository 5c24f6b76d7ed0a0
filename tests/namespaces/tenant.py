"""A process that writes into a namespace until its quota is met, or until it is killed.

``tenant.py KIND FOLDER NAME SEED ROUNDS``; it prints one line for each write that was acknowledged.
"""

import random
import sys
from pathlib import Path

import door43fast as d43
from namespace_kinds import opened


def main(kind, folder, name, seed, rounds):
    dice = random.Random(int(seed))
    with opened(kind, Path(folder)) as base:
        space = d43.namespace(base, name)
        for _ in range(int(rounds)):
            items = {f"k{dice.randrange(200):03}": dice.randbytes(dice.randrange(400))
                     for _ in range(dice.randrange(6))}
            try:
                dice.choice([lambda: space.set_many(items), lambda: space.incr("n"),
                             lambda: space.delete(f"k{dice.randrange(200):03}")])()
            except d43.QuotaError:
                print("full", flush=True)
            else:
                print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run in a process of its own: ``fill`` a store and read some of it; ``read`` that; ``wait`` until it is killed."""

import json
import os
import sys
import time

import door43fast as d43
from door43fast.plans import warmth

HOT = [f"k{i:04}" for i in range(0, 4000, 8)]


def main(what, folder):
    if what == "wait":
        warmth.EVERY = 0.05
    store = d43.open(folder, warm=True, warm_within=30, memory="150KB", durability="none")
    if what == "read":
        told = store.stats()
        found = store.get_many(HOT)
        print(json.dumps({"warm": told["warm"], "values": found,
                          "hits": store.stats()["layers"][0]["hits"] - told["layers"][0]["hits"],
                          "below": store.stats()["layers"][1]["hits"] - told["layers"][1]["hits"]}))
    else:
        store.set_many({f"k{i:04}": i for i in range(4000)})
        for _ in range(4):
            store.get_many(HOT)
    if what == "wait":
        if os.path.exists(os.path.join(folder, "warm")):
            os.remove(os.path.join(folder, "warm"))     # of what was in memory meanwhile
    while what == "wait":
        print(os.path.exists(os.path.join(folder, "warm")), flush=True)
        time.sleep(0.01)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

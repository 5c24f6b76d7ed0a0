"""Opens a store while one opening of a file in it fails, another one each time: under shim/faults.c.

One line of JSON for each store that was open all the same: how often its file of locks is mapped, which is once if
LMDB must be asked what its readers see, and what memory over it gives.
"""

import ctypes
import errno
import json
import pathlib
import subprocess
import sys

import door43fast as d43

OPEN, ONCE = 4, 0           # of the shim
THEIRS = "import sys, door43fast as d43\nwith d43.LmdbStore(sys.argv[1], durability='none') as s: s['a'] = 'theirs'"

shim = ctypes.CDLL(None)


def mapped(path):
    return sum(line.endswith(f"{path}/lock.mdb") for line in pathlib.Path("/proc/self/maps").read_text().splitlines())


def work(below, path):
    memory = d43.MemoryStore()
    with d43.cascade(memory, below) as store:
        store["a"] = store["b"] = "ours"
        store.get_many(["a", "b"])
        store["c"] = "ours"
        kept = [store["a"], memory.get("a"), memory.get("b")]       # a write of ours is no news
        subprocess.run([sys.executable, "-c", THEIRS, path], check=True)
        return [kept, store["a"], memory.get("b")]


def main(folder):
    for number in range(1, 100):
        path = folder / str(number)
        d43.LmdbStore(path, durability="none").close()
        shim.d43_arm(OPEN, number, ONCE, errno.EMFILE)
        try:
            store = d43.LmdbStore(path, durability="none")
        except (d43.Error, OSError):
            store = None
        fired = shim.d43_fired()
        shim.d43_arm(0, 0, 0, 0)
        if not fired:
            return
        if store is not None:
            print(json.dumps({"mapped": mapped(path), "work": work(store, path)}), flush=True)


main(pathlib.Path(sys.argv[1]))

"""One of the processes of the stress: reads, or writes and reads, and prints what it saw as JSON.

Arguments: directory, number of this process, how many of the processes write, seconds, and a name in
``multiprocessing.shared_memory`` with a cell of 8 bytes for each shared key.

``shared(i)`` belongs to writer ``i % writers``, who sets it to one more each time. When ``set`` has returned, it
puts the number into the key's cell. Whoever looks at the cell and then reads the key must not find less: that would be
stale. Nobody writes the keys ``calm/i`` during the run.
"""

import json
import pathlib
import random
import sys
import time
from multiprocessing import resource_tracker, shared_memory

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import door43fast as d43

SHARED, CALM = 64, 2000


def shared(i):
    """Half of them long, and alike in what a row of a long key stands under."""
    return f"shared/{i}" if i % 2 else f"shared/{'long' * 150}/{i}"


path, number, writers, seconds, name = sys.argv[1], *map(int, sys.argv[2:4]), float(sys.argv[4]), sys.argv[5]
memory = shared_memory.SharedMemory(name)
resource_tracker.unregister(memory._name, "shared_memory")     # it is the parent's to remove
cells = memory.buf.cast("Q")
rng = random.Random(number)
store = d43.open(path, durability="none")
own = [i for i in range(SHARED) if number < writers and i % writers == number]
calm = [f"calm/{i}" for i in range(CALM)]
store.get_many(calm)
seen = dict.fromkeys(("reads", "writes", "stale", "backward", "hits", "wrong"), 0)
newest = [0] * SHARED
print("ready", flush=True)
sys.stdin.readline()
fast = store.fast
end = time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(20):
        i = rng.randrange(SHARED)
        least = cells[i]
        value = store.get(shared(i)) if rng.random() < 0.7 else store.get_many([shared(i), "calm/1"])[0]
        seen["stale"] += value < least
        seen["backward"] += value < newest[i]
        newest[i] = max(newest[i], value)
        key = calm[rng.randrange(CALM)]
        before = fast.stats()["hits"]
        seen["wrong"] += store.get(key) != key
        seen["hits"] += fast.stats()["hits"] - before
        seen["reads"] += 1
    if own:
        picked = rng.sample(own, 2)
        kind = rng.random()
        if kind < 0.4:
            store.set(shared(picked[0]), cells[picked[0]] + 1)
            picked = picked[:1]
        elif kind < 0.6:
            store.incr(shared(picked[0]))
            picked = picked[:1]
        elif kind < 0.8:
            store.set_many({shared(i): cells[i] + 1 for i in picked})
        else:
            with store.transaction() as t:
                for i in picked:
                    t[shared(i)] = cells[i] + 1
        for i in picked:
            cells[i] += 1
        seen["writes"] += len(picked)
    else:
        time.sleep(0)
seen["coherence"] = store.stats()["coherence"]
cells.release()
memory.close()
store.close()
print(json.dumps(seen))

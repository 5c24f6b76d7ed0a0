"""Eight threads of bare reads and writes on one memory store that grows, evicts and is cleared: ``churn.py SECONDS``.

No write here has an option, so that all of them go the short way: an entry changes hands without a search for its
place. Every value is made of its key, so a value under a foreign key is seen at once. Every value is counted, so one
that is let go of twice or never is seen at the end.
"""

import random
import sys
import threading
import time

import door43fast as d43

THREADS = 8
ROOM = 900
NAMES = [f"key {n}" for n in range(3000)]


class Value:
    alive = set()

    def __init__(self, key):
        self.key = key
        self.token = object()
        self.alive.add(self.token)

    def __del__(self):
        self.alive.remove(self.token)       # KeyError where it was let go of twice


def check(key, value):
    assert value is None or value.key == key, f"under {key!r} there was the value of {value.key!r}"


def work(stores, me, stop, counts, errors):
    rng = random.Random(me)
    try:
        while not stop.is_set():
            store = stores[0]
            key = rng.choice(NAMES)
            match rng.randrange(40):
                case 0:
                    some = rng.sample(NAMES, 200)
                    for one, value in zip(some, store.get_many(some), strict=True):
                        check(one, value)
                case 1:
                    store.set_many([(one, Value(one)) for one in rng.sample(NAMES, 50)])
                case 2:
                    check(key, store.pop(key, None))
                case 3:
                    if rng.random() < 0.02:
                        store.clear()
                case 4:
                    if rng.random() < 0.05:     # the old one goes while others are in the middle of it
                        stores[0] = d43.MemoryStore(max_entries=ROOM)
                case n if n < 20:
                    store[key] = Value(key)
                case _:
                    check(key, store.get(key))
            assert len(store) <= ROOM
            counts[me] += 1
    except BaseException as error:
        errors.append(f"{type(error).__name__}: {error}")
        raise


def main(seconds):
    sys.setswitchinterval(1e-6)
    stores = [d43.MemoryStore(max_entries=ROOM)]
    stop, counts, errors = threading.Event(), [0] * THREADS, []
    threads = [threading.Thread(target=work, args=(stores, me, stop, counts, errors)) for me in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(float(seconds))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert stores[0].verify()["errors"] == []
    assert len(Value.alive) == len(stores[0]), (len(Value.alive), len(stores[0]))
    stores.clear()
    assert not Value.alive
    print(f"ok {sum(counts)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

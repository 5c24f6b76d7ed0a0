"""Six threads that read one memory store, two that change it now and then: ``readers.py POLICY SECONDS``.

Between the changes there is time enough for reads to go without the store's lock, where there is no GIL. Every value is
made of its key, so a value under a foreign key is seen at once; every value is counted, so one that is let go of too
early, twice or never is seen; every read is counted, and ``stats()`` must know of each.
"""

import random
import sys
import threading
import time

import door43fast as d43

READERS, WRITERS = 6, 2
ROOM = 500
NAMES = [f"key {n}" for n in range(700)]


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


def read(store, me, stop, counts, errors):
    rng = random.Random(me)
    try:
        while not stop.is_set():
            for key in rng.choices(NAMES, k=100):
                check(key, store.get(key))
            some = rng.sample(NAMES, 100)
            for key, value in zip(some, store.get_many(some), strict=True):
                check(key, value)
            for key in some[:50]:
                try:
                    check(key, store[key])
                except KeyError:
                    pass
            counts[me] += 250
    except BaseException as error:
        errors.append(f"{type(error).__name__}: {error}")
        raise


def write(store, me, stop, errors):
    rng = random.Random(me)
    try:
        while not stop.is_set():
            key = rng.choice(NAMES)
            match rng.randrange(12):
                case 0:
                    store.delete(key)
                case 1:
                    check(key, store.pop(key, None))
                case 2:
                    store.set(key, Value(key), ttl=rng.choice([0.001, 0.02, 50]))
                case 3:
                    store.set_many([(one, Value(one)) for one in rng.sample(NAMES, 30)])
                case 4:
                    store.delete_many(rng.sample(NAMES, 10))
                case 5:
                    if rng.random() < 0.05:
                        store.clear()
                case 6:
                    store.expire()
                case _:
                    for one in rng.sample(NAMES, 20):
                        store[one] = Value(one)
            time.sleep(rng.choice([0, 0.0005, 0.003]))
    except BaseException as error:
        errors.append(f"{type(error).__name__}: {error}")
        raise


def main(policy, seconds):
    sys.setswitchinterval(1e-6)
    store = d43.MemoryStore(max_entries=ROOM, policy=policy) if policy != "none" else d43.MemoryStore()
    stop, counts, errors = threading.Event(), [0] * READERS, []
    threads = [threading.Thread(target=read, args=(store, me, stop, counts, errors)) for me in range(READERS)]
    threads += [threading.Thread(target=write, args=(store, me + READERS, stop, errors)) for me in range(WRITERS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        time.sleep(0.05)
        assert store.verify()["errors"] == []
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
    stats = store.stats()
    assert stats["hits"] + stats["misses"] == sum(counts), (stats, sum(counts))
    assert stats["hits"] and stats["misses"]
    assert store.verify()["errors"] == []
    assert len(Value.alive) == len(store), (len(Value.alive), len(store))
    store.clear()
    assert not Value.alive
    print(f"ok {sum(counts)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

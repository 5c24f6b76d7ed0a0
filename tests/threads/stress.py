"""Eight threads of mixed calls on one store: ``stress.py ENGINE MODE SECONDS``; prints how many calls it made.

Every value says which key it was set under, so a value under a foreign key is seen at once; every increment is
counted, so a lost one is seen at the end.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time

import door43fast as d43
from door43fast import reference

KEYS = [f"k{i}" if i % 4 else "k" * 600 + str(i) for i in range(40)]
THREADS = 8


def open_store(engine, folder):
    if engine == "memory":
        return d43.MemoryStore(max_entries=25)
    if engine == "reference":
        return reference.MemoryStore(max_entries=25)
    if engine == "lmdb":
        return d43.LmdbStore(folder, durability="none")
    return d43.open(folder, durability="none", memory="16KB")


def check(key, value):
    owner = value[0] if isinstance(value, list) else value.split("=")[0]
    assert owner == key, f"under {key!r} there was {value!r}"


class Stress:
    def __init__(self, store, evicts):
        self.store, self.evicts = store, evicts
        self.counts = [0] * THREADS
        self.added = [0] * THREADS
        self.errors = []
        self.stop = False

    def value(self, key, rng):
        n = rng.randrange(1000)
        return f"{key}={n}" if n % 2 else [key, n]

    def one(self, me, rng):
        s, key = self.store, rng.choice(KEYS)
        match rng.randrange(17):
            case 0 | 1 | 2:
                value = s.get(key)
                if value is not None:
                    check(key, value)
            case 3:
                s.set(key, self.value(key, rng), ttl=rng.choice([None, 0, 0.001, 50]), tags=rng.choice([(), ("t",)]))
            case 4:
                s[key] = self.value(key, rng)
            case 5:
                s.delete(key)
            case 6:
                some = rng.sample(KEYS, 10)
                for one, value in zip(some, s.get_many(some), strict=True):
                    if value is not None:
                        check(one, value)
            case 7:
                s.set_many([(one, self.value(one, rng)) for one in rng.sample(KEYS, 5)])
            case 8:
                for one, value in s.scan("k", limit=10):
                    check(one, value)
            case 9:
                if not self.evicts:
                    s.incr("n")
                    self.added[me] += 1
            case 10:
                check(key, s.get_or_compute(key, lambda: self.value(key, rng)))
            case 11:
                value = s.pop(key, None)
                if value is not None:
                    check(key, value)
            case 12:
                s.add(key, self.value(key, rng))
                s.touch(key, 20)
            case 13:
                try:
                    with s.transaction() as t:
                        value = t.get(key)
                        t[key] = self.value(key, rng)
                        if not self.evicts:
                            t.incr("n")
                    if not self.evicts:
                        self.added[me] += 1
                except d43.ConflictError:
                    pass
            case 14:
                s.delete_many(rng.sample(KEYS, 3))
            case 15:
                rng.choice([lambda: s.invalidate("t"), s.expire, s.stats, lambda: s.count("k1"), lambda: len(s),
                            lambda: s.clear("k1"), lambda: sorted(s), lambda: s.contains_many(KEYS)])()
            case 16:
                current = s.get(key)
                if current is not None:
                    s.replace(key, current, self.value(key, rng))

    def work(self, me):
        rng = random.Random(me)
        try:
            while not self.stop:
                self.one(me, rng)
                self.counts[me] += 1
        except d43.ClosedError:
            if not self.stop:
                self.errors.append("closed too early")
        except BaseException as error:
            self.errors.append(f"{type(error).__name__}: {error}")
            raise

    def run(self, seconds):
        threads = [threading.Thread(target=self.work, args=(me,)) for me in range(THREADS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        return threads


def mixed(engine, folder, seconds):
    store = open_store(engine, folder)
    seen = []
    store.subscribe("*", lambda event: seen.append(event.seq))
    stress = Stress(store, engine in ("memory", "reference"))
    threads = stress.run(seconds)
    stress.stop = True
    for thread in threads:
        thread.join()
    assert not stress.errors, stress.errors
    store.flush()
    assert seen == sorted(seen) and len(set(seen)) == len(seen), "the events came out of order"
    assert store.verify()["errors"] == []
    assert stress.evicts or store.get("n", 0) == sum(stress.added), (store.get("n"), sum(stress.added))
    assert not store._flights
    if engine == "cascade":     # the tiers are equal, once what had a millisecond to live has ended in both
        time.sleep(0.05)
        slow = dict(store.slow.scan())
        assert {key: store.get(key) for key in [*KEYS, "n"] if key in store} == slow
    store.close()
    return sum(stress.counts)


def close_against_read(engine, folder, seconds):
    """Closing in the middle of everything: each thread gets ClosedError and nothing worse."""
    end = time.monotonic() + seconds
    calls = rounds = 0
    while time.monotonic() < end:
        store = open_store(engine, folder)
        stress = Stress(store, True)
        threads = stress.run(0.01)
        stress.stop = True      # from here on ClosedError is what a thread must get
        keep = [threading.Thread(target=until_closed, args=(stress, me)) for me in range(4)]
        for thread in keep:
            thread.start()
        store.close()
        for thread in [*threads, *keep]:
            thread.join()
        assert not stress.errors, stress.errors
        calls += sum(stress.counts)
        rounds += 1
    assert rounds
    return calls


def fork_against_all(engine, folder, seconds):
    """Children forked in the middle of everything find a whole store; so does the parent afterwards."""
    store = open_store(engine, folder)
    stress = Stress(store, True)
    threads = stress.run(0)
    end = time.monotonic() + seconds
    forks = 0
    try:
        while time.monotonic() < end:
            child = os.fork()
            if child == 0:
                in_the_child(store)
            _, status = os.waitpid(child, 0)
            assert status == 0, (f"child {forks} ended with {status} "
                                 f"({signal.Signals(status).name if status < 65 else ''})")
            forks += 1
    finally:        # else a failure would show as a hang: the threads go on for ever
        stress.stop = True
        for thread in threads:
            thread.join()
    assert not stress.errors, stress.errors
    assert forks and store.verify()["errors"] == []
    store.close()
    return sum(stress.counts)


def in_the_child(store):
    """Ends the process: 0 if all was well, a signal if it hangs."""
    status = 1
    try:
        signal.alarm(20)
        name = f"child {os.getpid()}"
        for value in store.get_many(KEYS):
            assert value is None or isinstance(value, (str, list))
        store[name] = "here"
        assert store[name] == "here" and store.get_or_compute(f"{name}!", lambda: 5) == 5
        assert store.delete(name)
        # Deletes elsewhere are told by marks of hashes: one of another key may keep this from being stored.
        assert store.delete(f"{name}!") or store.capabilities.shared
        status = 0
    finally:
        os._exit(status)


def until_closed(stress, me):
    rng = random.Random(me)
    try:
        while True:
            stress.one(me, rng)
            stress.counts[me] += 1
    except d43.ClosedError:
        pass
    except BaseException as error:
        stress.errors.append(f"{type(error).__name__}: {error}")


MODES = {"mixed": mixed, "close": close_against_read, "fork": fork_against_all}


def main(engine, mode, seconds):
    sys.setswitchinterval(1e-6)
    with tempfile.TemporaryDirectory() as folder:
        calls = MODES[mode](engine, folder, float(seconds))
    print(f"ok {calls}")


if __name__ == "__main__":
    main(*sys.argv[1:])

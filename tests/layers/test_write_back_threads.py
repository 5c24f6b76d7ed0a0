"""Write buffers under threads: what is read is never older than what the same thread has written or read."""

import random
import threading

from failing_layer import LIMIT, FailingLayer

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.layers import WriteBuffer


def together(*works):
    errors = []

    def run(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT * 3)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_what_one_writes_grows_for_all(tmp_path):
    """One writer a key counts up, with deletes between; readers never see a number go down."""
    store = WriteBuffer(d43.LmdbStore(tmp_path / "s", durability="none"), delay=0, max_dirty=20)
    keys, over = [f"k{i}" for i in range(40)], threading.Event()

    def write(mine):
        rng = random.Random(mine[0])
        for number in range(1500):
            key = rng.choice(mine)
            what = rng.random()
            if what < 0.5:
                store[key] = number
                assert store[key] == number
            elif what < 0.6:
                store.set_many({one: number for one in mine[:5]})
                assert store.get_many(mine[:5]) == [number] * 5
            elif what < 0.75:
                there = key in store
                assert store.delete(key) is there and key not in store
            elif what < 0.85:
                before = store.get(key)
                if before is not None:
                    assert store.incr(key, 1) == before + 1
            elif what < 0.9:
                store.touch(key, 100)
            elif what < 0.95:
                assert store.pop(key, MISSING) is MISSING or key not in store
            else:
                with store.transaction() as t:
                    t[key] = number
                assert store[key] == number

    def read():
        seen = {}
        while not over.is_set():
            for key in keys:
                value = store.get(key, MISSING)
                if value is not MISSING:
                    assert value >= seen.get(key, 0), key
                    seen[key] = value

    def flush():
        while not over.is_set():
            store.flush()
            assert sum(1 for _ in store.scan("k")) <= len(keys)

    def writers():
        try:
            together(*(lambda i=i: write(keys[i * 10:i * 10 + 10]) for i in range(4)))
        finally:
            over.set()
    together(writers, read, flush)
    held = store.get_many(keys, MISSING)
    store.close()
    with d43.LmdbStore(tmp_path / "s") as below:
        assert below.get_many(keys, MISSING) == held and below.verify()["errors"] == []


def test_a_key_is_taken_out_once(tmp_path):
    """Of all who delete or pop a key at the same time one gets it."""
    store = WriteBuffer(d43.LmdbStore(tmp_path / "s", durability="none"), delay=0)
    turns, taken, barrier = 300, [], threading.Barrier(4)

    def take(kind):
        for turn in range(turns):
            barrier.wait(LIMIT)
            if kind == 0:
                store[f"k{turn}"] = turn
                if turn % 2:
                    store.flush()
            barrier.wait(LIMIT)
            if store.delete(f"k{turn}") if kind % 2 else store.pop(f"k{turn}", MISSING) is not MISSING:
                taken.append(turn)
    together(*(lambda kind=kind: take(kind) for kind in range(4)))
    assert sorted(taken) == list(range(turns))
    store.close()


def test_transfers_between_keys_keep_their_sum(tmp_path):
    """Transactions, beside plain sets of other keys and flushes: none sees half of another."""
    store = WriteBuffer(d43.LmdbStore(tmp_path / "s", durability="none"), delay=0)
    keys = [f"k{i}" for i in range(4)]
    store.set_many(dict.fromkeys(keys, 100))

    def transfer(seed):
        rng = random.Random(seed)
        for _ in range(150):
            a, b = rng.sample(keys, 2)
            try:
                with store.transaction() as t:
                    amount = rng.randrange(10)
                    t[a], t[b] = t[a] - amount, t[b] + amount
            except d43.errors.ConflictError:
                pass
            store[f"other{seed}"] = seed
            try:
                with store.transaction() as t:
                    assert sum(t.get_many(keys)) == 400
            except d43.errors.ConflictError:
                pass
    together(*(lambda seed=seed: transfer(seed) for seed in range(3)))
    assert sum(store.get_many(keys)) == 400
    store.close()


def test_under_a_memory_tier_nothing_old_comes_back(tmp_path):
    """The write-back cascade: of one writer and many readers nobody reads what was overwritten or deleted."""
    buffer = WriteBuffer(FailingLayer(d43.LmdbStore(tmp_path / "s", durability="none")), delay=0, max_dirty=50)
    store = d43.cascade(d43.MemoryStore(max_entries=20), buffer)
    keys, over, floor = [f"k{i}" for i in range(30)], threading.Event(), {}

    def write():
        rng = random.Random(1)
        try:
            for number in range(1, 4000):
                key = rng.choice(keys)
                if rng.random() < 0.3:
                    store.delete(key)
                else:
                    store[key] = number
                floor[key] = number     # what is read from now on is of this write or a later one
        finally:
            over.set()

    def read():
        while not over.is_set():
            for key in keys:
                least = floor.get(key, 0)
                value = store.get(key)
                assert value is None or value >= least, key
    together(write, read, read)
    held = store.get_many(keys)
    assert store.verify()["errors"] == []
    store.close()
    with d43.LmdbStore(tmp_path / "s") as below:
        assert below.get_many(keys) == held

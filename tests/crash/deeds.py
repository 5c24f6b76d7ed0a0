"""What the recorded threads do, each from a seed and under keys of its own: the test knows the state after each deed.

Run with the recorder preloaded: directory, durability, seed, threads, deeds of each, sync interval, and then the parts
of the work, of three: 0 ends with a kill, 1 opens the store again and makes a backup, the others close it as well.
The process says in its records when a deed begins and when it was acknowledged: ``b 2 17``, ``a 2 17``, or ``d 2 17``
if it has synced.
"""

import ctypes
import os
import random
import signal
import sys
import threading

from door43fast.errors import Error

LARGE = 1_200_000       # bytes; kept in chunks
PARTS = 3
FAILED = []
SIZES = [3, 10, 10, 100, 100, 700, 3000, 9000]


def deeds(seed, thread, count):
    """Pairs of (what is done, what has changed: keys and values, None for one that is gone)."""
    rng = random.Random(f"{seed}/{thread}")
    held, large = {}, 0

    def key():
        return f"t{thread}:{rng.choice('ab')}{rng.randrange(25):02}"

    def value():
        return rng.randbytes(rng.choice(SIZES))

    for number in range(count):
        chance = rng.random()
        if number in (count // 3, count * 2 // 3):
            what, change = "large" if large else "stream", {f"t{thread}:large": rng.randbytes(LARGE)}
            large += 1
        elif chance < 0.62:
            what, change = "set", {key(): value()}
        elif chance < 0.63:
            what, change = "durable", {key(): value()}
        elif chance < 0.70:
            what, change = "batch", {key(): value() for _ in range(8)}
        elif chance < 0.78:
            what, change = "transaction", {key(): rng.choice([None, value()]) for _ in range(5)}
        elif chance < 0.90:
            what, change = "delete", {key(): None}
        elif chance < 0.96:
            what, change = "delete_many", {key(): None for _ in range(4)}
        elif chance < 0.99:
            what, change = "clear", dict.fromkeys([k for k in held if k[3:4] == "b"])
        else:
            what, change = "flush", {}
        for name, new in change.items():
            held.pop(name, None) if new is None else held.__setitem__(name, new)
        yield what, change


def do(store, thread, what, change):
    if what in ("set", "large"):
        (key, value), = change.items()
        store.set(key, value, ttl=3600 if len(value) == 100 else None, tags=("t",) if len(value) == 700 else ())
    elif what == "durable":
        (key, value), = change.items()
        store.set(key, value, durable=True)
    elif what == "stream":
        (key, value), = change.items()
        with store.writer(key) as file:
            for at in range(0, len(value), 300_000):
                file.write(value[at:at + 300_000])
    elif what == "batch":
        store.set_many(change)
    elif what == "transaction":
        with store.transaction() as t:
            for key, value in change.items():
                t.delete(key) if value is None else t.set(key, value)
    elif what == "delete":
        store.delete(*change)
    elif what == "delete_many":
        store.delete_many(list(change))
    elif what == "clear":
        store.clear(f"t{thread}:b")
    else:
        store.flush()


def work(store, thread, note, taken):
    for number, (what, change) in taken:
        note(f"b {thread} {number}".encode())
        try:
            do(store, thread, what, change)
        except Error as error:          # of a sync that failed: nothing more is tried
            FAILED.append(error)
            return
        note(f"{'d' if what in ('durable', 'flush') else 'a'} {thread} {number}".encode())


def main(path, durability, seed, threads, count, interval, *parts):
    from door43fast.lmdb import LmdbStore, compact

    note = ctypes.CDLL(None).d43_note
    todo = [list(enumerate(deeds(seed, thread, count))) for thread in range(threads)]
    for part in parts:
        with LmdbStore(f"{path}/s", durability=durability, sync_interval=interval, map_size=64 << 20,
                       journal={"max_bytes": None, "max_age": None}) as store:
            if part:
                note(b"closed")         # if not by its last process then by this one
            workers = [threading.Thread(target=work, args=(store, thread, note, todo[thread][
                part * count // PARTS:(part + 1) * count // PARTS])) for thread in range(threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            if part == 0 and not FAILED:
                os.kill(os.getpid(), signal.SIGKILL)
            if part == 1:
                note(b"backup")
                store.backup(f"{path}/copy")
                note(b"backed up")
        note(b"closed")
        if part == 1:
            compact(f"{path}/s")
            note(b"compacted")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:6]), float(sys.argv[6]), *map(int, sys.argv[7:]))

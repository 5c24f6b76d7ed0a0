"""A process that counts: write n sets key n modulo KEYS to n, so that a store tells which write was its last.

Arguments: directory, sync interval. Says ``r`` once it is at work, and ends when its input does. With the directory
alone it opens a store after a power loss, and says after which write it is; ``wrong`` if after none.
"""

import random
import sys
import threading

KEYS = 400


def value(n):
    return n.to_bytes(8, "little") + random.Random(n).randbytes(random.Random(n).choice([0, 60, 900, 5000]))


def after(n):
    """What the store holds after write ``n``."""
    return {f"k{m % KEYS}": value(m) for m in range(max(0, n - KEYS + 1), n + 1)}


def tell(path):
    from door43fast.lmdb import LmdbStore

    with LmdbStore(path, durability="batch") as store:
        held = dict(store.scan())
        assert store.verify()["checked"] == len(held)
    n = max(int.from_bytes(value[:8], "little") for value in held.values())
    print(n if held == after(n) else "wrong")


def count(path, interval):
    from door43fast.lmdb import LmdbStore

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with LmdbStore(path, durability="batch", sync_interval=interval) as store:
        n = 0
        while not ended.is_set():
            store[f"k{n % KEYS}"] = value(n)
            if n == KEYS:
                store.flush()
                print("r", flush=True)
            n += 1


if __name__ == "__main__":
    if len(sys.argv) == 2:
        tell(sys.argv[1])
    else:
        count(sys.argv[1], float(sys.argv[2]))

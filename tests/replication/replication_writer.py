"""A process that writes to a replicated store from four threads until it has done all or is killed.

Each thread has keys of its own, and notes in a file what it began and what was acknowledged: the same operations made
again in a dict tell what must be there. ``python replication_writer.py FOLDER REDIS CONSISTENCY COUNT``.
"""

import os
import struct
import sys
import threading
import time

import door43fast as d43

THREADS = 4
ENTRY = struct.Struct("<cI")


def operation(store, thread, i):
    """Operation number ``i`` of a thread; on a store or on a dict-like model of one."""
    if i % 50 == 7:
        with store.transaction() as t:
            t[f"{thread}/x"] = i
            t[f"{thread}/y"] = i
    elif i % 10 == 3:
        store.set_many({f"{thread}/b{j}": i for j in range(10)})
    elif i % 7 == 5:
        store.delete(f"{thread}/k{i * 13 % 500}")
    elif i % 11 == 2:
        store.incr(f"{thread}/n")
    else:
        store.set(f"{thread}/k{i % 500}", i)


class Model(dict):
    """What a store holds after some operations."""

    def set(self, key, value):
        self[key] = value

    def delete(self, key):
        self.pop(key, None)

    def set_many(self, items):
        self.update(items)

    def incr(self, key):
        self[key] = self.get(key, 0) + 1

    def transaction(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def write(store, thread, count, folder):
    """Until each operation was carried out; one that was not acknowledged is noted, and not made again."""
    file = os.open(os.path.join(folder, f"acknowledged{thread}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for i in range(count):
        os.write(file, ENTRY.pack(b"b", i))
        while True:
            try:
                operation(store, thread, i)
            except d43.ReplicationError as error:
                if not error.done:      # nothing was written
                    time.sleep(0.01)
                    continue
                os.write(file, ENTRY.pack(b"u", i))
            else:
                os.write(file, ENTRY.pack(b"a", i))
            break
    os.close(file)


def noted(folder, thread):
    """The last operation that was begun, and the last that was acknowledged; -1 for none."""
    with open(os.path.join(folder, f"acknowledged{thread}"), "rb") as file:
        data = file.read()
    begun = acknowledged = -1
    for kind, i in ENTRY.iter_unpack(data[:len(data) // ENTRY.size * ENTRY.size]):
        begun = max(begun, i)
        acknowledged = i if kind == b"a" else acknowledged
    return begun, acknowledged


def opened(folder, redis, consistency):
    return d43.open({"strategy": "replicated", "consistency": consistency, "timeout": "500ms", "layers": [
        {"type": "lmdb", "path": os.path.join(folder, "primary"), "journal": True, "durability": "none"},
        {"type": "redis", "url": redis, "timeout": "200ms"},
        {"type": "lmdb", "path": os.path.join(folder, "copy"), "journal": True, "durability": "none"}]})


if __name__ == "__main__":
    place, server, wanted, total = sys.argv[1:]
    with opened(place, server, wanted) as replicated:
        replicated.wait_for(timeout=20)
        threads = [threading.Thread(target=write, args=(replicated, n, int(total) // THREADS, place))
                   for n in range(THREADS)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        print("done", flush=True)
        time.sleep(60)

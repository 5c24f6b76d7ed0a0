"""Sets of stores for the tests of replication, every kind of write, and what says that members are equal."""

import hashlib
import time

import door43fast as d43
from door43fast.replication.head import KEYS

START = {"a": 1, "n": 5, "p/1": b"one", "p/2": b"two", "q": [1, 2], "t": "text"}


def members(kind, folder, count=3):
    """A primary and replicas: in memory, or on disk with a journal."""
    if kind == "memory":
        return [d43.MemoryStore() for _ in range(count)]
    return [d43.LmdbStore(folder / f"m{i}", durability="none", journal=i == 0 or None) for i in range(count)]


def lmdb(path, **options):
    return d43.LmdbStore(path, durability="none", **options)


def open_pair(folder, consistency="strong", journal=True, **options):
    return d43.replicated(lmdb(folder / "p", journal=journal), [lmdb(folder / "r")], consistency, **options)


def told(store, number=0):
    """The row of a replica in the stats."""
    return store.stats()["replication"]["replicas"][number]


def in_transaction(store):
    with store.transaction() as t:
        t["a"] = t["a"] + 1
        t["new"] = "x"
        t.delete("q")


WRITES = {
    "set": lambda s: s.set("a", 2),
    "set with ttl": lambda s: s.set("a", 2, ttl=500),
    "s[k] = v": lambda s: s.__setitem__("z", None),
    "delete": lambda s: s.delete("a"),
    "del s[k]": lambda s: s.__delitem__("a"),
    "pop": lambda s: s.pop("a"),
    "popitem": lambda s: s.popitem(),
    "touch": lambda s: s.touch("a", 700),
    "add": lambda s: s.add("new", 1),
    "replace": lambda s: s.replace("a", 1, 3),
    "incr": lambda s: s.incr("n", 3),
    "setdefault": lambda s: s.setdefault("new", 4),
    "set_many": lambda s: s.set_many({"a": 9, "b": 8, "c": 7}),
    "update": lambda s: s.update(a=9, y=2),
    "delete_many": lambda s: s.delete_many(["a", "q", "nothing"]),
    "set_packed": lambda s: s.set_packed(["a", "k"], b"1234", [0, 2, 4]),
    "transaction": in_transaction,
    "get_or_compute": lambda s: s.get_or_compute("new", lambda: 5),
    "clear": lambda s: s.clear("p/"),
    "clear all": lambda s: s.clear(),
    "writer": lambda s: written(s),
}


def written(store):
    with store.writer("w") as file:
        file.write(b"streamed")


def held(store):
    """What a member holds, without its head."""
    return {key: value for key, value in store.items() if key not in KEYS}


def digest(store):
    """A hash over all records, in the order of keys."""
    told = hashlib.blake2b()
    for key, value in sorted(held(store).items()):
        told.update(repr((key, value)).encode())
    return told.hexdigest()


def until(condition, seconds=20):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(0.005)

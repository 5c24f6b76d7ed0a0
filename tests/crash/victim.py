"""The store that is damaged: records in pages and in pages of their own, deadlines, tags, a journal, free pages."""

import random

from door43fast.lmdb import LmdbStore

ABSENT = ("tagged", "k0055", "a", "z", "gone3")     # of them ``tagged`` is held, but its tag was invalidated


def model():
    """What the store holds and gives."""
    rng = random.Random(3)
    return {f"k{i:03}": rng.randbytes(rng.choice([3, 40, 200, 200, 900, 5000])) for i in range(160)}


def make(path):
    """Written in several transactions, so that there are free pages too."""
    held = model()
    with LmdbStore(path, durability="none", journal=True) as store:
        store.set_many({f"gone{i}": bytes(3000) for i in range(60)})
        store.set("tagged", b"old", tags=["old"])
        for i, (key, value) in enumerate(held.items()):
            store.set(key, value, ttl=10**7 if i % 3 == 0 else None, tags=["live", "old2"] if i % 5 == 0 else ())
        store.invalidate("old")
        store.delete_many([f"gone{i}" for i in range(60)])

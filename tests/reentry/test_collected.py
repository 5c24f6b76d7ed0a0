"""A read makes objects, which may collect garbage, whose finalizer takes out just what is being read."""

import gc
from contextlib import suppress

import pytest

import door43fast as d43

ROUNDS = 40

READS = {
    "get": lambda s: s.get("k"),
    "get by name": lambda s: s.get(key="k", default=None),
    "[]": lambda s: s["k"] if "k" in s else None,
    "get_many": lambda s: s.get_many(["other", "k"])[1],
    "get_or_compute": lambda s: s.get_or_compute("k", lambda: None),
    "scan": lambda s: next((value for _, value in s.scan("k")), None),
    "transaction": lambda s: read_only(s),
    "pop": lambda s: s.pop("k", None),
}


def read_only(store):
    with suppress(d43.ConflictError), store.transaction() as t:
        value = t.get("k")
    return value


class Evicts:
    """In a cycle with itself, and so collected when the collector comes by; it leaves other objects in the room."""

    def __init__(self, take_out):
        self.take_out, self.me = take_out, self

    def __del__(self):
        self.take_out()
        self.room = [[i, i] for i in range(50)]


def memory(folder):
    return d43.MemoryStore()


def cascade(folder):
    return d43.open(folder, memory="1MB", durability="none")


def over_memory(folder):
    return d43.cascade(d43.MemoryStore(), d43.MemoryStore())


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("make", [memory, cascade, over_memory], ids=lambda make: make.__name__)
def test_what_is_read_stays_while_a_finalizer_takes_it_out(tmp_path, make, name):
    gc.collect()
    gc.freeze()         # what other tests have left alive is not walked over at each of the thousands of collections
    with make(tmp_path) as store:
        top = getattr(store, "fast", store)
        threshold = gc.get_threshold()
        for n in range(ROUNDS):
            store["k"] = ["k", n]
            store.get("k")      # in a cascade it goes up
            gc.collect()
            Evicts(lambda: top.delete("k"))
            for after in range(1, 4):       # how many objects are made before the collector comes by
                gc.set_threshold(after)
                try:
                    got = READS[name](store)
                except KeyError:        # it was taken out between the two looks
                    got = None
                finally:
                    gc.set_threshold(*threshold)
                assert got in (["k", n], None), got
                assert got is not None or store is top or name in ("pop", "get_or_compute")
        gc.collect()

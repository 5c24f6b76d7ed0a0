"""A batch is read at one instant, though memory has some of its keys and the store below the others."""

import threading

import pytest

import door43fast as d43
from door43fast.testing.faults import Faulty

ONES, TWOS = {"a": 1, "b": 1}, {"a": 2, "b": 2}


def stacked(slow, **options):
    """``a`` is in memory, ``b`` below alone."""
    memory = d43.MemoryStore(**options)
    store = d43.cascade(memory, slow)
    store.set_many(ONES)
    assert store["a"] == 1
    memory.delete("b")
    assert "a" in memory and "b" not in memory
    return store


def commit(store):
    with store.transaction() as t:
        t["a"] = t["b"] = 2


WRITES = {"set_many": lambda store: store.set_many(TWOS), "commit": commit,
          "one by one": lambda store: (store.set("a", 2), store.set("b", 2)), "clear": lambda store: store.clear(),
          "delete_many": lambda store: store.delete_many(["a", "b"])}


@pytest.fixture(params=["lmdb", "memory"])
def below(request, tmp_path):
    with (d43.LmdbStore(tmp_path / "store", durability="none") if request.param == "lmdb" else d43.MemoryStore()) as it:
        yield Faulty(it)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_write_between_the_two_parts(below, write, after):
    store = stacked(below)
    below.meanwhile(lambda: WRITES[write](store), key="b", after=after)
    last = [None, None] if write in ("clear", "delete_many") else [2, 2]
    assert store.get_many(["a", "b"]) in ([1, 1], last)
    assert store.get_many(["a", "b"]) == last
    assert store.contains_many(["a", "b"]) == [one is not None for one in last]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_the_store_below_has_and_memory_not_yet(below, write):
    store, seen = stacked(below), []
    below.meanwhile(lambda: seen.append(store.get_many(["a", "b"])), write if write != "one by one" else "set")
    if write == "commit":
        below.forget()
        below.meanwhile(lambda: seen.append(store.get_many(["a", "b"])), "_commit")
    WRITES[write](store)
    [values] = seen
    assert values in ([1, 1], [2, 2], [None, None], [1, 1] if write != "one by one" else [2, 1])


def test_a_write_of_another_between_the_two_parts(tmp_path):
    below = Faulty(d43.LmdbStore(tmp_path / "store", durability="none"))
    with d43.LmdbStore(tmp_path / "store", durability="none") as other, stacked(below) as store:
        below.meanwhile(lambda: commit(other), key="b")
        assert store.get_many(["a", "b"]) in ([1, 1], [2, 2])
        assert store.get_many(["a", "b"]) == [2, 2]


def test_memory_that_is_being_filled():
    """A weigher is called for each value that goes up, and may read."""
    seen = []
    store = None

    def weigh(key, value):
        if store is not None and value == 2:
            seen.append(store.get_many(["a", "b"]))
        return 100

    with d43.cascade(d43.MemoryStore(max_bytes=1 << 20, weigher=weigh), d43.LmdbStore("filled")) as store:
        store.set_many(ONES)
        assert store.get_many(["a", "b"]) == [1, 1]
        store.set_many(TWOS)
        assert len(seen) >= 2 and all(values == [2, 2] for values in seen)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_readers_beside_a_writer(tmp_path):
    """Both keys always hold the same number, and what a reader sees does not go back."""
    keys = [f"k{number}" for number in range(8)]
    with d43.cascade(d43.MemoryStore(max_entries=5), d43.LmdbStore(tmp_path / "s", durability="none")) as store:
        store.set_many(dict.fromkeys(keys, 0))
        wrong, over = [], threading.Event()

        def read():
            last = 0
            while not over.is_set():
                values = store.get_many(keys)
                if len(set(values)) != 1 or values[0] < last:
                    wrong.append(values)
                    return
                last = values[0]

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(1, 1500):
            if number % 2:
                store.set_many(dict.fromkeys(keys, number))
            else:
                with store.transaction() as t:
                    for key in keys:
                        t[key] = number
        over.set()
        for reader in readers:
            reader.join()
        assert not wrong, wrong[0]

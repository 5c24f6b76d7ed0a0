"""A store goes where the work goes: by fork, spawn and forkserver, as an argument, as an attribute, into pools.

Where the child does not inherit the store it gets its plan, and opens the same directory by itself.
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

import door43fast as d43

METHODS = ("fork", "spawn", "forkserver")
VERSES = {f"verse/{n:03}": f"text {n}" for n in range(200)}


class Verses:
    """A data set as a training loop has it: made in the parent, read by index in its workers."""

    def __init__(self, store):
        self.store = store

    def __getitem__(self, n):
        return os.getpid(), self.store[f"verse/{n:03}"]


def answer(store, key, queue):
    """What a child makes of the store that it was given: it reads, writes, and closes its own."""
    store[f"from/{key}"] = store[key].upper()
    queue.put((os.getpid(), store.get_many([key, "nowhere"]), store.count("verse/")))
    store.close()


OPEN = {
    "lmdb": lambda path: d43.LmdbStore(path, durability="none"),
    "batch": lambda path: d43.LmdbStore(path, durability="batch", sync_interval=0.01, compression="zstd"),
    "open": lambda path: d43.open(path, durability="none"),
    "plan": lambda path: d43.open({"strategy": "cascade", "layers": [
        {"type": "memory", "max_entries": 50}, {"type": "lmdb", "path": str(path), "durability": "none"}]}),
}


@pytest.fixture(params=OPEN)
def store(request, tmp_path):
    with OPEN[request.param](tmp_path / "store") as store:
        store.set_many(VERSES)
        yield store


@pytest.mark.parametrize("method", METHODS)
def test_a_process_is_given_an_open_store(store, method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    keys = ["verse/001", "verse/199"]
    running = [context.Process(target=answer, args=(store, key, queue)) for key in keys]
    for process in running:
        process.start()
    seen = [queue.get(timeout=60) for _ in running]
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    assert {values[0] for _, values, _ in seen} == {VERSES[key] for key in keys}
    assert all(values[1] is None and count == len(VERSES) for _, values, count in seen)
    assert len({pid for pid, _, _ in seen} | {os.getpid()}) == 3
    assert [store[f"from/{key}"] for key in keys] == [VERSES[key].upper() for key in keys]


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_reads_through_an_object_that_holds_a_store(store, method):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        seen = list(pool.map(Verses(store).__getitem__, range(len(VERSES)), chunksize=20, timeout=60))
    assert [text for _, text in seen] == list(VERSES.values())
    assert os.getpid() not in {pid for pid, _ in seen}
    store["verse/000"] = "after the pool"
    assert store["verse/000"] == "after the pool"


def test_memory_alone_is_not_sent_away_empty():
    with pytest.raises(TypeError, match="MemoryStore"), ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(len, d43.MemoryStore()).result(timeout=60)

"""Write-back as it is asked for: of ``open``, of plans, of ``cascade``; and what others write below it."""

import pickle

import pytest

import door43fast as d43
from door43fast import errors
from door43fast.contracts import Capabilities
from door43fast.layers import WriteBuffer
from test_write_buffer import Buffered

LMDB = {"type": "lmdb"}


class TestWriteBackCascade(Buffered):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)

    def make_store(self, **options):
        return d43.open(self.folder / self.fresh_name(), durability="none", write="back", delay=60, **options)

    def open_backup(self, path):
        return d43.open(path)


def ways(folder):
    """Each way to ask for it."""
    yield lambda: d43.open(folder / "a", write="back", delay=50, max_dirty=7)
    yield lambda: d43.open(folder / "b", write="back", delay="50s", max_dirty=7, memory=0)
    yield lambda: d43.open(f"lmdb:///{folder}/c?write=back&delay=50s&max_dirty=7", memory="1MB")
    yield lambda: d43.open({"type": "lmdb", "path": f"{folder}/d", "write": "back", "delay": "50s", "max_dirty": 7})
    yield lambda: d43.open({"strategy": "cascade", "write": "back", "delay": 50, "max_dirty": 7, "layers": [
        {"type": "memory"}, {"type": "memory"}, {"type": "lmdb", "path": f"{folder}/e"}]})
    yield lambda: d43.open(f"sqlite:///{folder}/f?write=back&delay=50s&max_dirty=7", memory="1MB")


@pytest.mark.parametrize("way", range(6))
def test_it_is_asked_for(tmp_path, way):
    opening = list(ways(tmp_path))[way]
    store = opening()
    buffer = store
    while not isinstance(buffer, WriteBuffer):
        buffer = buffer.slow
    assert (buffer.delay, buffer.max_dirty) == (50, 7)
    store["a"] = 1
    assert "a" not in buffer.slow and store["a"] == 1 and buffer.stats()["buffer"]["dirty"] == 1
    other = pickle.loads(pickle.dumps(store))
    if isinstance(store, WriteBuffer):
        assert other["a"] == 1
    store.flush()
    assert other["a"] == 1
    while not isinstance(other, WriteBuffer):
        other = other.slow
    assert (other.delay, other.max_dirty) == (50, 7)
    store["b"] = 2
    store.close()
    other.close()
    with opening() as store:
        assert store["b"] == 2


@pytest.mark.parametrize("memory", [[{"type": "memory"}], []], ids=["under memory", "at the top"])
def test_no_layer_that_outlives_the_process_runs_ahead_of_another(tmp_path, memory):
    """A disk over a slower store has a value no earlier than that store: a kill in between leaves nothing new above."""
    plan = {"strategy": "cascade", "write": "back", "delay": 50, "layers": [
        *memory, {"type": "lmdb", "path": str(tmp_path / "upper")}, {"type": "lmdb", "path": str(tmp_path / "lower")}]}
    with d43.open(plan) as store:
        store["a"] = "old"
        store.flush()
        store["a"] = "new"
        assert store["a"] == store.get("a") == "new"
        buffer = store if isinstance(store, WriteBuffer) else store.slow
        upper, lower = buffer.slow.fast, buffer.slow.slow
        assert lower["a"] == "old" and upper.get("a", "old") == "old"
        other = pickle.loads(pickle.dumps(store))
        store.flush()
        assert lower["a"] == "new" and upper.get("a", "new") == "new" and other["a"] == "new"
        other.close()
    with d43.cascade(d43.LmdbStore(tmp_path / "x"), d43.LmdbStore(tmp_path / "y"), write="back") as store:
        store["a"] = 1
        assert isinstance(store, WriteBuffer) and store["a"] == 1


def test_of_two_open_stores():
    below = d43.MemoryStore()
    with d43.cascade(d43.MemoryStore(), below, write="back", delay=50) as store:
        store["a"] = 1
        assert "a" not in below and store["a"] == 1
        store.flush()
        assert below["a"] == 1


def test_the_memory_above_has_what_was_set(tmp_path):
    """It need not be read first; and the store's own time to live is known there."""
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    with d43.open(tmp_path / "s", durability="none", write="back", delay=50, ttl=10, clock=clock) as store:
        store.set("a", "text", ttl=5)
        store["b"] = 1
        store["list"] = [1]
        assert store.fast.get("a") == "text" and store.fast.get("b") == 1 and "list" not in store.fast
        assert store["list"] == [1]
        clock.advance(6)
        assert store.get("a") is None and store.fast.get("b") == 1
        clock.advance(5)
        assert store.get("b") is None and "b" not in store.fast


@pytest.mark.parametrize("options", [{"delay": 1}, {"max_dirty": 5}, {"write": "bak"}, {"write": "through", "delay": 1},
                                     {"write": "back", "max_dirty": 0}, {"write": "back", "delay": -1}], ids=repr)
def test_what_has_no_effect_or_no_meaning_is_refused(tmp_path, options):
    with d43.MemoryStore() as fast, d43.MemoryStore() as slow, pytest.raises(errors.ConfigError):
        d43.cascade(fast, slow, **options)
    with pytest.raises(errors.ConfigError):
        d43.open(tmp_path / "s", **options)
    with pytest.raises(errors.ConfigError):
        d43.open({"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "memory"}], **options})
    with d43.open(tmp_path / "s") as store:     # nothing of it has stayed open
        store["a"] = 1


@pytest.mark.parametrize("journal", [True, None])
def test_what_others_write_below_leaves_the_memory(tmp_path, journal):
    other = d43.LmdbStore(tmp_path / "s", durability="none", journal=journal)
    with d43.open(tmp_path / "s", durability="none", write="back", delay=50) as store:
        other.set_many({"a": 1, "b": 1})
        assert store.get_many(["a", "b"]) == [1, 1] and store.get("a") == 1
        other["a"] = 2
        assert store.get("a") == 2 and store.get_many(["a", "b"]) == [2, 1]
        store["a"] = 3
        other["a"] = 4
        assert store["a"] == 3      # it is dirty, and its flush will be the last
        store.flush()
        assert other["a"] == 3
        other.delete("a")
        assert "a" not in store and store.get("a") is None
    other.close()


def test_our_own_flushes_take_nothing_out_of_the_memory(tmp_path):
    with d43.open(tmp_path / "s", durability="none", write="back", journal=True) as store:
        for i in range(200):
            store[f"k{i}"] = i
            assert store.get(f"k{i}") == i
        store.flush()
        hits = store.stats()["layers"][0]["hits"]
        assert [store.get(f"k{i}") for i in range(200)] == list(range(200))
        assert store.stats()["layers"][0]["hits"] == hits + 200
        assert store.stats()["coherence"] == {"dropped": 0, "emptied": 0}


def test_what_the_disk_evicts_leaves_the_memory(tmp_path):
    with d43.open(tmp_path / "s", durability="none", write="back", max_bytes="2MB", memory="64MB") as store:
        for i in range(400):
            store[f"k{i:03}"] = bytes(20_000)
            store.get(f"k{i:03}")
        store.flush()
        held = {key for key, _ in store.scan()}
        assert len(held) < 200 and [f"k{i:03}" in store for i in range(400)] == [f"k{i:03}" in held for i in range(400)]


def test_what_the_store_below_has_besides(tmp_path):
    with d43.open(tmp_path / "s", compression="zstd", write="back", delay=50) as store:
        store.set_many({f"k{i}": {"text": "in the beginning" * 5, "n": i} for i in range(300)})
        assert store.train()
        assert store.readers() is not None and store.clear_readers() == 0
    with d43.cascade(d43.MemoryStore(), WriteBuffer(d43.MemoryStore())) as store:
        with pytest.raises(errors.UnsupportedError):
            store.readers()

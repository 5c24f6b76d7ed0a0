"""Warm starts: what was hot is in memory at once, with the values of now, and nothing else than time is ever lost."""

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from failing_layer import LIMIT, FailingLayer, wait_for
from warm_process import HOT

import door43fast as d43
from door43fast import errors
from door43fast.plans import warmth
from door43fast.plans.hotlist import HEAD, read, write
from door43fast.plans.warmth import warmed

SCRIPT = Path(__file__).with_name("warm_process.py")


def run(what, folder):
    done = subprocess.run([sys.executable, str(SCRIPT), what, str(folder)], capture_output=True, text=True,
                          timeout=LIMIT * 3)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def opened(folder, **options):
    return d43.open(folder, warm=True, durability="none", **{"warm_within": LIMIT, **options})


@pytest.fixture
def folder(tmp_path):
    """Of a store with ten keys that were read."""
    with opened(tmp_path / "s") as store:
        store.set_many({f"k{i}": i for i in range(10)})
        assert store.get_many([f"k{i}" for i in range(10)]) == list(range(10))
    return tmp_path / "s"


def test_another_process_has_its_hits_at_once(tmp_path):
    run("fill", tmp_path / "s")
    told = run("read", tmp_path / "s")
    assert told["values"] == list(range(0, 4000, 8)) and told["warm"]["found"] >= len(HOT)
    assert told["hits"] == len(HOT) and told["below"] == 0
    again = run("read", tmp_path / "s")     # and what it read, it remembers too
    assert again["hits"] == len(HOT)


def test_without_it_there_are_none(tmp_path):
    run("fill", tmp_path / "s")
    with d43.open(tmp_path / "s", durability="none") as store:
        assert store.get_many(HOT) and store.stats()["layers"][0]["hits"] == 0 and "warm" not in store.stats()


def test_a_killed_process_leaves_what_it_wrote_last(tmp_path):
    process = subprocess.Popen([sys.executable, str(SCRIPT), "wait", str(tmp_path / "s")], stdout=subprocess.PIPE,
                               text=True)
    while (line := process.stdout.readline()) != "True\n":
        assert line, "it has ended"
    process.kill()
    process.wait(LIMIT)
    process.stdout.close()
    assert run("read", tmp_path / "s")["hits"] == len(HOT)


def test_values_are_those_of_now(folder):
    with d43.LmdbStore(folder) as other:
        other["k1"] = "new"
        other.delete("k2")
        other.set("k3", 1, ttl=0)
        other.set("k4", "tagged", tags=("t",))
        other.invalidate("t")
    with opened(folder) as store:
        assert store.stats()["warm"]["asked"] == 10 and store.stats()["warm"]["found"] == 7
        assert store.get_many([f"k{i}" for i in range(6)]) == [0, "new", None, None, None, 5]
        assert {key for key in store.fast} == {"k0", "k1", "k5", "k6", "k7", "k8", "k9"}
    assert sorted(read(str(folder / "warm"), 100)[0]) == ["k0", "k1", "k5", "k6", "k7", "k8", "k9"]


def test_deadlines_go_up_with_them(tmp_path):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    with opened(tmp_path / "s", clock=clock) as store:
        store.set("a", 1, ttl=10)
        assert store.get("a") == 1
    clock.advance(5)
    with opened(tmp_path / "s", clock=clock) as store:
        assert store.fast["a"] == 1
        clock.advance(6)
        assert store.get("a") is None and "a" not in store.fast


def test_what_is_deleted_while_it_is_read_does_not_come_back(tmp_path):
    below = FailingLayer(d43.LmdbStore(tmp_path / "s"))
    below["a"] = "old"
    write(str(tmp_path / "s" / "warm"), ["a"])
    store = d43.cascade(d43.MemoryStore(), below)
    below.read_gate = gate = threading.Event()
    warmed(store, 0.01, None)       # returns, though the layer does not answer
    assert below.entered.wait(LIMIT)
    below.read_gate = None
    assert store.delete("a") is True
    gate.set()
    wait_for(store.warmth._filled.is_set)
    assert store.get("a") is None and "a" not in store.fast
    store.close()


def test_a_slow_layer_holds_nobody_up(tmp_path):
    """The opening returns while the layer hangs, the store works, and no further batch is asked for."""
    below = FailingLayer(d43.LmdbStore(tmp_path / "s"))
    below.set_many({f"k{i}": i for i in range(1000)})
    write(str(tmp_path / "s" / "warm"), [f"k{i}" for i in range(1000)])
    store = d43.cascade(d43.MemoryStore(), below)
    below.read_gate = gate = threading.Event()
    warmed(store, 0.01, None)
    below.read_gate = None
    assert store.get("k999") == 999
    gate.set()
    wait_for(store.warmth._filled.is_set)
    told = store.stats()["warm"]
    assert told["asked"] == warmth.SMALL and told["note"] is None
    store.close()       # what there was no time for is remembered all the same
    assert set(read(str(tmp_path / "s" / "warm"), 2000)[0]) == {f"k{i}" for i in range(1000)}


def test_a_layer_of_which_batches_do_not_go_up(tmp_path):
    below = FailingLayer(d43.LmdbStore(tmp_path / "s"))
    below.set_many({f"k{i}": i for i in range(300)})
    write(str(tmp_path / "s" / "warm"), [f"k{i}" for i in range(300)])
    with d43.cascade(d43.MemoryStore(), below) as store:
        warmed(store, LIMIT, None)
        assert len(store.fast) == 300 == store.stats()["warm"]["found"]


def test_a_layer_that_fails_is_noted(tmp_path):
    class Deaf(FailingLayer):
        def _ask_keys(self, call):
            raise OSError("deaf")

    write(str(tmp_path / "warm"), ["a"])
    below = Deaf(d43.LmdbStore(tmp_path))
    with d43.cascade(d43.MemoryStore(), below) as store:
        warmed(store, LIMIT, None)
        assert "deaf" in store.stats()["warm"]["note"]
        store["b"] = 1
        assert store.get("b") == 1


DAMAGES = {
    "empty": lambda data: b"", "cut": lambda data: data[:-1], "short": lambda data: data[:10],
    "longer": lambda data: data + b"x", "foreign": lambda data: b"something else entirely, of some length, you know",
    "newer": lambda data: data[:8] + b"\x02" + data[9:], "body": lambda data: data[:-3] + b"\x00" + data[-2:],
    "digest": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_ignored(folder, damage):
    path = folder / "warm"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with opened(folder) as store:
        told = store.stats()["warm"]
        assert told["asked"] == 0 and "warm" in told["note"] and store.get("k1") == 1
    with opened(folder) as store:       # and written anew
        assert store.stats()["warm"]["note"] is None and list(store.fast) == ["k1"]


def test_every_flipped_bit_is_noticed(folder):
    path = folder / "warm"
    data = path.read_bytes()
    for at in range(len(data) * 8):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        keys, note = read(str(path), 100)
        assert keys == [] and note, at


def test_a_file_that_was_made_to_harm(folder):
    import msgspec

    from door43fast.plans.hotlist import MAGIC, _digest
    for body in (msgspec.msgpack.encode({"a": 1}), b"\xc1", b"\x91" * 5000, msgspec.msgpack.encode([None, {}, "k1"])):
        (folder / "warm").write_bytes(HEAD.pack(MAGIC, 1, 1, len(body), _digest(1, body)) + body)
        with opened(folder) as store:
            assert store.stats()["warm"]["note"] and store.get("k1") == 1


def test_what_can_not_be_written_is_a_warning(folder):
    os.remove(folder / "warm")
    os.mkdir(folder / "warm")
    store = opened(folder)
    assert "not read" in store.stats()["warm"]["note"]
    with pytest.warns(RuntimeWarning, match="could not be written"):
        store.close()
    assert sorted(os.listdir(folder / "warm")) == [] and not [name for name in os.listdir(folder) if ".new" in name]


def test_two_over_one_folder(folder):
    """The last one to close is remembered."""
    first, second = opened(folder), opened(folder)
    assert first.stats()["warm"]["found"] == second.stats()["warm"]["found"] == 10
    second["k1"] = "new"
    assert first.get("k1") == "new"
    first.clear("k2")
    second.close()
    first["own"] = 1
    assert first.get("own") == 1
    first.close()
    with opened(folder) as store:
        assert "own" in store.fast and store.get("k2") is None and store.fast.get("k1", "new") == "new"


@pytest.mark.parametrize(("kind", "keys"), [
    ("int", [-5, 7, 1 << 60]), ("bytes", [b"a", b"\xff\x00"]),
    ("any", [("a", 1), "b", 5, 1.5, b"x", ("a", ("b", 2.0))]), ("str", ["é", "a\x00b", "k" * 3000])])
def test_keys_of_all_kinds(tmp_path, kind, keys):
    for _ in range(2):
        with opened(tmp_path / "s", keys=kind) as store:
            if not len(store):
                store.set_many([(key, repr(key)) for key in keys])
            else:
                assert store.stats()["warm"]["found"] == len(keys)
            hits = store.stats()["layers"][0]["hits"]
            assert store.get_many(keys) == [repr(key) for key in keys]
    assert store.closed and hits == 0


@pytest.mark.parametrize("policy", ["lru", "s3fifo", "wtinylfu", "adaptive", "sieve"])
def test_the_hottest_are_remembered(tmp_path, policy):
    with opened(tmp_path / "s", policy=policy, warm_keys=20) as store:
        store.set_many({f"k{i}": i for i in range(500)})
        store.get_many([f"k{i}" for i in range(500)])
        for _ in range(3):
            store.get_many([f"k{i}" for i in range(100, 110)])
    keys, _ = read(str(tmp_path / "s" / "warm"), 100)
    assert len(keys) == 20 and {f"k{i}" for i in range(100, 110)} <= set(keys)


def test_a_memory_that_is_smaller_now_takes_what_fits(folder):
    with opened(folder) as store:
        store.set_many({f"m{i}": bytes(1000) for i in range(1000)})
    with opened(folder, memory="200KB") as store:
        told = store.stats()["warm"]
        assert 0 < told["asked"] < 600 and store.stats()["layers"][0]["bytes"] <= 200 << 10


@pytest.mark.parametrize("url", ["sqlite:///{}/s.db", "file:///{}/files", "lmdb:///{}/l"])
def test_other_stores_keep_it_beside_them(tmp_path, url):
    for turn in range(2):
        with d43.open(url.format(tmp_path), memory="1MB", warm=True, warm_within="20s") as store:
            if turn == 0:
                store.set_many({f"k{i}": i for i in range(10)})
                store.get_many([f"k{i}" for i in range(10)])
            assert store.stats()["warm"]["found"] == turn * 10 and len(store) == 10 and not store.verify()["errors"]


def test_plans_and_write_back(tmp_path):
    plan = {"strategy": "cascade", "warm": True, "warm_within": "20s", "write": "back", "layers": [
        {"type": "memory", "max_entries": 5}, {"type": "memory", "max_entries": 50},
        {"type": "lmdb", "path": str(tmp_path / "s"), "durability": "none"}]}
    with d43.open(plan) as store:
        store.set_many({f"k{i}": i for i in range(20)})
        store.get_many([f"k{i}" for i in range(20)])
        assert store.slow.slow.stats()["buffer"]["dirty"] in (0, 20)
    with d43.open(plan) as store:
        assert store.stats()["warm"]["found"] >= 5 and len(store.fast) == 5


def test_a_disk_in_the_middle_keeps_them(tmp_path):
    plan = {"strategy": "cascade", "warm": True, "warm_within": LIMIT, "layers": [
        {"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "s"), "durability": "none"}, {"type": "memory"}]}
    with d43.open(plan) as store:
        store.set_many({"a": 1, "b": 2})
        store.get_many(["a", "b"])
    assert set(read(str(tmp_path / "s" / "warm"), 10)[0]) == {"a", "b"}
    with d43.open(plan) as store:       # what was at the bottom is gone, and with it all else
        assert store.stats()["warm"]["asked"] == 2


def test_with_promotion_at_the_second_hit(folder):
    plan = {"strategy": "cascade", "warm": True, "warm_within": LIMIT, "promote": "second", "layers": [
        {"type": "memory"}, {"type": "lmdb", "path": str(folder)}]}
    with d43.open(plan) as store:
        assert len(store.fast) == 10 == store.stats()["warm"]["found"]


@pytest.mark.parametrize("open_it", [
    lambda folder: d43.open({"strategy": "cascade", "warm": True, "promote": "never", "layers": [
        {"type": "memory"}, {"type": "lmdb", "path": str(folder)}]}),
    lambda folder: d43.open(folder, warm_within=1), lambda folder: d43.open(folder, warm_keys=5),
    lambda folder: d43.open(folder, warm=True, memory=0), lambda folder: d43.open(folder, warm=True, warm_keys=0),
    lambda folder: d43.open(folder, memory=0, warm_keys=5),
    lambda folder: d43.open({"strategy": "cascade", "warm": True, "layers": [
        {"type": "lmdb", "path": f"{folder}/a"}, {"type": "lmdb", "path": f"{folder}/b"}]}),
    lambda folder: d43.open({"strategy": "cascade", "warm": True, "layers": [{"type": "memory"}, {"type": "memory"}]})])
def test_what_has_no_effect_is_refused(tmp_path, open_it):
    with pytest.raises(errors.ConfigError, match="warm"):
        open_it(tmp_path / "s")


def test_it_keeps_no_store_alive(folder):
    store = opened(folder)
    gone = weakref.ref(store.warmth)
    wait_for(store.warmth._filled.is_set)
    del store
    gc.collect()
    wait_for(lambda: gone() is None)


def test_a_child_of_a_fork_leaves_it_to_its_parent(folder):
    store = opened(folder)
    os.remove(folder / "warm")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.close()
            status = os.path.exists(folder / "warm")
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    store.close()
    assert (folder / "warm").exists()


def test_one_that_only_reads_writes_nothing(folder):
    before = (folder / "warm").read_bytes()
    with d43.open(folder, warm=True, readonly=True, durability="commit") as store:
        assert store.stats()["warm"]["found"] == 10 and store.get("k1") == 1
    assert (folder / "warm").read_bytes() == before

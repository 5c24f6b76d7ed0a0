"""The map grows under whoever uses it: this thread, others, and other processes."""

import os
import subprocess
import sys
import threading

MIB = 1 << 20


def test_one_process_grows_from_a_mebibyte(make):
    store = make(map_size=MIB)
    for i in range(200):
        store[f"k{i}"] = bytes([i]) * 50_000
    assert store.stats()["map_size"] > 10_000_000
    assert all(store[f"k{i}"] == bytes([i]) * 50_000 for i in range(200))


def test_one_batch_and_one_value_larger_than_the_map(make):
    store = make(map_size=MIB)
    store.set_many((f"k{i}", bytes([i]) * 100_000) for i in range(100))
    store["big"] = bytes(30 * MIB)
    assert len(store.get("big")) == 30 * MIB
    assert store.verify()["checked"] == 101


def test_readers_and_scans_go_on_while_it_grows(make):
    store = make(map_size=MIB)
    store["here"] = b"x" * 1000
    store.set_many((f"j{i:03}", b"v") for i in range(200))
    wrong, end = [], threading.Event()

    def read():
        while not end.is_set():
            if store.get("here") != b"x" * 1000 or store.get_many(["here"] * 5) != [b"x" * 1000] * 5:
                wrong.append("read")

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    scan = store.scan()
    assert next(scan)[0] == "here"
    for i in range(100):
        store[f"k{i}"] = os.urandom(100_000)
    end.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(list(scan)) == 300


def test_a_snapshot_outlives_the_growth(make):
    store = make(map_size=MIB)
    store["k"] = b"before"
    with store.transaction() as t:
        assert t["k"] == b"before"
        for i in range(100):
            store[f"k{i}"] = bytes(100_000)
        assert t.get("k5") is None
        assert [key for key, _ in t.scan()] == ["k"]
        del t._reads["k5"], t._ranges[:]       # what was read on purpose too early is no conflict here


PEER = """
import sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability="none", map_size=1 << 20)
print("ready", flush=True)
for line in sys.stdin:
    what, number = line.split()
    if what == "write":
        for i in range(int(number), int(number) + 40):
            store[f"peer{i}"] = bytes([i % 256]) * 60_000
        print("ok", flush=True)
    else:
        print(store.get(f"own{number}") == bytes([int(number) % 256]) * 60_000, flush=True)
"""


def test_two_processes_each_follow_the_growth_of_the_other(make):
    store = make(map_size=MIB)
    with subprocess.Popen([sys.executable, "-c", PEER, store.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as peer:
        def ask(line):
            peer.stdin.write(line + "\n")
            peer.stdin.flush()
            return peer.stdout.readline().strip()

        assert peer.stdout.readline() == "ready\n"
        for turn in range(5):
            assert ask(f"write {turn * 40}") == "ok"
            assert all(store[f"peer{i}"] == bytes([i % 256]) * 60_000 for i in range(turn * 40, turn * 40 + 40))
            for i in range(turn * 40, turn * 40 + 40):
                store[f"own{i}"] = bytes([i % 256]) * 60_000
            assert ask(f"read {turn * 40 + 39}") == "True"
        peer.stdin.close()
        assert peer.wait(30) == 0
    assert store.stats()["map_size"] > 20_000_000


LIMITED = """
import resource, sys
from door43fast.errors import MapFullError
from door43fast.lmdb import LmdbStore
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), used + (256 << 20)))
store = LmdbStore(sys.argv[1], durability="none", map_size=1 << 20)
try:
    for i in range(10_000):
        store[f"k{i}"] = bytes(100_000)
except MapFullError as error:
    assert "address space" in str(error), error
    assert store["k0"] == bytes(100_000) and store.get(f"k{i}") is None
    assert store.verify()["checked"] == i
    print(i)
"""


def test_a_limit_of_address_space_is_told_and_the_store_stays_whole(tmp_path, judge):
    assert judge(LIMITED, tmp_path) > 100


def test_the_reserve_is_less_under_a_limit(tmp_path, judge):
    assert judge("""
import json, resource, sys
from door43fast.lmdb import LmdbStore
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
store = LmdbStore(sys.argv[1])
store["k"] = b"v"
print(json.dumps(store.stats()["map_size"]))
""", tmp_path) <= 1 << 30


def test_a_file_that_may_not_grow_is_told(judge, tmp_path):
    assert judge("""
import json, resource, signal, sys
from door43fast.errors import MapFullError
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1])
store["k"] = b"v"
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    store["big"] = bytes(8 << 20)
except Exception as error:
    print(json.dumps([type(error).__name__, store["k"] == b"v", store.get("big"), store.verify()["checked"]]))
""", tmp_path) == ["MapFullError", True, None, 1]


def test_a_map_size_is_what_the_map_starts_with(make):
    assert make(map_size=MIB).stats()["map_size"] == MIB

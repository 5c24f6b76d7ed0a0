"""A store with a budget that threads, processes, readers of old states and memory tiers share."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest
from test_lmdb_budget import LEAST, fill, size

import door43fast as d43
from door43fast import errors
from door43fast.lmdb import LmdbStore

ROOT = pathlib.Path(d43.__file__).parents[1]


def test_a_reader_of_an_old_state_does_not_make_it_grow(make):
    store = make(max_bytes=LEAST)
    fill(store, 0, 600)
    with store.transaction() as t:
        seen = dict(t.scan())
        for number in range(3):
            store[f"new {number}"] = b"n" * 1000
        with pytest.raises(errors.BudgetError, match=f"process {os.getpid()} keeps an old state"):
            for number in range(3000):
                store[f"newer {number}"] = b"n" * 1000
        assert size(store) <= LEAST
        assert {key: t[key] for key in seen} == seen
        t._reads.clear()
        t._ranges.clear()
    lost = store.stats()["evictions"]
    fill(store, 1000, 1100)
    assert len(store) > 300 and lost < 600


def test_threads_that_write_and_read(make):
    store = make(max_bytes=LEAST)
    failed = []

    def work(name):
        dice = random.Random(name)
        try:
            for number in range(600):
                store[f"{name} {number}"] = str(number).encode() * 200
                read = dice.randrange(number + 1)
                assert store.get(f"{name} {read}") in (None, str(read).encode() * 200)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and size(store) <= LEAST
    store.verify()


WRITER = """
import os, sys
from door43fast.lmdb import LmdbStore
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with LmdbStore(path, durability="none") as store:
    for number in range(count):
        store[f"{name} {number:06}"] = name.encode() * 1000
        print(number, flush=True)
        assert os.path.getsize(path + "/data.mdb") <= 2 << 20
    print(store.stats()["evictions"])
"""


def writer(store, name, count):
    return subprocess.Popen([sys.executable, "-c", WRITER, store.path, name, str(count)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE)


def test_two_processes_keep_one_budget(make):
    store = make(max_bytes=2 * LEAST)
    children = [writer(store, name, 2500) for name in "ab"]
    outputs = [child.communicate(timeout=120)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sum(int(output[-1]) for output in outputs) == 5000 - len(store) > 2000
    assert size(store) <= 2 * LEAST and all(value == key[:1].encode() * 1000 for key, value in store.items())
    store.verify()


def test_a_process_that_knew_of_no_budget_joins_it(make):
    store = make()
    store["k"] = 1
    code = ("import sys\nfrom door43fast.lmdb import LmdbStore\n"
            "LmdbStore(sys.argv[1], durability='none', max_bytes=1 << 20).close()\n")
    subprocess.run([sys.executable, "-c", code, store.path], check=True, cwd=ROOT, timeout=60)
    for number in range(1500):
        store[f"key {number:06}"] = os.urandom(1000)
        assert size(store) <= LEAST
    assert store.stats()["budget"]["max_bytes"] == LEAST and store.stats()["evictions"] > 0


def test_killed_while_it_evicts(make, tmp_path):
    for round in range(6):
        store = make(f"store {round}", max_bytes=2 * LEAST)
        path = store.path
        store.set("pinned", b"p" * 5000, pin=True)
        child = writer(store, "a", 100_000)
        last = 0
        for line in child.stdout:
            last = int(line)
            if last == 1900 + 37 * round:
                child.send_signal(signal.SIGKILL)
        child.wait(60)
        store.verify()
        store.close()
        store = make(f"store {round}")
        kept = sorted(int(key[2:]) for key in store if key != "pinned")
        assert kept[-1] in (last, last + 1) and kept == list(range(kept[0], kept[-1] + 1)) and kept[0] > 0
        assert store["pinned"] == b"p" * 5000 and os.path.getsize(path + "/data.mdb") <= 2 * LEAST
        fill(store, 0, 100)


# Under a memory tier

def test_a_memory_tier_keeps_nothing_that_the_disk_has_evicted(tmp_path):
    with d43.open(tmp_path, max_bytes=LEAST, memory="64MB", durability="none") as store:
        for number in range(1500):
            store[f"key {number:06}"] = b"v" * 1000
        evicted = [f"key {number:06}" for number in range(1500) if f"key {number:06}" not in store.slow]
        assert len(evicted) > 500 and store.get_many(evicted) == [None] * len(evicted)


def test_what_the_memory_tier_holds_gets_another_round(tmp_path):
    with d43.open(tmp_path, max_bytes=LEAST, memory=40_000, policy="lru", durability="none") as store:
        store["hot"] = b"h" * 500
        for number in range(2000):
            assert store["hot"] == b"h" * 500       # never reaches the disk
            store[f"cold {number:06}"] = b"c" * 1000
        assert "hot" in store.slow and store.slow.stats()["evictions"] > 500


def test_another_process_evicts_and_the_memory_tier_follows(tmp_path):
    with d43.open(tmp_path, max_bytes=2 * LEAST, memory="16MB", durability="none") as store:
        for number in range(500):
            store[f"mine {number}"] = b"m" * 1000
        child = writer(store.slow, "b", 3000)
        child.communicate(timeout=120)
        assert child.returncode == 0
        assert store.get_many([f"mine {number}" for number in range(500)]) == \
            store.slow.get_many([f"mine {number}" for number in range(500)])


def test_a_fork_evicts_too(make):
    store = make(max_bytes=LEAST)
    fill(store, 0, 700)
    pid = os.fork()
    if pid == 0:
        try:
            fill(store, 1000, 1700)
            os._exit(0 if store.stats()["evictions"] else 2)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    fill(store, 2000, 2300)
    assert LmdbStore(store.path, durability="none").verify()["checked"] == len(store)

"""Threads that write at once under durability ``commit`` share a transaction and its sync, and nothing else."""

import pathlib
import subprocess
import sys
import threading

import pytest

from door43fast.errors import CorruptError
from door43fast.lmdb import LmdbStore

THREADS = 8
SETS = 40

TRACED = f"""
import sys, threading
from door43fast.lmdb import LmdbStore
with LmdbStore(sys.argv[1], durability=sys.argv[2], sync_interval=3600) as store:
    def run(t):
        for i in range({SETS}):
            store.set(f"k{{t}}-{{i}}", b"v", durable=True)
    threads = [threading.Thread(target=run, args=(t,)) for t in range({THREADS})]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(store) == {THREADS * SETS}
"""


def together(*functions):
    """Run them in a thread each; the exceptions that they raised."""
    raised = []

    def guarded(function):
        try:
            function()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.skipif(sys.platform != "linux", reason="strace, which counts the syncs, is of Linux")
@pytest.mark.parametrize("durability", ["commit", "batch"])
def test_threads_share_syncs(tmp_path, durability):
    log = tmp_path / "trace"
    # Each sync takes 3 ms at least: on a quick disk, or a busy machine, threads would not meet at one.
    run = subprocess.run(["strace", "-f", "-y", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=3000",
                          "-o", log, sys.executable, "-c", TRACED, tmp_path / "s", durability], capture_output=True,
                         text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    syncs = sum("fdatasync(" in line and "data.mdb" in line for line in log.read_text().splitlines())
    assert 0 < syncs < THREADS * SETS * 0.8


def test_each_change_is_made_once_and_told_in_order(tmp_path):
    with LmdbStore(tmp_path, durability="commit") as store:
        told = []
        store.subscribe("*", told.append, values=True)

        def count():
            for _ in range(SETS):
                store.incr("n")

        assert together(*[count] * THREADS) == []
        store.flush()
        assert store["n"] == THREADS * SETS
        assert [event.value for event in told] == list(range(1, THREADS * SETS + 1))
        assert [event.seq for event in told] == list(range(told[0].seq, told[0].seq + len(told)))


def test_of_many_that_add_one_key_one_does(tmp_path):
    with LmdbStore(tmp_path, durability="commit") as store:
        won = []

        def add(me):
            for i in range(SETS):
                if store.add(f"k{i}", me):
                    won.append((f"k{i}", me))

        assert together(*[lambda me=me: add(me) for me in range(THREADS)]) == []
        assert len(won) == SETS and dict(won) == dict(store.scan())


def test_a_failure_is_that_of_its_own_thread(tmp_path):
    """A record that is damaged cannot be touched; who writes beside it does not notice."""
    with LmdbStore(tmp_path, durability="commit") as store:
        store["hurt"] = b"needle" * 500
    file = pathlib.Path(tmp_path) / "data.mdb"
    data = bytearray(file.read_bytes())
    data[data.rindex(b"needle" * 10)] ^= 1
    file.write_bytes(data)
    failed = []
    with LmdbStore(tmp_path, durability="commit") as store:
        def write(t):
            for i in range(SETS):
                store[f"k{t}-{i}"] = (t, i)
                assert not store.replace(f"k{t}-{i}", "something else", 0)

        def touch():
            for _ in range(SETS):
                try:
                    store.touch("hurt", 100)
                except CorruptError as error:
                    failed.append(error)

        assert together(touch, *[lambda t=t: write(t) for t in range(THREADS - 1)]) == []
        assert len(failed) == SETS
        held = {f"k{t}-{i}": (t, i) for t in range(THREADS - 1) for i in range(SETS)}
        assert store.get_many(list(held)) == list(held.values())
        assert len(store) == len(held) + 1


def test_a_full_map_grows_for_all_of_a_group(tmp_path):
    with LmdbStore(tmp_path, durability="commit", map_size=1 << 18) as store:
        def write(t):
            for i in range(SETS // 2):
                store[f"k{t}-{i}"] = bytes([t]) * 30_000

        assert together(*[lambda t=t: write(t) for t in range(THREADS)]) == []
        assert all(value == bytes([int(key[1])]) * 30_000 for key, value in store.scan())
        assert len(store) == THREADS * (SETS // 2)


def test_what_one_thread_computes_is_not_stored_over_what_another_set(tmp_path):
    with LmdbStore(tmp_path, durability="commit") as store:
        def compute(i):
            store.get_or_compute(f"k{i}", lambda: (store.set(f"k{i}", "set"), "computed")[1])

        def write():
            for i in range(SETS):
                store[f"other{i}"] = i

        def computing():
            for i in range(SETS):
                compute(i)

        assert together(computing, *[write] * (THREADS - 1)) == []
        assert [store[f"k{i}"] for i in range(SETS)] == ["set"] * SETS

"""The SQLite backend and others: locked by another process, killed, forked, shared by many, watched from above."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.plugins.sqlite import SqliteStore

WORKER = Path(__file__).with_name("sqlite_worker.py")
CYCLES = int(os.environ.get("DOOR43FAST_KILL_CYCLES", "100")) // 5 or 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


def worker(*arguments, **options):
    return subprocess.Popen([sys.executable, WORKER, *map(str, arguments)], text=True, **options)


def test_a_database_locked_by_another_process(path):
    with SqliteStore(path=path, busy_timeout=0.05) as store:
        store["k"] = 1
        holder = worker("hold", path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert holder.stdout.readline() == "held\n"
            for write in (lambda: store.set("k", 2), lambda: store.set_many({"k": 2}), lambda: store.clear(),
                          lambda: store.invalidate("t")):
                with pytest.raises(d43.BackendUnavailableError, match=r"busy_timeout=0\.05"):
                    write()
            assert store["k"] == 1 and store.count() == 1      # who reads does not wait
            with SqliteStore(path=path, busy_timeout=60) as patient:
                threading.Timer(0.2, holder.stdin.close).start()
                patient["k"] = 3
            assert store["k"] == 3
        finally:
            holder.kill()
            holder.wait()
        store["k"] = 4
        assert store["k"] == 4


def test_many_processes_open_a_new_file_at_once_and_count(path):
    running = [worker("count", path, "none", 100, n) for n in range(4)]
    assert [one.wait(120) for one in running] == [0] * 4
    with SqliteStore(path=path) as store:
        assert store["n"] == 400 and [store[f"by {n}"] for n in range(4)] == [100] * 4
        assert store.verify()["errors"] == []


@pytest.mark.parametrize("durability", ["commit", "batch", "none"])
def test_killed_at_any_instant(path, durability):
    """What was acknowledged is there, whole; what was under way is there whole, or not at all."""
    acknowledged = 0
    for cycle in range(CYCLES):
        process = worker("write", path, durability, stdout=subprocess.PIPE)
        try:
            for _ in range(cycle % 13 + 1):
                acknowledged = int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
            process.wait()
        acknowledged = int(said[-1]) if said and said[-1].isdigit() else acknowledged
        with SqliteStore(path=path) as store:
            n = store["n"]
            assert acknowledged <= n <= acknowledged + 1
            for i in range(max(1, n - 49), n + 1):
                assert store[f"k{i % 50}"] == i
            assert len(store[f"pad{n % 7}"]) == n % 9000
            assert store.verify()["errors"] == []
        acknowledged = n


def test_a_store_in_the_children_of_a_fork(path):
    with SqliteStore(path=path, durability="batch") as store:
        store.set_many({"n": 0, "k": "parent's"})
        assert store["k"] == "parent's"
        stop = threading.Event()
        busy = [threading.Thread(target=lambda: [store.get_many(["n", "k"]) and store.incr("p")
                                                 for _ in iter(stop.is_set, True)]) for _ in range(2)]
        for thread in busy:
            thread.start()
        children = []
        try:
            for _ in range(6):
                child = os.fork()
                if child == 0:
                    code = 1
                    try:
                        for _ in range(20):
                            store.incr("n")
                        code = 0 if store["k"] == "parent's" else 2
                        store.close()
                    finally:
                        os._exit(code)
                children.append(child)
                store.incr("n")
        finally:
            stop.set()
            for thread in busy:
                thread.join()
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0] * 6 and store["n"] == 126 and store.verify()["errors"] == []


def test_a_memory_tier_is_told_of_others_writes(path):
    with d43.open(f"sqlite:///{path}?memory=1MB") as store:
        store.set_many({f"k{i}": i for i in range(100)})
        assert [store[f"k{i}"] for i in range(100)] == list(range(100)) and len(store.fast) == 100
        store["k0"] = "own"
        assert store["k0"] == "own" and len(store.fast) == 100      # our own writes are no news
        assert store.stats()["coherence"]["emptied"] <= 1
        assert worker("set", path, "none", "k1", "theirs").wait(60) == 0
        assert store["k1"] == "theirs" and store.get_many(["k0", "k2"]) == ["own", 2]
        assert store.stats()["coherence"]["emptied"] >= 1


def test_a_batch_goes_up_with_its_deadlines(path):
    with d43.open(f"sqlite:///{path}", memory="1MB") as store:
        store.slow.set_many({"a": "1", "b": "2"}, ttl=60)
        store.slow["c"] = "3"
        assert store.get_many(["a", "b", "c", "-"]) == ["1", "2", "3", None] and sorted(store.fast) == ["a", "b", "c"]
        assert 50 < store.fast.ttl("a") < 60.1 and store.fast.ttl("c") is None


def test_a_tier_over_a_store_that_fails_says_so(path):
    with d43.open(f"sqlite:///{path}", memory="1MB") as store:
        store["k"] = 1
        assert store["k"] == 1
        store.slow.close()
        for call in (lambda: store["k"], lambda: store.get("k"), lambda: store.get_many(["k"])):
            with pytest.raises(d43.ClosedError):
                call()


def test_threads_lose_nothing(path):
    with SqliteStore(path=path, durability="none", readers=2) as store:
        def work(n):
            for i in range(150):
                store.incr("n")
                store[f"{n}/{i}"] = i
                assert store[f"{n}/{i}"] == i
                store.get_or_compute(f"c{i}", lambda i=i: i)
                if i % 10 == 0:
                    list(store.scan(f"{n}/"))
                    with store.transaction() as t:
                        t[f"t{n}"] = t.get(f"t{n}", 0) + 1
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store["n"] == 900 and [store[f"t{n}"] for n in range(6)] == [15] * 6
        assert store.count("c") == 150 and not store._flights and store.verify()["errors"] == []

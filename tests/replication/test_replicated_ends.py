"""The threads of a replicated store, its end, and the children of a fork."""

import os
import threading

import pytest

import door43fast as d43
from door43fast.errors import FencedError, ReplicationError
from door43fast.testing.faults import Faulty
from replication_sets import held, lmdb, members, open_pair, until


def test_closing_says_what_is_missing_where(tmp_path):
    primary, sound, below = members("memory", tmp_path)
    faulty = Faulty(below)
    store = d43.replicated(primary, [sound, faulty], "eventual", close_timeout=0.2)
    store["a"] = 1
    store.wait_for()
    faulty.down("hang")
    store.set_many({"a": 2, "b": 2})
    with pytest.raises(ReplicationError, match="replica 2 lacks 2"):
        store.close()
    assert store.closed and primary.closed and sound.closed and below.closed
    store.close()


@pytest.fixture
def threads():
    """The threads of replicas that this test has started and that run; other tests may have left stores that failed."""
    before = set(threading.enumerate())
    return lambda: [one for one in set(threading.enumerate()) - before if one.name == "door43fast replica 1"]


def test_closing_flushes_and_ends_the_threads(tmp_path, threads):
    primary, below = members("lmdb", tmp_path, 2)
    slow = Faulty(below, latency=1.0, delay=0.05)
    store = d43.replicated(primary, [slow], "eventual")
    assert threads()
    for i in range(100):
        store[f"k{i}"] = i
    store.close()
    assert not threads()
    with lmdb(tmp_path / "m1") as alone:
        assert len(held(alone)) == 100


def test_a_store_that_is_forgotten_ends_its_threads(threads):
    store = d43.replicated(d43.MemoryStore(), [d43.MemoryStore()])
    store["a"] = 1
    assert threads()
    del store
    until(lambda: not threads())


def test_a_child_of_a_fork_goes_on_by_the_journal(tmp_path):
    with open_pair(tmp_path) as store:
        store["a"] = 1
        child = os.fork()
        if not child:
            status = 1
            try:
                store["b"] = store["a"] + 1
                status = 0 if held(store.replicas[0]) == {"a": 1, "b": 2} else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store["c"] = 3
        assert held(store.primary) == held(store.replicas[0]) == {"a": 1, "b": 2, "c": 3}


def test_a_child_of_a_fork_does_not_write_by_a_queue_of_its_own(tmp_path):
    with d43.replicated(d43.MemoryStore(), [lmdb(tmp_path / "r")]) as store:
        store["a"] = 1
        child = os.fork()
        if not child:
            status = 1
            try:
                store["b"] = 1
            except FencedError:
                status = 0 if store["a"] == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store["c"] = 3
        assert held(store.replicas[0]) == {"a": 1, "c": 3}


def test_threads_write_at_once(tmp_path):
    for kind in ("memory", "lmdb"):
        with d43.replicated(*_split(members(kind, tmp_path)), "strong", timeout=20) as store:
            def write(n, store=store):
                for i in range(100):
                    store.incr("sum")
                    store[f"{n}/{i % 10}"] = i
            threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert store["sum"] == 600
            assert held(store.primary) == held(store.replicas[0]) == held(store.replicas[1])


def _split(stores):
    return stores[0], stores[1:]

"""One directory, many users: stores of one process, threads, forked and spawned processes."""

import os
import pickle
import subprocess
import sys
import threading

import pytest

from door43fast import errors
from door43fast.lmdb import LmdbStore


def child(work):
    """Run ``work`` in a forked child; its exit status, 0 if nothing was raised."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_two_stores_of_one_process_share_the_files(make):
    a, b = make(), make()
    a["k"] = b"1"
    assert b["k"] == b"1"
    b["k"] = b"2"
    a.close()
    assert b["k"] == b"2"
    with pytest.raises(errors.ClosedError):
        a.get("k")


def test_a_path_by_another_name_is_the_same_store(make, tmp_path):
    a = make()
    (tmp_path / "link").symlink_to(a.path)
    b = make("link")
    a["k"] = b"1"
    assert b["k"] == b"1"


@pytest.mark.parametrize(("first", "second", "words"), [
    ({"durability": "none"}, {"durability": "commit"}, "durability='none'.*durability='commit'"),
    ({"durability": "batch"}, {"durability": "batch", "sync_interval": 5}, "sync_interval=0.1.*sync_interval=5"),
    ({"map_size": 1 << 20}, {"map_size": 1 << 21}, "map_size=1048576.*map_size=2097152"),
    ({"keys": "str"}, {"keys": "int"}, "keys='str'.*keys='int'"),
])
def test_options_that_disagree_are_named(make, first, second, words):
    store = make(**first)
    with pytest.raises(errors.ConfigError, match=words):
        make(**second)
    store["k"] = b"still open"


def test_a_reader_may_join_a_writer_and_not_the_reverse(make):
    writer = make()
    writer["k"] = b"v"
    reader = make(readonly=True)
    assert reader["k"] == b"v"
    with pytest.raises(errors.ReadOnlyError):
        reader["k"] = b"w"
    writer.close()
    reader.close()
    reader = make(readonly=True)
    with pytest.raises(errors.ConfigError, match="readonly=True"):
        make()


def test_the_child_of_a_fork_reads_and_writes_and_the_parent_goes_on(make):
    store = make()
    store["k"] = b"parent"

    def work():
        assert store["k"] == b"parent"
        store["c"] = b"child"
        store.set_many((f"c{i}", bytes(1000)) for i in range(500))
        assert store.count("c") == 501
        store.close()

    assert child(work) == 0
    assert store["c"] == b"child" and store.count("c") == 501
    store["k"] = b"again"
    assert child(lambda: store.get("k") == b"again" or os._exit(3)) == 0


def test_a_snapshot_does_not_go_through_a_fork(make):
    store = make()
    store["k"] = b"v"
    with store.transaction() as t:
        assert t["k"] == b"v"

        def work():
            with pytest.raises(errors.ClosedError):
                t.get("other")
            assert store["k"] == b"v"

        assert child(work) == 0


def test_the_child_inherits_no_sync_thread_and_starts_its_own(make):
    store = make(durability="batch", sync_interval=0.01)
    store["k"] = b"v"

    def work():
        store["c"] = b"child"
        store.flush()
        store.close()
        assert not [name for name in os.listdir(store.path) if name == f"unsynced-{os.getpid()}"]

    assert child(work) == 0
    assert store["c"] == b"child"


def test_a_fork_while_other_threads_are_in_the_store(make):
    store = make()
    store.set_many((f"k{i}", bytes(100)) for i in range(1000))
    keys, end = [f"k{i}" for i in range(1000)], threading.Event()

    def busy():
        while not end.is_set():
            store.get_many(keys)
            store["w"] = b"x"

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert child(lambda: store["k1"] == bytes(100) and store.set("c", b"1")) == 0
    finally:
        end.set()
        for thread in threads:
            thread.join()


def test_a_store_is_pickled_by_its_plan(make):
    store = make(durability="batch", ttl=50, compression="zstd")
    store["k"] = b"v"
    twin = pickle.loads(pickle.dumps(store))
    assert twin["k"] == b"v" and 49 < twin.ttl("k") <= 50
    twin["w"] = b"x" * 1000
    twin.close()
    spawned = subprocess.run([sys.executable, "-c", "import pickle, sys; s = pickle.load(sys.stdin.buffer); "
                              "s['spawned'] = s['k']; s.close()"], input=pickle.dumps(store), timeout=60)
    assert spawned.returncode == 0 and store["spawned"] == b"v"


CLOSING = """
import sys, threading
from door43fast.errors import ClosedError
from door43fast.lmdb import LmdbStore

for turn in range(30):
    store = LmdbStore(sys.argv[1], durability="none")
    store.set_many((f"k{i}", bytes(200)) for i in range(500))
    keys, wrong = [f"k{i}" for i in range(500)], []
    ready = threading.Barrier(5)

    def use(call):
        ready.wait()
        try:
            while True:
                call()
        except ClosedError:
            return
        except BaseException as error:
            wrong.append(repr(error))

    def write():
        store["w"] = bytes(5000)

    def walk():
        for _ in store.scan():
            pass

    threads = [threading.Thread(target=use, args=(call,)) for call in
               (lambda: store.get_many(keys), lambda: store.get("k1"), write, walk)]
    for thread in threads:
        thread.start()
    ready.wait()
    store.close()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
"""


def test_closing_waits_for_the_calls_in_flight(tmp_path, judge):
    judge(CLOSING, tmp_path, limit=120)


def test_close_ends_snapshots_and_scans(make):
    store = make()
    store.set_many((f"k{i:04}", b"v") for i in range(1000))
    scan = store.scan()
    next(scan)
    t = store.transaction().__enter__()
    t.get("k0001")
    store.close()
    store.close()
    with pytest.raises(errors.ClosedError):
        t.get("k0002")
    with pytest.raises(errors.ClosedError):
        list(scan)
    for call in (lambda: store.get("k"), lambda: store.set("k", b""), lambda: len(store), store.stats, store.verify,
                 lambda: store.get_many(["k"]), lambda: list(store.keys()), store.expire, store.flush,
                 lambda: store.backup("x"), store.clear, lambda: store.incr("k"), lambda: store.invalidate("t")):
        with pytest.raises(errors.ClosedError):
            call()
    assert store.closed


def test_a_killed_reader_is_cleared(make, judge):
    store = make()
    store["k"] = b"v"
    holder = "import os, sys; from door43fast.lmdb import LmdbStore; s = LmdbStore(sys.argv[1], durability='none'); " \
             "t = s._snapshot(); t.read('k'); os.kill(os.getpid(), 9)"
    for _ in range(5):
        subprocess.run([sys.executable, "-c", holder, store.path], timeout=60)
    store.close()
    store = make()
    for i in range(200):        # were the dead readers' snapshots kept, no page could be used again
        store["k"] = bytes(100_000)
    assert store.stats()["bytes"] < 5_000_000


def test_many_stores_at_once(tmp_path):
    stores = [LmdbStore(tmp_path / str(i), durability="none") for i in range(140)]     # beyond 128 TiB together
    for i, store in enumerate(stores):
        store["k"] = i
    assert [store["k"] for store in stores] == list(range(140))
    for store in stores:
        store.close()

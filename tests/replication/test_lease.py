"""The lease: one writer at a time, by a number that its store and the members know; another when it is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.errors import FencedError, ReplicationError
from door43fast.layers import Wrapper
from door43fast.replication import promote
from door43fast.replication.head import Place
from door43fast.testing.faults import Faulty
from replication_sets import held, lmdb, until


def opened(folder, primary=None, lease=None, count=2, ttl=1.0, **options):
    stores = [lmdb(folder / f"m{i}", journal=True) for i in range(count)]
    stores[0] = stores[0] if primary is None else primary(stores[0])
    lease = lmdb(folder / "lease") if lease is None else lease
    return d43.replicated(stores[0], stores[1:], lease=lease, lease_ttl=ttl, timeout=2, **options)


def writer(store):
    return store.stats()["replication"]["lease"]["writer"]


def test_one_is_the_writer_and_the_other_when_it_closes(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path)
    first["a"] = 1
    assert writer(first) and not writer(second) and first.term == 1
    with pytest.raises(FencedError, match="not the writer"):
        second["a"] = 2
    assert second["a"] == 1
    with pytest.raises(FencedError, match="only that may promote"):
        second.promote("replica 1")
    first.close()
    until(lambda: writer(second))
    second["a"] = 3
    assert second.term == 2 and held(second.primary) == held(second.replicas[0]) == {"a": 3}
    second.close()


def test_a_writer_that_cannot_renew_is_one_no_more(tmp_path):
    faulty = Faulty(lmdb(tmp_path / "lease"))
    first = opened(tmp_path, lease=faulty)
    second = opened(tmp_path)
    first["a"] = 1
    faulty.down()
    until(lambda: writer(second))
    second["a"] = 2
    with pytest.raises(FencedError):
        first["a"] = 3
    assert "BackendUnavailableError" in first.stats()["replication"]["lease"]["error"]
    faulty.up()
    until(lambda: not writer(first))
    with pytest.raises(FencedError):
        first["a"] = 3
    assert second["a"] == 2 == first["a"]
    second.close()
    until(lambda: writer(first))
    first["a"] = 4
    assert first.term == 3
    first.close()


class Slow(Wrapper):
    """A primary to which the next write takes long: until ``go`` is set, after everything was asked."""

    def __init__(self, slow):
        super().__init__(slow)
        self.waits, self.there, self.go = False, threading.Event(), threading.Event()

    def _change(self, call):
        if self.waits and call.name not in ("_publish",):
            self.waits = False
            self.there.set()
            assert self.go.wait(20)
        return super()._change(call)


WRITES = {
    "set": lambda s: s.set("a", "late"), "delete": lambda s: s.delete("a"),
    "set_many": lambda s: s.set_many({"a": "late"}), "incr": lambda s: s.incr("n"),
    "add": lambda s: s.add("b", 1), "replace": lambda s: s.replace("a", 2, "late"),
    "pop": lambda s: s.pop("a"), "delete_many": lambda s: s.delete_many(["a"]),
    "set_packed": lambda s: s.set_packed(["a"], b"late", [0, 4]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_on_its_way_when_the_lease_ends_is_refused_by_the_store(tmp_path, name):
    """Both write to the same primary: the token of the one whose time is over is refused in the write itself."""
    faulty = Faulty(lmdb(tmp_path / "lease"))
    first = opened(tmp_path, lease=faulty, primary=Slow, ttl=3.0)
    second = opened(tmp_path, ttl=3.0)     # what has to be done before it ends takes longer on a busy machine
    first.set_many({"a": 1, "n": 1})
    errors = []

    def write():
        try:
            WRITES[name](first)
        except d43.Error as error:
            errors.append(error)
    first.primary.waits = True
    thread = threading.Thread(target=write)
    thread.start()
    first_primary = first.primary
    assert first_primary.there.wait(20)
    faulty.down()       # as if the process were stopped
    until(lambda: writer(second))
    second["a"] = 2
    first_primary.go.set()
    thread.join()
    assert isinstance(errors[0], FencedError) and held(second.primary) == held(second.replicas[0]) == {"a": 2, "n": 1}
    faulty.calm()
    first.close()
    second.close()


def test_a_stopped_process_whose_lease_expires_is_refused(tmp_path, redis):
    script, url = Path(__file__).with_name("lease_writer.py"), f"{redis.url}?namespace=stopped"
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path), url, "1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    try:
        until(lambda: len(lines) > 20, 60)
        store = opened(tmp_path, lease=d43.open(url))
        assert not writer(store)
        process.stdin.write("stop\n")
        process.stdin.flush()
        until(lambda: writer(store))
        last = store["count"]
        store["count"] = "mine"
        process.send_signal(signal.SIGCONT)
        until(lambda: lines[-1].startswith("fenced"))
        assert store["count"] == "mine" and store.term == 2
        store.close()
        until(lambda: lines[-1].startswith("written"))      # the lease is its own again
    finally:
        process.stdin.close()
        process.wait(30)
        reader.join()
    told = [line.split() for line in lines]
    written = [(int(i), int(term)) for what, i, term, *_ in told if what == "written"]
    assert max(i for i, term in written if term == 1) <= last       # nothing was acknowledged after it was stopped
    assert {term for _, term in written} == {1, 3}
    with lmdb(tmp_path / "m0") as primary, lmdb(tmp_path / "m1") as replica:
        assert held(primary) == held(replica) == {"count": written[-1][0]}


def test_when_the_primary_is_gone_for_a_lease_a_replica_is_promoted(tmp_path):
    faulty = []

    def failing(store):
        faulty.append(Faulty(store))
        return faulty[-1]
    with opened(tmp_path, primary=failing, count=3, consistency="quorum") as store:
        store["a"] = 1
        faulty[0].down()
        with pytest.raises(d43.Error):
            store["a"] = 2
        until(lambda: store.primary is not faulty[0])
        until(lambda: writer(store))
        store["b"] = 1
        assert store["a"] == 1 and store.term == 2
        faulty[0].up()
        store.wait_for(timeout=20)
        assert held(faulty[0].slow) == held(store.primary) == {"a": 1, "b": 1}


def test_what_may_be_lost_is_not_promoted_by_itself(tmp_path):
    faulty = []

    def failing(store):
        faulty.append(Faulty(store))
        return faulty[-1]
    store = opened(tmp_path, primary=failing, consistency="eventual", close_timeout=0.2)
    store["a"] = 1
    store.wait_for()
    faulty[0].down()
    errors = set()

    def refused():
        with pytest.raises(d43.Error) as raised:
            store["a"] = 2
        errors.add(str(raised.value))
        return any("1 of 2 members were not reached" in error for error in errors)
    until(refused)
    faulty[0].up()
    until(lambda: writer(store))
    assert store.primary is faulty[0] and store["a"] == 1
    store["a"] = 2
    store.close()


def test_a_promotion_by_hand_moves_the_lease_of_none(tmp_path):
    with opened(tmp_path) as store:
        store["a"] = 1
        store.promote("replica 1")
        store["a"] = 2
        assert store.term == 2 and writer(store)
        time.sleep(1.3)
        store["a"] = 3          # the lease was renewed meanwhile
        chosen = lmdb(tmp_path / "m0", journal=True)
        store.wait_for()
        assert promote(chosen, lost=1) == 3     # behind the back of the writer
        with pytest.raises((FencedError, ReplicationError)):
            store["a"] = 4
        until(lambda: writer(store) and store.term > 3)
        store["a"] = 5
        assert Place(store.primary).read()[1].role == "primary" and store.primary.path == chosen.path
        store.wait_for()
        assert held(store.replicas[0]) == held(store.primary) == {"a": 5}


def test_a_child_of_a_fork_does_not_have_the_lease(tmp_path):
    with opened(tmp_path) as store:
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
        store["c"] = 1
        assert held(store.primary) == held(store.replicas[0]) == {"a": 1, "c": 1}


def test_a_lease_needs_a_store_that_others_can_reach(tmp_path):
    stores = [d43.MemoryStore(), d43.MemoryStore()]
    for wrong in (d43.MemoryStore(), "redis://", None):
        with pytest.raises(d43.ConfigError, match="lease"):
            d43.replicated(stores[0], stores[1:], lease=wrong, lease_ttl=1)
    with pytest.raises(d43.ConfigError, match="by hand"):
        d43.replicated(stores[0], stores[1:], lease_name="x")
    with pytest.raises(d43.ConfigError, match="lease_name"):
        d43.replicated(stores[0], stores[1:], lease=lmdb(tmp_path / "lease"), lease_name="")


def test_a_lease_on_redis(tmp_path, redis):
    first = opened(tmp_path, lease=d43.open(f"{redis.url}?namespace=leases"), lease_name=str(tmp_path))
    second = opened(tmp_path, lease=d43.open(f"{redis.url}?namespace=leases"), lease_name=str(tmp_path))
    first["a"] = 1
    first.close()
    until(lambda: writer(second))
    second["a"] = 2
    second.close()


@pytest.mark.parametrize("place", ["path", "url"])
def test_a_plan_with_a_lease(tmp_path, redis, place):
    where = str(tmp_path / "lease") if place == "path" else redis.url
    plan = {"strategy": "replicated", f"lease_{place}": where, "lease_ttl": "1s", "lease_name": str(tmp_path),
            "layers": [{"type": "lmdb", "path": str(tmp_path / f"m{i}"), "journal": True} for i in range(2)]}
    with d43.open(plan) as first, d43.open(plan) as second:
        first["a"] = 1
        with pytest.raises(FencedError):
            second["a"] = 2
        first.close()
        until(lambda: writer(second))
        second["a"] = 2
    with pytest.raises(d43.ConfigError, match="one place"):
        d43.open({**plan, "lease_path": "a", "lease_url": "redis://b"})

"""Replicas that come late, are stalled or come back: by the log, by a copy, never by what is of another log."""

import threading
import time

import pytest

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.errors import FencedError, ReplicationError
from door43fast.layers import Wrapper
from door43fast.replication import copying
from door43fast.replication.head import Place
from door43fast.testing.faults import Faulty
from replication_sets import digest, held, lmdb, members, open_pair, told, until


def test_a_reopened_replica_goes_on_by_the_log(tmp_path):
    with open_pair(tmp_path) as store:
        store.set_many({f"k{i}": i for i in range(5000)})
        assert told(store)["copies"] == 1       # the first time, of what there was
    with lmdb(tmp_path / "p") as alone:         # while the replica is away
        alone.set_many({f"k{i}": -i for i in range(100)})
        alone.delete("k4999")
        alone.clear("k40")
    with open_pair(tmp_path) as store:
        store.wait_for()
        assert told(store)["copies"] == 0 and told(store)["applied"] < 300
        assert held(store.primary) == held(store.replicas[0]) and "k401" not in store.replicas[0]


def test_where_the_log_was_pruned_it_is_copied(tmp_path):
    with open_pair(tmp_path) as store:
        store.set_many({f"k{i}": i for i in range(3000)})
        store["only here"] = 1
    with lmdb(tmp_path / "p", journal={"max_bytes": 65_536, "max_age": None}) as alone:
        del alone["only here"]
        for i in range(6000):
            alone[f"k{i % 3000}"] = -i
        with pytest.raises(d43.errors.PrunedError):
            list(alone.changes(3001))
    heard = []
    with open_pair(tmp_path, progress=lambda *one: heard.append(one)) as store:
        store.wait_for(timeout=20)
        assert told(store)["copies"] == 1
        assert held(store.primary) == held(store.replicas[0]) and "only here" not in store.replicas[0]
    assert heard[-1] == (3000, 3000, "copying to replica 1") and [one[0] for one in heard] == sorted(
        one[0] for one in heard)


def test_a_position_of_another_primary_is_not_believed(tmp_path):
    with open_pair(tmp_path) as store:
        store.set_many({f"k{i}": i for i in range(100)})
    other = lmdb(tmp_path / "other", journal=True)
    other.set_many({f"o{i}": i for i in range(100)})     # as many changes, other ones
    with d43.replicated(other, [lmdb(tmp_path / "r")]) as store:
        store.wait_for()
        assert told(store)["copies"] == 1 and held(store.replicas[0]) == held(other)


def test_a_primary_that_lost_its_last_changes_is_noticed(tmp_path):
    with open_pair(tmp_path) as store:
        store["a"] = 1
        store.backup(tmp_path / "before")
        store["a"] = 2
        store["b"] = 2
    for change in ("c", "d", "e"):      # the log goes on from where it was, with other changes under the same numbers
        with lmdb(tmp_path / "before") as alone:
            alone[change] = 1
    with d43.replicated(lmdb(tmp_path / "before"), [lmdb(tmp_path / "r")]) as store:
        store.wait_for()
        assert held(store.replicas[0]) == {"a": 1, "c": 1, "d": 1, "e": 1}


class Witness(Wrapper):
    """Looks after each write if what the head says is there: a kill could come at any of these moments."""

    def __init__(self, slow):
        super().__init__(slow)
        self.place, self.seen, self.ahead = Place(slow), 0, []

    def _change(self, call):
        done = super()._change(call)
        head = self.place.read()[1]
        if head is not None and not head.log.startswith(copying.COPYING) and head.seq > self.seen:
            self.seen = head.seq
            if self.slow.get(f"k{head.seq - 1}") != head.seq - 1:
                self.ahead.append(head)
        return done


class WithoutTransactions(Witness):
    """As a Redis Cluster is."""

    @property
    def capabilities(self):
        return self.slow.capabilities._replace(transactions=False)

    def _commit(self, reads, writes, ranges=()):
        raise d43.UnsupportedError("no transactions")


@pytest.mark.parametrize("transactions", [True, False])
def test_the_position_is_never_ahead_of_the_data(tmp_path, transactions):
    primary, below = lmdb(tmp_path / "p", journal=True), lmdb(tmp_path / "r")
    witness = Witness(below) if transactions else WithoutTransactions(below)
    with d43.replicated(primary, [witness], "eventual") as store:
        for i in range(500):
            store[f"k{i}"] = i
            if i % 50 == 0:
                store.wait_for()
    assert witness.seen == 500 and witness.ahead == []

def test_batches_and_transactions_arrive_as_units(tmp_path):
    """All keys of a batch are of one version in the replica, whenever it is read."""
    for kind in ("memory", "lmdb"):
        primary, below = members(kind, tmp_path, 2)
        keys = [f"k{i}" for i in range(50)]
        with d43.replicated(primary, [below], "eventual") as store:
            store.set_many(dict.fromkeys(keys, 0))
            store.wait_for()
            ended, mixed = threading.Event(), []

            def read(below=below, ended=ended, mixed=mixed, keys=keys):
                while not ended.is_set():
                    found = below.get_many(keys)
                    if len(set(found)) > 1:
                        mixed.append(found)
            reader = threading.Thread(target=read)
            reader.start()
            for version in range(1, 300):
                if version % 3:
                    store.set_many(dict.fromkeys(keys, version))
                else:
                    with store.transaction() as t:
                        for key in keys:
                            t[key] = version
                store["alone"] = version
            ended.set()
            reader.join()
            assert mixed == []


def test_a_queue_that_overflowed_is_a_copy(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    faulty = Faulty(below)
    with d43.replicated(primary, [faulty], "eventual", queue=100) as store:
        store["a"] = 1
        store.wait_for()
        faulty.down()
        store.set_many({f"k{i}": i for i in range(20)})
        for i in range(200):
            store[f"k{i % 20}"] = -i
        del store["a"]
        assert told(store)["lag"]["changes"] == 221
        faulty.up()
        store.wait_for()
        assert told(store)["copies"] == 2 and held(primary) == held(below)


def test_what_is_written_during_a_copy_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", 50)
    for kind in ("memory", "lmdb"):
        primary, below = members(kind, tmp_path, 2)
        primary.set_many({f"k{i:04}": 0 for i in range(3000)})
        with d43.replicated(primary, [below], "eventual") as store:
            for i in range(3000):
                store[f"k{i * 7 % 3000:04}"] = i
                if i % 3 == 0:
                    store.delete(f"k{i:04}")
            store.wait_for(timeout=30)
            assert digest(primary) == digest(below)


def test_a_copy_that_was_cut_short_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "CHUNK", 50)
    primary, below = members("lmdb", tmp_path, 2)
    primary.set_many({f"k{i:04}": i for i in range(1000)})
    faulty = Faulty(below)
    faulty.fail("error", "_commit", nth=8, times=None)
    store = d43.replicated(primary, [faulty], "eventual", close_timeout=0.2)
    until(lambda: told(store)["failures"] > 1)
    assert Place(below).read()[1].log.startswith(copying.COPYING) and 0 < len(held(below)) < 1000
    with pytest.raises(ReplicationError, match="replica 1 lacks|failed|fails"):
        store.close()
    with d43.replicated(lmdb(tmp_path / "m0"), [lmdb(tmp_path / "m1")]) as store:
        store.wait_for()
        assert held(store.primary) == held(store.replicas[0])


def test_a_store_with_records_of_its_own_is_not_overwritten_unasked(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    below["mine"] = 1
    with pytest.raises(d43.ConfigError, match="overwrite=True"):
        d43.replicated(primary, [below])
    assert dict(below) == {"mine": 1}
    with d43.replicated(primary, [below], overwrite=True) as store:
        store["a"] = 1
        assert held(below) == {"a": 1}


def test_an_empty_primary_does_not_wipe_a_replica(tmp_path):
    with d43.replicated(d43.MemoryStore(), [lmdb(tmp_path / "r")]) as store:
        store["a"] = 1
    with pytest.raises(d43.ConfigError, match="empty"):
        d43.replicated(d43.MemoryStore(), [lmdb(tmp_path / "r")])
    with lmdb(tmp_path / "r") as alone:
        assert held(alone) == {"a": 1}


def test_a_primary_without_a_journal_has_one_writer(tmp_path):
    first = d43.replicated(lmdb(tmp_path / "p"), [lmdb(tmp_path / "r")])
    first["a"] = 1
    second = d43.replicated(lmdb(tmp_path / "p"), [lmdb(tmp_path / "r")])
    second["a"] = 2
    with pytest.raises((FencedError, ReplicationError)):
        first["a"] = 3
    with pytest.raises(FencedError, match="another process"):
        first["a"] = 4
    second.wait_for()
    first.close()
    second.close()


def test_two_that_write_by_one_journal_share_the_replica(tmp_path):
    first, second = open_pair(tmp_path), open_pair(tmp_path)

    def write(store, name):
        for i in range(200):
            store[f"{name}{i % 50}"] = i
    threads = [threading.Thread(target=write, args=pair) for pair in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first.wait_for()
    assert held(first.primary) == held(first.replicas[0]) and len(held(first.primary)) == 100
    first.close()
    second.close()


def test_what_another_process_writes_to_the_primary_arrives(tmp_path):
    with open_pair(tmp_path, poll=0.01) as store:
        with lmdb(tmp_path / "p") as other:
            other["from elsewhere"] = 1
        until(lambda: held(store.replicas[0]) == {"from elsewhere": 1})


def test_waiting_for_a_number(tmp_path):
    primary, below = members("lmdb", tmp_path, 2)
    faulty = Faulty(below)
    with d43.replicated(primary, [faulty], "eventual") as store:
        store["a"] = 1
        first = store.sequence
        store.wait_for(first)
        faulty.down("hang")
        store["a"] = 2
        store.wait_for(first)       # that it has
        with pytest.raises(ReplicationError, match="replica 1 has not answered"):
            store.wait_for(timeout=0.1)
        store.wait_for(timeout=0.1, replicas=0)
        begun = time.monotonic()
        assert told(store)["lag"]["changes"] == 1 and 0 < told(store)["lag"]["seconds"] < begun
        faulty.calm()
        store.wait_for(store.sequence)
        assert below.get("a", MISSING) == 2


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
def test_a_copy_that_failed_on_its_way_is_made_anew(tmp_path, monkeypatch, kind):
    """What it had reached is no position: the log begins where the copy is whole."""
    monkeypatch.setattr(copying, "CHUNK", 10)
    primary, below = members(kind, tmp_path, 2)
    primary.set_many({f"k{i:03}": i for i in range(200)})
    faulty = Faulty(below)
    for nth in (3, 9, 14):
        faulty.fail("error", "_commit", nth=nth)
    with d43.replicated(primary, [faulty], "eventual") as store:
        for i in range(30):
            store[f"new{i}"] = i
        store.wait_for(timeout=20)
        assert held(primary) == held(below) and told(store)["failures"] == 3


def test_waiting_for_nothing_is_waiting_for_the_copy(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    primary.set_many({f"k{i:05}": i for i in range(20_000)})
    with d43.replicated(primary, [below]) as store:
        assert store.sequence == 0
        store.wait_for(timeout=20)
        assert len(held(below)) == 20_000

"""Promotion by hand: nothing acknowledged is lost, and who was the writer before is one no more."""

import pytest

import door43fast as d43
from door43fast.errors import ConflictError, FencedError, ReplicationError
from door43fast.replication import promote
from door43fast.replication.head import KEYS, Place
from door43fast.testing.faults import Faulty
from replication_sets import START, WRITES, held, lmdb, members, told, until


def on_disk(folder, count=3, **options):
    """Members on disk that all keep a journal, so that each may be the primary."""
    return [lmdb(folder / f"m{i}", journal=True, **options) for i in range(count)]


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
@pytest.mark.parametrize("consistency", ["strong", "quorum", "eventual"])
def test_the_replica_has_all_and_the_primary_follows(tmp_path, kind, consistency):
    stores = members("memory", tmp_path) if kind == "memory" else on_disk(tmp_path)
    with d43.replicated(stores[0], stores[1:], consistency) as store:
        store.set_many({f"k{i}": i for i in range(1000)})
        store["last"] = 1
        store.promote(stores[2])
        assert store.primary is stores[2] and store.replicas == (stores[1], stores[0]) and store.term == 1
        assert store["last"] == 1 and len(store) == 1001
        store["more"] = 2
        store.wait_for()
        assert held(stores[0]) == held(stores[1]) == held(stores[2]) and stores[0]["more"] == 2
        assert told(store, 0)["copies"] == 0        # it was level with the one that was promoted
        store.promote("replica 2")                  # and back
        assert store.primary is stores[0] and store.term == 2
        del store["more"]
        store.wait_for()
        assert held(stores[0]) == held(stores[1]) == held(stores[2]) and "more" not in stores[1]


def test_every_way_to_write_after_a_promotion(tmp_path):
    for name, write in WRITES.items():
        stores = on_disk(tmp_path / name.replace("/", ""), 2)
        with d43.replicated(stores[0], stores[1:]) as store:
            store.promote(stores[1])
            store.set_many(START)
            write(store)
            assert held(stores[0]) == held(stores[1]), name
            assert Place(stores[1]).read()[1].role == "primary" and store.term == 1, name


def test_the_head_of_a_promoted_primary_is_not_seen(tmp_path):
    for stores in (members("memory", tmp_path, 2), on_disk(tmp_path, 2)):
        with d43.replicated(stores[0], stores[1:]) as store:
            store["a"] = b"1"
            store.promote(stores[1])
            store.set_many({"b": b"2", "c": b"3"})
            assert KEYS[0] in stores[1]
            assert list(store) == list(store.keys()) == ["a", "b", "c"] and len(store) == store.count() == 3
            assert list(store.scan(limit=2)) == [("a", b"1"), ("b", b"2")] and store.count("a") == 1
            assert [keys.tolist() for keys, _ in store.scan_packed()] == [[b"a", b"b", b"c"]]
            if store.capabilities.journal:
                assert KEYS[0] not in [change.key for change in store.changes()]
            with store.transaction() as t:
                assert list(t.scan()) == [("a", b"1"), ("b", b"2"), ("c", b"3")]
                t["d"] = b"4"
            with pytest.raises(ConflictError), store.transaction() as t:
                t["e"] = t.count()
                store["f"] = b"between"
            with pytest.raises(ValueError, match="head of a member"):
                store[KEYS[0]] = 1
            store.clear()
            assert list(store) == [] and Place(stores[1]).read()[1].role == "primary"
            store["a"] = 1
            assert held(stores[0]) == {"a": 1}


def test_who_opens_the_set_must_know_who_is_the_primary(tmp_path):
    stores = on_disk(tmp_path, 2)
    with d43.replicated(stores[0], stores[1:]) as store:
        store["a"] = 1
        store.promote(stores[1])
        store.wait_for()
    old, new = on_disk(tmp_path, 2)
    with pytest.raises(FencedError, match="replica of another primary"):
        d43.replicated(old, [new])
    with d43.replicated(new, [old]) as store:
        assert store.term == 1 and store["a"] == 1
        store["b"] = 2
        assert held(old) == {"a": 1, "b": 2} and told(store)["copies"] == 0


def test_the_writer_before_is_fenced(tmp_path):
    """Two have the set open; one promotes. The other's writes are refused, or not acknowledged, and what they left in
    the old primary does not stay."""
    first = d43.replicated(*_split(on_disk(tmp_path, 2)))
    first["a"] = 1
    second = d43.replicated(*_split(on_disk(tmp_path, 2)))
    second["b"] = 1
    second.promote("replica 1")
    for _ in range(2):
        with pytest.raises(FencedError, match="term 1"):
            first["lost"] = 1
    assert first.get("a") == 1      # it may still be read
    first.close()
    second["c"] = 1
    assert held(second.primary) == held(second.replicas[0]) == {"a": 1, "b": 1, "c": 1}
    second.close()


def _split(stores):
    return stores[0], stores[1:]


class Late(Faulty):
    """A primary whose next set is overtaken by a promotion, between being made and being acknowledged."""

    def __init__(self, store, promotion):
        super().__init__(store)
        self.promotion = promotion

    def _change(self, call):
        done = super()._change(call)
        if call.name == "set" and self.promotion is not None:
            promotion, self.promotion = self.promotion, None
            promotion()
        return done


@pytest.mark.parametrize("consistency", ["strong", "eventual"])
def test_a_write_that_a_promotion_overtakes_is_not_acknowledged_or_not_lost(tmp_path, consistency):
    stores, others = on_disk(tmp_path, 2), on_disk(tmp_path, 2)
    late = Late(stores[0], None)
    first = d43.replicated(late, stores[1:], consistency)
    first["a"] = 1
    first.wait_for()
    second = d43.replicated(others[0], others[1:], consistency)
    late.promotion = lambda: second.promote(others[1])
    with pytest.raises(FencedError):
        first["a"] = 2
    assert second["a"] == 2         # it was in the log when the primary was fenced: kept, though not acknowledged
    with pytest.raises(FencedError):
        first["a"] = 3
    assert second["a"] == 2 and second.term == 1
    first.close()
    second.close()


def test_what_would_lose_acknowledged_writes_is_refused(tmp_path):
    primary, sound, below = members("lmdb", tmp_path)
    faulty, dead = Faulty(below), Faulty(primary)
    with d43.replicated(dead, [sound, faulty], "quorum", timeout=0.3) as store:
        store["a"] = 1
        store.wait_for()
        faulty.down()
        for i in range(5):
            store["a"] = i
        faulty.up()
        faulty.fail("error", "_commit", times=None)     # it may be read, and lacks five
        dead.down()
        with pytest.raises(ReplicationError, match="lacks 5 changes that were acknowledged"):
            store.promote(faulty)
        assert store.primary is dead and store.term == 0
        dead.up()
        store["b"] = 1              # the set is as it was
        dead.down()
        faulty.up()
        store.promote(sound)        # that one has them
        assert store["a"] == 4 and store["b"] == 1
        dead.up()
        store["c"] = 2
        store.wait_for(timeout=20)
        assert held(sound) == held(below) == held(primary)


def test_eventually_a_dead_primary_takes_along_what_only_it_had(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    dead, faulty = Faulty(primary), Faulty(below)
    with d43.replicated(dead, [faulty], "eventual", timeout=0.3) as store:
        store["a"] = 1
        store.wait_for()
        dead.down()
        with pytest.raises(ReplicationError, match="1 of 2 members were not reached"):
            store.promote(faulty)
        dead.up()
        faulty.fail("error", "_commit", times=None)
        store["a"] = 2
        with pytest.raises(ReplicationError):       # the primary is there, and the replica does not get what it has
            store.promote(faulty)
        assert store.primary is dead and store["a"] == 2
        dead.down()
        faulty.up()
        store.promote(faulty, force=True)
        assert store["a"] == 1 and store.primary is faulty      # what only the primary had is lost, as was asked for
        dead.up()
        store["b"] = 1
        store.wait_for(timeout=20)
        assert held(primary) == held(below)


def test_a_quorum_is_not_promoted_from_too_few(tmp_path):
    stores = [Faulty(one) for one in members("lmdb", tmp_path)]
    with d43.replicated(stores[0], stores[1:], "quorum", timeout=0.3) as store:
        store["a"] = 1
        store.wait_for()
        stores[0].down()
        stores[1].down()
        with pytest.raises(ReplicationError, match="2 of 3 members were not reached") as raised:
            store.promote(stores[2])
        assert "replica 1" in raised.value.failed
        stores[1].up()
        until(lambda: told(store)["failures"] >= 0 and stores[1].get("a") == 1)
        store.promote(stores[2])
        assert store["a"] == 1
        stores[0].up()
        store["b"] = 1


def test_after_the_process_is_gone(tmp_path):
    with d43.replicated(*_split(on_disk(tmp_path))) as store:
        store.set_many({f"k{i}": i for i in range(100)})
    lost, chosen, other = on_disk(tmp_path)
    with pytest.raises(FencedError, match="replica of another"):
        d43.replicated(chosen, [other])
    with pytest.raises(ReplicationError, match="can be reached"):
        promote(chosen, [other, lost], lost=0)
    with pytest.raises(ReplicationError, match="2 of 3 members were not reached"):
        promote(chosen, [], lost=2, consistency="quorum")
    with pytest.raises(ReplicationError, match="no replica yet"):
        promote(lmdb(tmp_path / "new"))
    assert promote(chosen, [other]) == 1
    with d43.replicated(chosen, [other, lost], overwrite=True) as store:
        store["more"] = 1
        assert len(store) == 101 and held(chosen) == held(other) == held(lost)


def test_a_name_that_is_none_of_the_replicas():
    with d43.replicated(d43.MemoryStore(), [d43.MemoryStore()]) as store:
        for wrong in ("replica 2", None, store.primary):
            with pytest.raises(d43.ConfigError, match="none of the replicas: replica 1"):
                store.promote(wrong)


def test_a_writer_whose_primary_nobody_else_can_reach_is_fenced_by_its_replicas(tmp_path):
    """The old primary does not know of the promotion; the replica does, and nothing is acknowledged without it."""
    first = d43.replicated(*_split(on_disk(tmp_path, 2)))
    first["a"] = 1
    chosen = on_disk(tmp_path, 2)[1]
    assert promote(chosen, lost=1) == 1
    with pytest.raises(FencedError, match="replica 1 is in term 1"):
        first["a"] = 2
    assert chosen["a"] == 1 and first.primary["a"] == 2
    with pytest.raises(FencedError):
        first["a"] = 3
    assert first.primary["a"] == 2
    first.close()
    with d43.replicated(chosen, [lmdb(tmp_path / "m0", journal=True)], overwrite=True) as store:
        store.wait_for()
        assert held(store.replicas[0]) == {"a": 1}      # what was not acknowledged is gone

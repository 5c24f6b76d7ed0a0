"""Keys, codecs, deadlines and plans of members."""

import pickle

import pytest

import door43fast as d43
from door43fast.errors import ReplicationError
from door43fast.replication.head import KEYS
from replication_sets import held, lmdb, members, open_pair, until


def test_an_expiry_is_that_of_the_primary(tmp_path):
    with open_pair(tmp_path) as store:
        store.set("a", 1, ttl=1000)
        store.touch("a", 2000)
        store.set("b", 1, ttl=0.05)
        below = store.replicas[0]
        assert 1990 < below.ttl("a") <= 2000
        until(lambda: "b" not in below)


def test_keys_of_other_types(tmp_path):
    for kind, keys in (("bytes", [b"a", b"\xff"]), ("int", [-5, 7]), ("any", ["a", (1, "b"), 2.5])):
        with d43.replicated(lmdb(tmp_path / f"{kind}p", keys=kind, journal=True),
                            [lmdb(tmp_path / f"{kind}r", keys=kind)]) as store:
            for key in keys:
                store[key] = "x"
            store.delete(keys[0])
            assert held(store.primary) == held(store.replicas[0]) == dict.fromkeys(keys[1:], "x")


@pytest.mark.parametrize("codec", ["raw", "json", "msgpack", "pickle"])
def test_a_head_fits_every_codec(tmp_path, codec):
    with d43.replicated(lmdb(tmp_path / "p", codec=codec, journal=True), [lmdb(tmp_path / "r", codec=codec)]) as store:
        store["a"] = b"bytes" if codec == "raw" else "text"
        assert held(store.replicas[0]) == held(store.primary)


def test_a_plan_opens_it_and_pickles_it(tmp_path):
    plan = {"strategy": "replicated", "consistency": "quorum", "timeout": "2s", "layers": [
        {"type": "lmdb", "path": str(tmp_path / "p"), "journal": True}, {"type": "lmdb", "path": str(tmp_path / "r")}]}
    with d43.open(plan) as store:
        store["a"] = 1
        with pickle.loads(pickle.dumps(store)) as again:
            again["b"] = 2
            assert held(again.replicas[0]) == {"a": 1, "b": 2}
    with pytest.raises(d43.ConfigError, match=r"plan\.consistency"):
        d43.open({**plan, "consistency": "weak"})
    with pytest.raises(d43.ConfigError, match="quorum.7.*out of range"):
        d43.open({**plan, "consistency": "quorum(7)"})


def test_members_of_every_kind(tmp_path):
    """A cascade with a journal below it, SQLite, files, and a replica with a deadline for its calls."""
    plan = {"strategy": "replicated", "layers": [
        {"strategy": "cascade", "layers": [{"type": "memory"},
                                           {"type": "lmdb", "path": str(tmp_path / "p"), "journal": True}]},
        {"type": "sqlite", "path": str(tmp_path / "r.db")}, {"type": "filesystem", "path": str(tmp_path / "files")},
        {"type": "lmdb", "path": str(tmp_path / "r"), "guard": {"deadline": "5s"}}]}
    with d43.open(plan) as store:
        store.set_many({"a": 1, "b": [1], "d": {"e": None}})
        store.set("c", b"x", ttl=500)
        store.delete("a")
        for one in store.replicas:
            assert held(one) == {"b": [1], "c": b"x", "d": {"e": None}} and 490 < one.ttl("c") <= 500
        assert [found.different for found in store.compare()] == [(), (), ()]


def test_a_set_is_no_member_of_another():
    inner = d43.replicated(d43.MemoryStore(), [d43.MemoryStore()])
    with pytest.raises(d43.ConfigError, match="one set"):
        d43.replicated(d43.MemoryStore(), [inner])
    inner.close()


def test_under_and_over_other_layers(tmp_path):
    """Memory over a set, and a set of which a member is a cascade."""
    below = d43.cascade(d43.MemoryStore(), lmdb(tmp_path / "r"))
    with d43.cascade(d43.MemoryStore(), d43.replicated(lmdb(tmp_path / "p", journal=True), [below])) as store:
        store.set_many({"a": 1, "b": 2})
        assert store["a"] == 1
        store.delete("a")
        assert "a" not in store and held(below) == {"b": 2} == held(store.slow.primary)


def test_a_head_that_is_none_is_refused(tmp_path):
    primary, below = members("memory", tmp_path, 2)
    below[KEYS[0]] = b"{}]"
    store = d43.replicated(primary, [below], timeout=0.5)
    with pytest.raises(ReplicationError, match="is no head of a replica"):
        store["a"] = 1
    store.close()

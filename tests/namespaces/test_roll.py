"""Namespaces opened, found again, listed and dropped; and one that stands on another."""

import pickle

import pytest

import door43fast as d43
from door43fast import namespaces
from door43fast.namespaces import roll


def test_there_is_one_object_while_it_is_open(base):
    space = d43.namespace(base, "n", ttl=60)
    assert d43.namespace(base, "n") is space is d43.namespace(base, "n", ttl="1m")
    with pytest.raises(d43.ConfigError, match="ttl"):
        d43.namespace(base, "n", ttl=61)
    space["k"] = 1
    space.close()
    again = d43.namespace(base, "n")
    assert again is not space and again["k"] == 1 and base.closed is False


def test_it_keeps_its_store_and_is_let_go_of(base):
    import gc
    import weakref
    space = d43.namespace(base, "n")
    gone = weakref.ref(space)
    del space
    gc.collect()
    assert gone() is None
    assert d43.namespace(d43.MemoryStore(), "n").base.closed is False


def test_listed(base):
    assert namespaces.listed(base) == []
    d43.namespace(base, "b", max_bytes="1KB", rate=5, burst=7)["k"] = 1
    d43.namespace(base, "a")
    assert [one.name for one in namespaces.listed(base)] == ["a", "b"]
    about = namespaces.listed(base)[1]
    assert (about.entries, about.max_bytes, about.policy, about.rate, about.burst) == (1, 1024, "none", 5.0, 7)


@pytest.mark.parametrize("policy", ["none", "fifo"])
def test_dropped(base, policy, monkeypatch):
    monkeypatch.setattr(roll, "CHUNK", 7)
    before = sorted(base)
    space = d43.namespace(base, "n", policy=policy)
    space.set_many({f"k{i}": i for i in range(50)})
    space.set("t", 1, tags=("t",))
    space.invalidate("t")
    assert namespaces.drop(base, "n") == 51 and sorted(base) == before
    with pytest.raises(d43.ClosedError):
        space["k1"]
    with pytest.raises(d43.ConfigError, match="no namespace"):
        namespaces.drop(base, "n")
    assert len(d43.namespace(base, "n")) == 0


def test_who_has_it_open_elsewhere_is_told(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as one, d43.LmdbStore(tmp_path / "s") as two:
        space = d43.namespace(one, "n")
        space["k"] = 1
        d43.namespace(two, "near")
        assert namespaces.drop(two, "n") == 1
        for call in (lambda: space.set("k", 2), lambda: space.delete("k"), lambda: len(space)):
            with pytest.raises(d43.ClosedError, match="dropped"):
                call()
        assert space.get("k") is None
        d43.namespace(two, "n")["k"] = 3
        assert space["k"] == 3      # begun anew, it is the same place
        space["k"] = 4
        assert d43.namespace(two, "n")["k"] == 4 and len(space) == 1


def test_a_drop_that_was_cut_short_is_ended(base, monkeypatch):
    space = d43.namespace(base, "n")
    space.set_many({f"k{i}": i for i in range(50)})
    monkeypatch.setattr(roll, "CHUNK", 7)
    real, left = roll._within, [3]

    def cut(store, work):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(store, work)
    monkeypatch.setattr(roll, "_within", cut)
    with pytest.raises(KeyboardInterrupt):
        namespaces.drop(base, "n")
    monkeypatch.setattr(roll, "_within", real)
    assert namespaces.listed(base) == [] and len(list(base.keys(space._regions.rows))) == 50 - 2 * 7
    fresh = d43.namespace(base, "n")
    assert len(fresh) == 0 and list(fresh) == [] and list(base.keys(space._regions.rows)) == []


def test_one_on_another(base):
    outer = d43.namespace(base, "tenant", max_entries=10)
    inner = d43.namespace(outer, "project")
    inner["a"] = 1
    assert len(outer) == 2 and inner["a"] == 1      # the record, and the book of the inner one
    with pytest.raises(d43.QuotaError, match="'tenant'"):
        inner.set_many({f"k{i}": i for i in range(20)})
    assert len(inner) == 1 and inner.verify()["errors"] == []
    assert [one.name for one in namespaces.listed(outer)] == ["project"]
    assert [one.name for one in namespaces.listed(base)] == ["tenant"]


def test_it_pickles_with_its_store(lasting):
    with lasting() as base:
        space = d43.namespace(base, "n", codec="json")
        space["k"] = [1]
        copy = pickle.loads(pickle.dumps(space))
        assert copy["k"] == [1] and copy.options.codec == "json"
        copy["k"] = [2]
        assert space["k"] == [2]
        copy.base.close()
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(d43.namespace(d43.MemoryStore(), "n"))


def test_over_a_read_only_store(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as base:
        d43.namespace(base, "n")["k"] = 1
    with d43.LmdbStore(tmp_path / "s", readonly=True) as base:
        space = d43.namespace(base, "n")
        assert space["k"] == 1 and list(space) == ["k"] and not space.capabilities.writes
        for call in (lambda: space.set("k", 2), lambda: space.limit(max_entries=1), lambda: space.clear(),
                     lambda: d43.namespace(base, "new")):
            with pytest.raises(d43.ReadOnlyError):
                call()


def test_under_a_memory_tier(tmp_path):
    """A tier over a namespace is told of what others write into it."""
    with d43.LmdbStore(tmp_path / "s") as one, d43.LmdbStore(tmp_path / "s") as two:
        tiered = d43.cascade(d43.MemoryStore(), d43.namespace(one, "n"))
        other = d43.namespace(two, "n")
        tiered["k"] = 1
        assert tiered["k"] == 1 and other["k"] == 1
        other["k"] = 2
        assert tiered["k"] == 2
        tiered["k"] = 3
        assert other["k"] == 3 and tiered["k"] == 3


def test_options_are_refused_aloud():
    base = d43.MemoryStore()
    for options, words in (({"max_byte": 1}, "max_bytes"), ({"policy": "lru"}, "'none' or 'fifo'"),
                           ({"burst": 2}, "rate"), ({"max_entries": 0}, "max_entries=0"), ({"max_bytes": "x"}, "size"),
                           ({"rate": 0}, "rate=0"), ({"ttl": 0}, "ttl")):
        with pytest.raises(d43.ConfigError, match=words):
            d43.namespace(base, "n", **options)
    assert d43.namespace(base, "n").stats()["burst"] is None

"""Plans with layers and guards: options, errors, files, pickles, and what stays open when one fails."""

import json
import pickle

import pytest

import door43fast as d43
from door43fast.layers import Guard


@pytest.mark.parametrize(("guard", "words"), [
    (7, r"plan\.layers\[1\]\.guard=7 must be a table"),
    ({"dedline": 1}, r"plan\.layers\[1\]\.guard has no option 'dedline': did you mean 'deadline'"),
    ({"deadline": "soon"}, r"plan\.layers\[1\]\.guard\.deadline='soon'"),
    ({"failures": 0}, r"plan\.layers\[1\]\.guard\.failures=0"), ({"deadline": 0}, "deadline=0"),
], ids=repr)
def test_a_guard_that_is_wrong_says_where(guard, words, tmp_path):
    place = {"type": "lmdb", "path": str(tmp_path / "s"), "guard": guard}
    with pytest.raises(d43.ConfigError, match=words):
        d43.open({"strategy": "cascade", "layers": [{"type": "memory"}, place]})
    with d43.LmdbStore(tmp_path / "s", durability="none") as store:     # refused if it were still open as "commit"
        store["k"] = 1


def test_a_guard_in_a_plan_in_a_file(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps({"strategy": "cascade", "layers": [
        {"type": "memory"},
        {"type": "sqlite", "path": "s.db", "guard": {"deadline": "2s", "failures": 3, "probes": 2}}]}))
    with d43.open(tmp_path / "plan.json") as store:
        guard = store.slow
        assert isinstance(guard, Guard) and guard.deadline == 2.0 and guard.name == "sqlite"
        assert (guard.breaker.limit, guard.breaker.reset, guard.breaker.probes, guard.max_late) == (3, 10.0, 2, 8)
        store["k"] = 1
        assert store.stats()["layers"][1]["state"] == "closed"
        again = pickle.dumps(store)
    assert (tmp_path / "s.db").exists()
    with pickle.loads(again) as store:
        assert store["k"] == 1 and store.slow.deadline == 2.0


def test_a_guarded_store_alone_pickles_by_its_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with d43.open({"type": "lmdb", "path": "s", "guard": {}}) as store:
        store["k"] = 1
        again = pickle.dumps(store)
    monkeypatch.chdir("/")
    with pickle.loads(again) as store:
        assert isinstance(store, Guard) and store["k"] == 1
    with d43.open({"type": "memory", "guard": {}}) as store, pytest.raises(TypeError, match="pickled"):
        pickle.dumps(store)


def test_a_store_made_of_open_ones_cannot_be_pickled(tmp_path):
    with Guard(d43.LmdbStore(tmp_path / "s")) as store, pytest.raises(TypeError, match="made of open stores"):
        pickle.dumps(store)


def test_layers_beside_each_other(tmp_path, monkeypatch):
    (tmp_path / "plan.json").write_text(json.dumps({
        "strategy": "parallel", "require": "any", "owed": "owed", "max_owed": 5, "layers": [
            {"type": "memory"}, {"type": "sqlite", "path": "s.db", "guard": {"deadline": "20s"}},
            {"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "lmdb", "path": "l"}]}]}))
    with d43.open(tmp_path / "plan.json") as store:
        assert isinstance(store, d43.Parallel) and store.require == "any"
        store["k"] = 1
        assert [layer["k"] for layer in store.layers] == [1, 1, 1]
        again = pickle.dumps(store)
    assert (tmp_path / "owed").is_dir()
    monkeypatch.chdir(tmp_path.parent)
    with pickle.loads(again) as store:
        assert store["k"] == 1 and len(store.layers) == 3


@pytest.mark.parametrize(("plan", "words"), [
    ({"require": "al"}, r"plan\.require='al' .*did you mean 'all'"), ({"require": 0}, r"plan\.require=0"),
    ({"requires": "all"}, "did you mean 'require'"), ({"read": "fist"}, "did you mean 'first'"),
    ({"require": 3}, "from 1 to 2"), ({"max_owed": -1}, r"plan\.max_owed=-1"), ({"repair": 1}, r"plan\.repair=1"),
], ids=repr)
def test_options_of_parallel_that_are_wrong(plan, words, tmp_path):
    with pytest.raises(d43.ConfigError, match=words):
        d43.open({"strategy": "parallel", **plan,
                  "layers": [{"type": "memory"}, {"type": "lmdb", "path": tmp_path / "s"}]})
    with d43.LmdbStore(tmp_path / "s", durability="none") as store:
        store["k"] = 1


def test_the_call_refuses_options_it_does_not_have():
    with pytest.raises(d43.ConfigError, match=r"parallel\(\) has no option 'requires': did you mean 'require'"):
        d43.parallel(d43.MemoryStore(), d43.MemoryStore(), requires=1)
    with d43.parallel(d43.MemoryStore(), d43.MemoryStore(), require=1) as store:
        assert isinstance(store, d43.Parallel)


def test_a_primary_with_a_fallback(tmp_path):
    with d43.LmdbStore(tmp_path / "old") as old:
        old["k"] = "old"
    plan = {"strategy": "primary_fallback", "on_miss": True, "layers": [
        {"type": "sqlite", "path": str(tmp_path / "s.db"), "guard": {"deadline": "20s"}},
        {"type": "lmdb", "path": str(tmp_path / "old"), "readonly": True}]}
    with d43.open(plan) as store:
        assert isinstance(store, d43.PrimaryFallback) and store.on_miss and store["k"] == "old"
        store["k"] = "new"
        again = pickle.dumps(store)
    with pickle.loads(again) as store:
        assert store["k"] == "new" and store.layers[1]["k"] == "old"
    with pytest.raises(d43.ConfigError, match=r"plan\.layers must be two"):
        d43.open({**plan, "layers": [{"type": "memory"}] * 3})
    with pytest.raises(d43.ConfigError, match="did you mean 'mirror'"):
        d43.primary_fallback(d43.MemoryStore(), d43.MemoryStore(), miror=True)


def test_every_strategy_in_every_other():
    memory = {"type": "memory"}
    inner = [{"strategy": name, "layers": [memory, memory]} for name in ("cascade", "parallel", "primary_fallback")]
    for name in ("parallel", "primary_fallback"):
        for one in inner:
            for two in inner:
                with d43.open({"strategy": name, "layers": [one, two]}) as store:
                    store["a"] = 1
                    assert store["a"] == 1 == store.layers[0]["a"] == store.layers[1]["a"]
                    assert store.incr("a") == 2 and store.delete("a") and "a" not in store and len(store) == 0
    for one in inner:
        with d43.open({"strategy": "cascade", "layers": [memory, one]}) as store:
            store["a"] = 1
            assert store["a"] == 1 == store.slow["a"] and store.delete("a") and "a" not in store

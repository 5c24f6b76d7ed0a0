"""From plans, files and URLs to stores, and back to nothing when a layer fails."""

import json
import os
import pickle
import subprocess
import sys

import pytest

import door43fast as d43
from door43fast.config import Options
from door43fast.plugins import registry


def test_plans_in_files(tmp_path, monkeypatch):
    (tmp_path / "plan.toml").write_text("""
strategy = "cascade"
[[layers]]
type = "memory"
max_bytes = "1MB"
ttl = "5m"
[[layers]]
type = "lmdb"
path = "data"
sync_interval = "50ms"
durability = "batch"
""")
    (tmp_path / "plan.json").write_text(json.dumps({"type": "lmdb", "path": "data", "memory": "1MB"}))
    with d43.open(tmp_path / "plan.toml") as store:
        store["k"] = 1
        again = pickle.dumps(store)
        assert store.fast.stats()["max_bytes"] == 1 << 20
    assert (tmp_path / "data").is_dir()     # beside the file, wherever the program runs
    monkeypatch.chdir(os.sep)
    with d43.open(str(tmp_path / "plan.json")) as store:
        assert isinstance(store, d43.Cascade) and store["k"] == 1
    with pickle.loads(again) as store:
        assert store["k"] == 1
    with pytest.raises(d43.ConfigError, match="cannot be read"):
        d43.open(tmp_path / "missing.toml")
    assert not (tmp_path / "missing.toml").exists()
    os.mkdir(tmp_path / "store.json")
    with d43.open(tmp_path / "store.json") as store:
        store["a directory of that name is a store"] = 1


def test_durations_in_urls_and_plans(tmp_path):
    with d43.open(f"lmdb:///{tmp_path}/a?ttl=5m&sync_interval=10ms&durability=batch") as store:
        store["k"] = 1
        assert 299 < store.ttl("k") <= 300.1
    with d43.open({"type": "memory", "ttl": "1h", "max_entries": 5}) as store:
        store["k"] = 1
        assert 3599 < store.ttl("k") <= 3600.1
    with d43.open("memory:?ttl=90&max_bytes=64KB") as store:
        store["k"] = 1
        assert 89 < store.ttl("k") <= 90.1 and store.stats()["max_bytes"] == 65536


def test_a_memory_tier_over_a_url_pickles_by_its_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with d43.open("lmdb:///a?durability=batch&memory=1MB") as store:
        assert isinstance(store, d43.Cascade)
        store["k"] = 1
        again = pickle.dumps(store)
    monkeypatch.chdir(os.sep)
    with pickle.loads(again) as store:
        assert store["k"] == 1 and store.fast.stats()["max_bytes"] == 1 << 20


@pytest.mark.parametrize(("plan", "words"), [
    ({"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "lmdb", "path": "x", "map_size": "big"}]},
     r"plan\.layers\[1\]\.map_size='big'"),
    ({"strategy": "cascade", "layers": [{"type": "memory", "max_byte": 1}, {"type": "memory"}]},
     r"plan\.layers\[0\] has no option 'max_byte': did you mean 'max_bytes'"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}, {"strategy": "cascade", "layers": [
        {"type": "memory", "ttl": "soon"}, {"type": "memory"}]}]}, r"plan\.layers\[1\]\.layers\[0\]\.ttl='soon'"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "lmbd"}]}, r"plan\.layers\[1\]\.type: .*'lmdb'"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}, 7]}, r"plan\.layers\[1\]=7"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}]}, r"plan\.layers must be"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}] * 2, "shared": 1}, "did you mean 'share'"),
    ({"strategy": "casade"}, r"plan\.strategy='casade' is unknown: did you mean 'cascade'"),
    ({"strategy": "cascade", "layers": [{"type": "memory"}, {"strategy": ["cascade"]}]},
     r"plan\.layers\[1\]\.strategy"),
    ({"type": 3}, r"plan\.type=3"),
    ({"tpye": "lmdb", "path": "x"}, "plan needs .* has 'tpye': did you mean 'type'"),
    ({"strategy": "cascade", "type": "lmdb", "path": "x"}, "both 'type'.* and 'strategy'"),
    ({"type": "lmdb", "path": "x", "policy": "lru"}, "policy"),
])
def test_errors_say_where_in_the_plan(plan, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(d43.ConfigError, match=words):
        d43.open(plan)


class Failing:
    """A backend that cannot be opened."""

    Options = Options

    @staticmethod
    def open(options):
        raise OSError("the third layer fails")


def test_what_was_opened_is_closed_when_a_later_layer_fails(tmp_path):
    """Three layers, of which the last to be opened fails: the lock of the first is let go of."""
    registry.register("failing", Failing)
    before = {name: set(registry.live(name)) for name in ("lmdb", "memory")}     # of other tests, not yet collected
    place = {"type": "lmdb", "path": str(tmp_path / "s"), "durability": "commit"}
    try:
        for plan in ({"strategy": "cascade", "layers": [{"type": "failing"}, {"type": "memory"}, place]},
                     {"strategy": "cascade", "layers": [{"type": "failing"}, {"strategy": "cascade", "layers": [
                         {"type": "memory"}, place]}]}):
            with pytest.raises(OSError, match="third layer"):
                d43.open(plan)
            assert all(set(registry.live(name)) <= before[name] for name in before)
            # Another durability is refused while anybody in this process has the directory open.
            with d43.LmdbStore(tmp_path / "s", durability="none") as store:
                store["k"] = 1
    finally:
        registry.unregister("failing")


def test_three_layers(tmp_path):
    with d43.open({"strategy": "cascade", "layers": [{"type": "memory", "max_entries": 2}, {"type": "memory"},
                                                     {"type": "lmdb", "path": str(tmp_path / "s")}]}) as store:
        store.set_many({str(i): i for i in range(10)})
        assert [store[str(i)] for i in range(10)] == list(range(10))
        with d43.open(tmp_path / "s", durability="commit") as other:
            other["5"] = "changed"
        assert store["5"] == "changed"
        assert pickle.loads(pickle.dumps(store))["7"] == 7


def test_a_change_by_another_process_reaches_the_top_of_three_layers(tmp_path):
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "memory"},
                                              {"type": "lmdb", "path": str(tmp_path / "s")}]}
    with d43.open(plan) as store:
        store["k"] = "old"
        assert store["k"] == store["k"] == "old"
        subprocess.run([sys.executable, "-c", "import sys, door43fast as d43\n"
                        "with d43.LmdbStore(sys.argv[1]) as s: s['k'] = 'new'", str(tmp_path / "s")], check=True,
                       timeout=60)
        assert store["k"] == "new"


@pytest.mark.parametrize("url", ["lmdb:///x#y", "lmdb:///x?durability=batch#y", "file:///a#b/c", "lmdb:/x", "lmdb:x",
                                 "sqlite:/x.db", "lmdb://x/y"])
def test_a_url_that_would_mean_another_place_is_refused(url, tmp_path, monkeypatch):
    """Everything behind a # was left out: two stores were one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(d43.ConfigError, match="%23|for certain: write (lmdb|sqlite):///relative"):
        d43.open(url)
    assert os.listdir(tmp_path) == []


def test_a_sign_that_is_written_for_a_hash_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    d43.open("lmdb:///x%23y").close()
    assert os.listdir(tmp_path) == ["x#y"]


def test_capitals_in_a_scheme_are_no_folder(tmp_path, monkeypatch):
    """LMDB:///x made a folder that is named LMDB: and put another in it."""
    monkeypatch.chdir(tmp_path)
    d43.open("LMDB:///x").close()
    assert os.listdir(tmp_path) == ["x"]
    d43.open("Notes:2026").close()
    assert sorted(os.listdir(tmp_path)) == ["Notes:2026", "x"]


def test_what_is_shown_of_a_store_names_its_place(tmp_path):
    for url in ("lmdb", "sqlite", "filesystem"):
        with d43.open(f"{url}:///{tmp_path}/{url}") as store:
            assert f"{tmp_path}/{url}', open>" in repr(store)

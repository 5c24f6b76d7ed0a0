"""Profiles: what is in them, how they are changed and extended, where each setting comes from."""

import json
import pickle

import pytest

import door43fast as d43
from door43fast.host import detect
from door43fast.profiles import BIBLE_READER, OURS, SERVER_API, TRANSLATION_TOOL, Profile, Setting, get


def setting(profile, path, **how):
    return next(one for one in profile.explain(**how) if one.path == path)


def test_the_four():
    assert list(OURS) == ["bible-reader", "translation-tool", "review-platform", "server-api"]
    for name, profile in OURS.items():
        assert get(name) is profile is get(profile) and profile.ours and profile.description and profile.use
        given = [one for one in profile.explain() if one.source == name and not one.path.endswith("memory.type")]
        assert [one.path for one in given if not one.why] == [], "each setting of ours has a reason"
        layers = profile.plan("p")["layers"]
        assert [layer["type"] for layer in layers] == ["memory", "lmdb"]
        assert all(layer["max_bytes"] for layer in layers) and json.dumps(profile.plan("p"))
    assert len({json.dumps(profile.plan("p")) for profile in OURS.values()}) == 4


@pytest.mark.parametrize("name", OURS)
def test_each_opens(name, tmp_path):
    for number, store in enumerate((OURS[name].open(tmp_path / "a"), d43.open(tmp_path / "b", profile=name),
                                    d43.open({"profile": name, "path": str(tmp_path / "c")}),
                                    d43.open(OURS[name].plan(tmp_path / "d")))):
        with store:
            store["k"] = number
            assert store["k"] == number
            again = pickle.loads(pickle.dumps(store))
            assert again["k"] == number
            again.close()


def test_changes_go_deep_and_leave_the_rest(tmp_path):
    small = BIBLE_READER.extended("small", memory={"max_bytes": "4MB"}, disk={"ttl": "30d"})
    before, after = BIBLE_READER.plan("p")["layers"], small.plan("p")["layers"]
    assert after[0] == {**before[0], "max_bytes": 4 << 20} and after[1] == {**before[1], "ttl": 30 * 86400.0}
    assert BIBLE_READER.plan("p")["layers"] == before
    with BIBLE_READER.open(tmp_path / "s", memory={"max_bytes": "3MB"}) as store:
        assert store.stats()["layers"][0]["max_bytes"] == 3 << 20
    with d43.open(tmp_path / "t", profile="bible-reader", memory={"max_bytes": "2MB"}) as store:
        assert store.stats()["layers"][0]["max_bytes"] == 2 << 20
    assert BIBLE_READER.extended("n", memory={"ttl": None}).plan("p")["layers"][0].get("ttl") is None


def test_another_type_begins_anew():
    other = BIBLE_READER.extended("n", disk={"type": "sqlite", "durability": "batch"})
    assert other.plan("p")["layers"][1] == {"type": "sqlite", "path": "p", "durability": "batch"}
    assert setting(other, "disk.ttl").why == "" and setting(other, "disk.type").source == "n"
    same = BIBLE_READER.extended("n", disk={"type": "lmdb"})
    assert same.plan("p") == BIBLE_READER.plan("p")


def test_tiers_come_and_go(tmp_path):
    disk = BIBLE_READER.extended("n", memory=None)
    assert disk.plan("p")["type"] == "lmdb"
    memory = BIBLE_READER.extended("m", disk=None)
    assert memory.plan() == {"type": "memory", "max_bytes": 10 << 20, "policy": "s3fifo", "ttl": 300.0}
    with memory.open() as store:
        assert isinstance(store, d43.MemoryStore)
    three = BIBLE_READER.extended("three", archive={"type": "filesystem", "durability": "none"})
    plan = three.plan(str(tmp_path / "s"))
    assert [layer.get("path") for layer in plan["layers"]] == [
        None, str(tmp_path / "s" / "disk"), str(tmp_path / "s" / "archive")]
    with pytest.raises(d43.ConfigError, match="say where"):
        BIBLE_READER.plan()
    with pytest.raises(d43.ConfigError, match="no tier"):
        BIBLE_READER.extended("none", memory=None, disk=None)


@pytest.mark.parametrize(("changes", "words"), [
    ({"memory": {"max_byte": 1}}, "n.memory has no option 'max_byte': did you mean 'max_bytes'"),
    ({"disk": {"durability": "comit"}}, "n.disk.durability='comit'.*did you mean 'commit'"),
    ({"disk": {"max_bytes": "much"}}, "n.disk.max_bytes='much' is not a size"),
    ({"dsik": {"max_bytes": 1}}, "no tier 'dsik'.*did you mean 'disk'"),
    ({"disk": {"type": "lmbd"}}, "n.disk.type: 'lmbd'.*did you mean 'lmdb'"),
    ({"disk": {"type": 5}}, "n.disk.type=5"), ({"disk": 5}, "table of options"), ({"nothing": None}, "no tier"),
    ({"why": {"memory.max_byte": "x"}}, "did you mean 'memory.max_bytes'"), ({"share": 1}, "share=1"),
    ({"memory": None, "share": True}, "no effect")])
def test_what_is_wrong_is_refused_when_it_is_made(changes, words):
    with pytest.raises(d43.ConfigError, match=words):
        BIBLE_READER.extended("n", **changes)


def test_explained():
    one = TRANSLATION_TOOL.extended("one", memory={"max_bytes": "64MB"}, why={"memory.max_bytes": "old machines"})
    two = one.extended("two", disk={"ttl": "1d"})
    assert setting(two, "memory.max_bytes") == Setting("memory.max_bytes", 64 << 20, "one", "old machines")
    assert setting(two, "disk.ttl") == Setting("disk.ttl", 86400.0, "two", "")
    durable = setting(two, "disk.durability")
    assert durable.source == "translation-tool" and "power" in durable.why
    assert setting(two, "disk.on_damage") == Setting("disk.on_damage", "raise", "default of lmdb", "")
    assert setting(one, "disk.ttl").why == setting(TRANSLATION_TOOL, "disk.ttl").why != ""
    assert setting(two, "share") == Setting("share", False, "default of open", "")
    assert setting(two.extended("x", share=True), "share").source == "x"
    plan = two.plan("p")
    for layer, tier in zip(plan["layers"], ("memory", "disk"), strict=True):
        for option, value in layer.items():
            assert option == "path" or setting(two, f"{tier}.{option}").value == value


def test_ours_are_lowered_to_the_machine():
    small = detect(environ={"DOOR43FAST_HOST_MEMORY": "400MB"})
    lowered = setting(SERVER_API, "memory.max_bytes", host=small)
    assert lowered.value == 100 << 20 and lowered.source == "this machine" and "a quarter" in lowered.why
    assert SERVER_API.plan("p", host=small)["layers"][0]["max_bytes"] == 100 << 20
    assert BIBLE_READER.plan("p", host=small) == BIBLE_READER.plan("p")
    own = SERVER_API.extended("own", memory={"max_bytes": "300MB"})
    assert own.plan("p", host=small)["layers"][0]["max_bytes"] == 300 << 20     # what you say yourself stands


def test_open_lowers(tmp_path, monkeypatch):
    monkeypatch.setenv("DOOR43FAST_HOST_MEMORY", "40MB")
    with d43.open(tmp_path / "s", profile="server-api") as store:
        assert store.stats()["layers"][0]["max_bytes"] == 10 << 20


TOML = """
profile = "{base}"
name = "ours"
description = "What we use."
path = "cache"

[memory]
max_bytes = "20MB"

[disk]
ttl = "30d"

[why]
"memory.max_bytes" = "enough for us"
"""


def test_out_of_a_file(tmp_path):
    (tmp_path / "ours.toml").write_text(TOML.format(base="bible-reader"))
    profile = get(tmp_path / "ours.toml")
    assert (profile.name, profile.extends, profile.description) == ("ours", BIBLE_READER, "What we use.")
    assert setting(profile, "memory.max_bytes") == Setting("memory.max_bytes", 20 << 20, "ours", "enough for us")
    with d43.open(tmp_path / "ours.toml") as store:
        assert store.slow.path == str(tmp_path / "cache") and store.stats()["layers"][0]["max_bytes"] == 20 << 20
    (tmp_path / "theirs.json").write_text(json.dumps({"profile": "ours.toml", "memory": {"max_bytes": "5MB"}}))
    theirs = get(tmp_path / "theirs.json")
    assert theirs.extends.name == "ours" and setting(theirs, "disk.ttl").source == "ours"
    with d43.open(tmp_path / "there", profile=tmp_path / "theirs.json") as store:
        assert store.stats()["layers"][0]["max_bytes"] == 5 << 20


@pytest.mark.parametrize(("text", "words"), [
    (TOML.format(base="bible-raeder"), "did you mean 'bible-reader'"), (TOML.format(base="me.toml"), "extends itself"),
    ('profile = "bible-reader"\nmemroy = 5', "did you mean 'memory'"), ("profile = 5", "no profile 5"),
    ('profile = "bible-reader"\n[memroy]\nmax_bytes = 5', "did you mean 'memory'"),
    ('profile = "bible-reader"\nwhy = 5', "table of reasons"), ('profile = "bible-reader"\nname = 5', "name=5"),
    ('profile = "gone.toml"', "cannot be read"), ('profile = "bible-reader"\npath = 5', "path=5"),
    ('profile = "bible-reader"\n[memory]\nmax_bytes = -1', "me.toml.memory.max_bytes=-1|plan.memory.max_bytes=-1")])
def test_a_wrong_file_is_refused(tmp_path, text, words):
    (tmp_path / "me.toml").write_text(text)
    with pytest.raises(d43.ConfigError, match=words):
        d43.open(tmp_path / "me.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["me.toml"]


def test_a_profile_of_nobody():
    own = Profile("own", memory={"type": "memory", "max_entries": 5}, description="Small.")
    assert own.plan() == {"type": "memory", "max_entries": 5} and not own.ours and own.use is None
    with own.open() as store:
        store.set_many({f"k{i}": i for i in range(10)})
        assert len(store) == 5


def test_where_a_profile_has_no_place(tmp_path):
    for target in ("sqlite:///x.db", {"type": "memory"}):
        with pytest.raises(d43.ConfigError, match="profile= needs a path"):
            d43.open(target, profile="bible-reader")
    with pytest.raises(d43.ConfigError, match="did you mean 'path'"):
        d43.open(tmp_path / "s", profile="bible-reader", pth="x")

"""Recommendations: every plan can be opened, nothing raises, the same for the same, and each rule shows."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import door43fast as d43
from door43fast.host import detect, recommend

BYTES = [None, 0, 1, 10_000, 50_000_000, 10**11, 10**30, -5, "100MB", float("nan")]
RATIOS = [None, 0, 0.2, 5, 1000, float("inf"), "many"]
HERE = detect(environ={})
PERFORMANCE = ["low", "medium", "high", "highest"]


@pytest.fixture(scope="module")
def hosts():
    """This machine, and others that are made of it."""
    here = detect(environ={})
    return {
        "here": here,
        "small": here._replace(memory=64 << 20, cpus=1, disk_free=200 << 20),
        "tiny": here._replace(memory=1 << 20, disk_free=9 << 20),
        "full": here._replace(disk_free=1 << 20),
        "read only": here._replace(writable=False),
        "network": here._replace(disk="remote", file_system="nfs4"),
        "volatile": here._replace(disk="volatile", file_system="tmpfs"),
        "32 bits": here._replace(bits=32),
        "no native": here._replace(native={"memory": True, "lmdb": False}),
        "no sqlite": here._replace(sqlite=False, system="win32"),
        "says nothing": here._replace(memory=1 << 30, memory_total=None, disk=None, file_system=None, disk_free=None,
                                      disk_total=None, cpu_affinity=None),
    }


def test_every_plan_of_the_grid_can_be_opened(hosts, tmp_path):
    plans = {}
    for host, wish in itertools.product(hosts.values(), itertools.product(BYTES, RATIOS, (True, False), PERFORMANCE)):
        size, ratio, offline, performance = wish
        choices = recommend(expected_bytes=size, read_write_ratio=ratio, offline=offline, performance=performance,
                            path=tmp_path / "store", host=host)
        assert choices and [one.score for one in choices] == sorted((one.score for one in choices), reverse=True)
        for one in choices:
            assert one.reasons and one.plan["type" if "type" in one.plan else "strategy"]
            plans[json.dumps(one.plan, sort_keys=True)] = one.plan
    assert len(plans) > 60
    for number, plan in enumerate(plans.values()):
        text = json.dumps(plan).replace(str(tmp_path / "store"), str(tmp_path / f"store{number}"))
        with d43.open(json.loads(text)) as store:
            store["k"] = b"value"
            assert store["k"] == b"value"


@given(*[st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3),
                   st.just([]), st.just(object()))] * 5)
@settings(deadline=None, max_examples=300)
def test_nothing_raises(size, ratio, offline, performance, path):
    wish = {"expected_bytes": size, "read_write_ratio": ratio, "offline": offline, "performance": performance,
            "path": path}
    choices = recommend(**wish)
    assert choices and all(one.plan for one in choices)
    assert recommend(**wish, host=HERE) == recommend(**wish, host=HERE)


def first(host, **wish):
    return recommend(host=host, path="s", **wish)[0]


def layers(choice):
    return choice.plan["layers"]


def test_the_usual(hosts):
    best = first(hosts["here"], expected_bytes=10**8)
    assert best.name == "memory over LMDB" and layers(best)[1]["durability"] == "batch"
    assert layers(best)[1]["max_bytes"] == 2 * 10**8


def test_offline_loses_nothing(hosts):
    for name in ("here", "small", "network", "volatile", "no native"):
        for one in recommend(host=hosts[name], offline=True, expected_bytes=10**8, path="s"):
            for layer in one.plan.get("layers", [one.plan]):
                if layer["type"] != "memory":
                    assert layer["durability"] == "commit" and "max_bytes" not in layer
        assert first(hosts[name], offline=True).name != "memory"
    assert any("only" in reason and "free" in reason for reason in first(
        hosts["small"], offline=True, expected_bytes=10**9).reasons)


def test_memory_alone_where_there_is_no_disk(hosts):
    for name in ("read only", "full"):
        assert [one.name for one in recommend(host=hosts[name], offline=True)] == ["memory"]
    assert first(hosts["network"]).name == "memory"
    assert first(hosts["here"], expected_bytes=10**6, performance="high").name == "memory"


def test_lmdb_only_where_it_can_be(hosts):
    assert first(hosts["no native"]).name == "memory over SQLite"
    assert first(hosts["32 bits"]).name == "memory over SQLite"
    names = [one.name for one in recommend(host=hosts["no sqlite"])]
    assert names == ["memory over LMDB", "LMDB", "memory"]


def test_little_memory_and_many_writes(hosts):
    assert first(hosts["here"], performance="low").name == "LMDB"
    assert first(hosts["here"], read_write_ratio=0.2).name == "LMDB"
    low, medium, high = (next(layers(one)[0]["max_bytes"] for one in recommend(
        host=hosts["here"]._replace(memory=800 << 20), performance=performance)
        if one.name == "memory over LMDB") for performance in ("low", "medium", "high"))
    assert (low, medium, high) == (25 << 20, 100 << 20, 200 << 20)
    assert layers(first(hosts["here"]._replace(memory=800 << 20), read_write_ratio=50))[0]["max_bytes"] == 200 << 20


def test_what_makes_no_sense_is_said(hosts):
    for wish, words in (({"expected_bytes": -1}, "expected_bytes=-1"), ({"performance": "x"}, "performance='x'"),
                        ({"offline": 3}, "offline=3"), ({"read_write_ratio": "a"}, "read_write_ratio='a'")):
        assert any(words in reason for reason in first(hosts["here"], **wish).reasons)
    assert any("path=" in reason for reason in recommend(host=hosts["here"], path=None)[0].reasons)


def test_a_wrong_environment_is_said_and_left_out(monkeypatch):
    monkeypatch.setenv("DOOR43FAST_HOST_DISK", "flopy")
    assert any("DOOR43FAST_HOST_DISK" in reason for reason in recommend()[0].reasons)
    monkeypatch.setenv("DOOR43FAST_HOST_DISK", "remote")
    assert recommend()[0].name == "memory"

"""``door43fast host`` and ``door43fast recommend``."""

import door43fast as d43
from door43fast.host import detect


def test_host(empty, tmp_path):
    found = empty.json("host", "--path", tmp_path)
    assert found["memory"] == detect(tmp_path).memory and found["path"] == str(tmp_path) and "probe" not in found
    assert empty.json("host", "--path", tmp_path, "--probe")["probe"]["samples"] >= 1
    shown = empty("host", "--path", tmp_path, "--probe").stdout
    assert "file system" in shown and "probe: sync" in shown and list(tmp_path.iterdir()) == []


def test_recommend(empty, tmp_path):
    choices = empty.json("recommend", "--expected-bytes", "10MB", "--ratio", "20", "--performance", "high",
                         "--path", tmp_path / "s")
    assert choices[0]["name"] == "memory" and choices[0]["reasons"]
    with d43.open(choices[1]["plan"]) as store:
        store["k"] = 1
    shown = empty("recommend", "--offline", "--path", tmp_path / "s").stdout
    assert shown.startswith("1. memory over LMDB") and "door43fast.open({" in shown


def test_what_is_none_is_refused(empty, monkeypatch):
    assert "size" in empty.refused(2, "recommend", "--expected-bytes", "much")
    monkeypatch.setenv("DOOR43FAST_HOST_CPUS", "none")
    assert "DOOR43FAST_HOST_CPUS" in empty.refused(2, "host")

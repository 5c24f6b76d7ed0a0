"""``door43fast profiles``."""

import door43fast as d43
from door43fast.profiles import OURS


def test_listed(empty):
    assert [one["name"] for one in empty.json("profiles")] == list(OURS)
    assert all(name in empty("profiles").stdout for name in OURS)


def test_explained(empty, tmp_path, monkeypatch):
    one = empty.json("profiles", "bible-reader", "--path", tmp_path / "s")
    assert {"path": "memory.max_bytes", "value": 10 << 20, "source": "bible-reader"}.items() <= next(
        setting for setting in one["settings"] if setting["path"] == "memory.max_bytes").items()
    with d43.open(one["plan"]) as store:
        store["k"] = 1
    monkeypatch.setenv("DOOR43FAST_HOST_MEMORY", "8MB")
    assert "this machine" in empty("profiles", "bible-reader", "--path", tmp_path / "s").stdout
    assert "this machine" not in empty("profiles", "bible-reader").stdout


def test_of_a_file(empty, tmp_path):
    (tmp_path / "own.toml").write_text('profile = "server-api"\n[memory]\nmax_bytes = "1MB"\n')
    assert empty.json("profiles", tmp_path / "own.toml")["extends"] == "server-api"


def test_what_there_is_not(empty):
    assert "did you mean 'bible-reader'" in empty.refused(2, "profiles", "bible-redaer")

"""Scenarios 6 to 8: which backend is there, which is taken by default, and a program's state that is kept in it."""

import json
import sqlite3
import subprocess
import sys

import pytest

import door43fast as d43
from door43fast import host
from door43fast.errors import BackendUnavailableError, CorruptError, ReadOnlyError
from door43fast.native.clock import ManualClock
from door43fast.plugins.roster import registry

WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None         # as if it were not installed
from door43fast.plugins import registry
about = registry.about(sys.argv[2])
print(about.available, about.reason, about.remedy, sep="|")
"""

SAVED = """
import sys
import door43fast as d43
with d43.open(sys.argv[1], sync_interval=3600) as store:
    for number in range(500):
        store["state"] = {"scroll": number}
"""


@pytest.mark.parametrize("name", ["memory", "lmdb", "sqlite", "filesystem", "asyncstorage", "redis"])
def test_6_available(name):
    assert registry.about(name).available


@pytest.mark.parametrize(("module", "name"), [("redis", "redis"), ("sqlite3", "sqlite")])
def test_6_not_available_with_the_reason_and_a_remedy(module, name):
    run = subprocess.run([sys.executable, "-c", WITHOUT, module, name], capture_output=True, text=True, check=True)
    available, reason, remedy = run.stdout.strip().split("|")
    assert available == "False" and module.partition(".")[0] in reason and remedy


@pytest.mark.parametrize("name", ["lmdb", "sqlite", "filesystem", "asyncstorage"])
def test_6_an_error_of_the_host_surfaces_by_its_path(name, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises((d43.errors.Error, OSError), match="file"):
        d43.open({"type": name, "path": tmp_path / "file" / "below"}).set("k", "v")


def test_6_what_is_missing_is_none(tmp_path):
    for name in ("memory", "lmdb", "sqlite", "filesystem", "asyncstorage"):
        plan = {"type": name} if name == "memory" else {"type": name, "path": tmp_path / name}
        if name == "asyncstorage":
            plan["form"] = "apple"
        with d43.open(plan) as store:
            assert store.get("none") is None and not store.delete("none")
            with pytest.raises(KeyError, match="none"):
                store["none"]


def test_7_the_default_choice_falls_back(tmp_path, monkeypatch):
    """On the disk where that can be kept, and in memory where it cannot."""
    first = host.recommend(expected_bytes=1 << 20, path=tmp_path)[0]
    with d43.open(first.plan) as store:
        store["k"] = 1
    with d43.open(first.plan) as store:
        assert store["k"] == 1
    monkeypatch.setenv("DOOR43FAST_HOST_DISK_FREE", "0")
    without = host.recommend(expected_bytes=1 << 20, path=tmp_path)[0]
    assert without.reasons and "lmdb" not in json.dumps(without.plan, default=str)
    with d43.open(without.plan) as store:
        store["k"] = 1
        assert store["k"] == 1


def test_8_a_state_is_kept_and_expires(tmp_path):
    clock = ManualClock()
    plan = {"type": "sqlite", "path": tmp_path / "s", "clock": clock}
    with d43.open(plan) as store:
        store.set("panels", {"left": "en_ult", "right": "en_tn"}, ttl=3600)
        assert "panels" in store and store.ttl("panels") == pytest.approx(3600, abs=1)
    with d43.open(plan) as store:
        assert store["panels"] == {"left": "en_ult", "right": "en_tn"}
        clock.advance(3601)
        assert store.get("panels") is None and store.expire() == 1 and len(store) == 0


def test_8_an_invalid_state_is_survived(tmp_path):
    """It is refused with its key, it can be replaced, and the others are read."""
    with d43.open({"type": "sqlite", "path": tmp_path / "s"}) as store:
        store.set_many({"state": {"a": 1}, "other": "whole"})
    with sqlite3.connect(tmp_path / "s") as base:
        table = next(name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type='table'")
                     if {"key", "value"} <= {row[1] for row in base.execute(f"PRAGMA table_info({name})")})
        base.execute(f"UPDATE {table} SET value = x'7b226122' WHERE key = 'state'")
    base.close()
    with d43.open({"type": "sqlite", "path": tmp_path / "s"}) as store:
        with pytest.raises(CorruptError, match="state"):
            store.get("state")
        assert store["other"] == "whole"
        store["state"] = {"a": 2}
        assert store["state"] == {"a": 2}


def test_8_many_savings_are_few_writes(tmp_path):
    """Under ``batch`` what is set again and again is synced once an interval, and what was set last is there."""
    subprocess.run(["strace", "-f", "-o", tmp_path / "calls", "-e", "trace=fsync,fdatasync",
                    sys.executable, "-c", SAVED, tmp_path / "s"], check=True)
    assert 0 < (tmp_path / "calls").read_text().count("sync(") < 20
    with d43.open(tmp_path / "s") as store:
        assert store["state"] == {"scroll": 499}


def test_8_what_is_not_to_be_changed_is_not(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store["state"] = 1
    with d43.LmdbStore(tmp_path / "s", readonly=True) as store:
        with pytest.raises(ReadOnlyError):
            store["state"] = 2
        assert store["state"] == 1


def test_8_clearing_a_part_leaves_the_others(tmp_path):
    with d43.open(tmp_path / "s") as store:
        store.set_many({"state/a": 1, "state/b": 2, "notes": 3})
        store.clear("state/")
        assert dict(store.scan()) == {"notes": 3}


def test_6_a_server_that_is_not_there_is_named():
    with pytest.raises(BackendUnavailableError, match="127.0.0.1:1"):
        d43.open("redis://127.0.0.1:1/0", connect_timeout=1).get("k")

"""Apple's form of AsyncStorage: files beside a manifest, and what a process leaves that dies at any step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import door43fast as d43
from asyncstorage_files import APPLE, ENTRIES
from door43fast.plugins.asyncstorage import AsyncStorageStore

WORKER = Path(__file__).with_name("asyncstorage_worker.py")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "RCTAsyncLocalStorage_V1"


def test_what_the_app_left_is_read(folder):
    APPLE.write(folder, ENTRIES)
    with d43.open(f"asyncstorage:///{folder}") as store:
        assert store.form == "apple" and dict(store.items()) == ENTRIES and len(store) == len(ENTRIES)
        APPLE.file(folder, "longer").unlink()       # a null without a file is no entry
        assert "longer" not in store and store.get("longer", 7) == 7 and len(store) == len(ENTRIES) - 1
        assert "longer" not in list(store) and store.verify()["errors"] == []


def test_the_app_finds_what_was_written(folder):
    with AsyncStorageStore(path=folder, codec="text") as store:
        store.set_many(ENTRIES)
        assert APPLE.read(folder) == (ENTRIES, set())
        for value in ("short", "x" * 1024, "x" * 1025, "\U0001f4d6" * 512, "\U0001f4d6" * 513, "y" * 5000, ""):
            store["k"] = value
            assert APPLE.read(folder) == ({**ENTRIES, "k": value}, set()) and store["k"] == value
        store["k"] = "x" * 2000
        assert store.delete_many(["k", "longer", "token"]) == 3
        assert APPLE.read(folder) == ({key: value for key, value in ENTRIES.items()
                                       if key not in ("longer", "token")}, set())
        store.clear("p")
        store.clear()
        assert APPLE.read(folder) == ({}, set())


def test_what_is_not_ours_stays(folder):
    APPLE.write(folder, ENTRIES)
    (folder / "another app's file").write_text("x")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[""] = "an entry without a key"
    manifest["half"] = "a pair of which one half is missing: \ud83d"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with AsyncStorageStore(path=folder) as store:
        store["new"] = "value"
        assert "" not in list(store) and store["half"].endswith("\ud83d")
    found = json.loads((folder / "manifest.json").read_text())
    assert found == {**manifest, "new": "value"} and (folder / "another app's file").exists()


def test_another_process_is_seen_and_kept_out(folder):
    with AsyncStorageStore(path=folder) as store, AsyncStorageStore(path=folder, busy_timeout=0.05) as other:
        store["k"] = "1"
        assert other["k"] == "1"
        other["k"] = "2" * 2000
        other["l"] = "3"
        assert store.get_many(["k", "l"]) == ["2" * 2000, "3"]
        with store._writing(), pytest.raises(d43.BackendUnavailableError, match=r"busy_timeout=0\.05"):
            other["k"] = "4"
        assert store["k"] == "2" * 2000
    with d43.open(f"asyncstorage:///{folder}", memory="1MB") as tier, AsyncStorageStore(path=folder) as other:
        assert tier["l"] == "3" == tier["l"]
        other["l"] = "5"
        assert tier["l"] == "5"


LONG, OTHER, SHORT = ("a", 3000), ("b", 4000), ("c", 5)


def texts(one):
    return None if one is None else one[0] * one[1]


@pytest.mark.parametrize(("before", "after"), [
    (None, SHORT), (None, LONG), (SHORT, LONG), (LONG, SHORT), (LONG, OTHER), (LONG, None), (SHORT, None)])
def test_who_dies_at_any_step_leaves_the_old_or_the_new(before, after, tmp_path):
    ends = set()
    for step in range(1, 10):
        folder = tmp_path / str(step) / "RCTAsyncLocalStorage"
        APPLE.write(folder, {"other": "stays", "long": "z" * 2000} | ({} if before is None else {"k": texts(before)}))
        done = subprocess.run([sys.executable, WORKER, folder, str(step), "k", *map(str, after or ())], timeout=60)
        assert done.returncode in (0, 9)
        found, left = APPLE.read(folder)
        assert found.pop("other") == "stays" and found.pop("long") == "z" * 2000
        assert found in ({} if one is None else {"k": texts(one)} for one in (before, after))
        assert left <= {APPLE.file(folder, "k").name} | {name for name in left if name.startswith(".d43-")}
        with AsyncStorageStore(path=folder) as store:
            assert store.get("k") == found.get("k")
            store["k"] = "and goes on"
            assert store["k"] == "and goes on" and not [name for name in os.listdir(folder) if name[0] == "."]
        ends.add(done.returncode)
        if done.returncode == 0:
            break
    assert ends == {0, 9}


def test_a_batch_that_cannot_be_written_changes_nothing(folder):
    with AsyncStorageStore(path=folder, max_value="1MB") as store:
        store.set_many({"a": "1", "b": "x" * 2000})
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(d43.BudgetError):
            store.set_many({"a": "2", "b": "y" * 3000, "c": "z" * (2 << 20)})
        with pytest.raises(d43.UnsupportedError):
            store.transaction().__enter__()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_manifest_that_is_damaged(folder):
    APPLE.write(folder, ENTRIES)
    (folder / "manifest.json").write_text('{"token": "plain te')
    with pytest.raises(d43.CorruptError, match="restore"):
        AsyncStorageStore(path=folder)
    assert (folder / "manifest.json").read_text() == '{"token": "plain te'


def test_a_value_that_is_no_text(folder):
    APPLE.write(folder, ENTRIES)
    APPLE.file(folder, "longer").write_bytes(b"\xff\xfe")
    with AsyncStorageStore(path=folder) as store:
        with pytest.raises(d43.CorruptError, match="'longer'"):
            store["longer"]
        assert store["token"] == "plain text" and any("'longer'" in one for one in store.verify()["errors"])


def test_each_step_is_synced_before_the_next(folder, monkeypatch):
    """What survives a power loss: a new file before the manifest that names it, that before the old file goes."""
    steps = []
    for name in ("replace", "unlink", "fsync"):
        def noted(*arguments, name=name, call=getattr(os, name), **options):
            what = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "fsync" else arguments[-1]
            steps.append((name, "manifest" if what.endswith("manifest.json") else "file" if os.path.basename(what) ==
                          APPLE.file(folder, "k").name else "beside" if ".d43-" in what else "folder"))
            return call(*arguments, **options)
        monkeypatch.setattr(os, name, noted)
    with AsyncStorageStore(path=folder) as store:
        steps.clear()
        store["k"] = "x" * 3000
        assert steps == [("fsync", "beside"), ("replace", "file"), ("fsync", "folder"), ("fsync", "beside"),
                         ("replace", "manifest"), ("fsync", "folder")]
        steps.clear()
        store["k"] = "short"
        assert steps == [("fsync", "beside"), ("replace", "manifest"), ("fsync", "folder"), ("unlink", "file")]

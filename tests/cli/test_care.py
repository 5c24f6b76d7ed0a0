"""``backup``, ``compact``, ``readers`` and ``verify`` over stores of every kind of keys, and their refusals."""

import os
import re
import subprocess
import sys

import pytest

from door43fast.lmdb import LmdbStore

HOLDS = """
import sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1])
with store.transaction() as t:
    t.get("x")
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(run):
    """A store that another process has open, in the middle of a transaction."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, run.directory], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    run.process = process
    yield run
    process.kill()
    process.communicate()


def test_backup(held, tmp_path):
    report = held.json("backup", tmp_path / "copy")
    assert report["bytes"] == os.stat(tmp_path / "copy" / "data.mdb").st_size
    with LmdbStore(tmp_path / "copy") as copy, LmdbStore(held.directory) as store:
        assert dict(copy.items()) == dict(store.items())
    assert "not empty" in held.refused(2, "backup", tmp_path / "copy")
    assert held("backup", tmp_path / "other").stdout.startswith(f"{held.directory}: copied to")


def test_compact(run):
    with LmdbStore(run.directory) as store:
        store.set_many({f"x{i}": bytes(5000) for i in range(500)})
        store.clear("x")
        kept = dict(store.items())
    report = run.json("compact")
    assert report["after"] < report["before"] / 2
    with LmdbStore(run.directory) as store:
        assert dict(store.items()) == kept
    assert re.search(r"before, .* after\n", run("compact").stdout)


def test_compact_while_it_is_in_use(held):
    assert "open in another process" in held.refused(2, "compact")


def test_readers(held):
    with LmdbStore(held.directory) as store:
        for i in range(3):
            store["x"] = i
    reading, = [one for one in held.json("readers")["readers"] if one["transaction"] is not None]
    assert (reading["pid"], reading["lag"], reading["alive"]) == (held.process.pid, 3, True)
    assert str(held.process.pid) in held("readers").stdout
    assert held.json("readers", "--clear")["cleared"] == 0


def test_dead_readers_are_listed_and_cleared(held):
    keeper = subprocess.Popen([sys.executable, "-c", HOLDS, held.directory], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdout.readline() == "ready\n"
        held.process.kill()
        held.process.wait()
        dead = [one for one in held.json("readers")["readers"] if not one["alive"]]
        assert {one["pid"] for one in dead} == {held.process.pid}
        assert f"{len(dead)} place" in held("readers", "--clear").stdout
        assert {one["pid"] for one in held.json("readers")["readers"]} == {keeper.pid}
    finally:
        keeper.kill()
        keeper.communicate()


def test_nobody_reads(run):
    assert "nobody has it open" in run("readers").stdout


@pytest.mark.parametrize("keys", ["int", "bytes", "any"])
def test_other_keys(empty, keys, tmp_path):
    with LmdbStore(empty.directory, keys=keys) as store:
        store.set_many({7: b"v"} if keys == "int" else {b"k": b"v"})
    assert empty.json("verify")["checked"] == 1
    assert empty.json("backup", tmp_path / "copy")["bytes"] > 0
    assert empty.json("compact")["after"] > 0
    assert empty.json("readers")["readers"] == []


@pytest.mark.parametrize("command", [["backup", "x"], ["compact"], ["readers"], ["verify"]])
def test_there_is_no_store(empty, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no store" in empty.refused(3, *command)
    assert not list(tmp_path.iterdir())


BUSY = """
import sys, door43fast as d43
store = d43.LmdbStore(sys.argv[1], durability=sys.argv[2])
d43.namespace(store, "gone")["k"] = store["k"] = 1
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("durability", ["commit", "batch", "none"])
def test_a_store_that_others_write_to_is_looked_after_whatever_their_durability(empty, durability):
    """Compact spoke of a durability that it could not be told, and no namespace could be dropped."""
    command = [sys.executable, "-c", BUSY, str(empty.directory), durability]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        try:
            assert keeper.stdout.readline() == "ready\n"
            assert "is open in another process and cannot be compacted" in empty.refused(2, "compact")
            assert empty.json("namespaces", "--drop", "gone")["entries"] == 1 and empty.json("ls") == ["k"]
        finally:
            keeper.kill()

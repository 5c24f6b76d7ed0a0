"""Stores of every type of keys and values, and what is no store, on the command line."""

import datetime
import json

import numpy
import pytest

from door43fast.lmdb import LmdbStore

KEYS = {"str": ("a", "a"), "bytes": (b"a", "a"), "int": (-7, "-7"), "any": (("a", 1), "('a', 1)")}


@pytest.fixture(params=KEYS)
def kept(request, empty):
    """A run over a store of such keys: with a key, and the word for it."""
    key, word = KEYS[request.param]
    with LmdbStore(empty.directory, keys=request.param) as store:
        store[key] = {"n": 1}
    return empty, key, word, request.param


def test_every_type_of_keys_is_listed_counted_and_read(kept):
    run, key, word, _ = kept
    assert run("ls").stdout == f"{word}\n" and run.json("ls", "--count")["count"] == 1
    assert run.json("stats")["counts"]["entries"] == 1
    told = run("get", "--json", "--", word)
    assert told.exit_code == 0 and json.loads(told.stdout) == [{"key": word, "type": "dict", "value": {"n": 1}}]


def test_a_key_that_is_not_there_or_is_none(kept):
    run, _, _, kind = kept
    assert "there is no key" in run.refused(1, "get", "99")
    if kind == "int":
        assert "is no whole number" in run.refused(2, "get", "first")
        assert "leave PREFIX" in run.refused(2, "ls", "9")


def test_a_prefix_of_a_tuple(empty):
    with LmdbStore(empty.directory, keys="any") as store:
        store.set_many({("a", 1): 1, ("a", 2): 2, ("b", 1): 3, "a": 4})
    assert empty("ls", "('a',)").stdout == "('a', 1)\n('a', 2)\n" and empty("ls", "a").stdout == "a\n"
    assert empty("get", "a").stdout == "4\n"


def test_values_that_json_does_not_have(empty):
    with LmdbStore(empty.directory) as store:
        store.set_many({"array": numpy.arange(3000), "tuples": {("a", 1): [{(2,): 3}]}, "set": {1},
                        "when": datetime.datetime(2026, 1, 1)})
    one, two, three, four = (entry["value"] for entry in empty.json("get", "array", "tuples", "set", "when"))
    assert one == list(range(3000)), "an array was shortened to its text"
    assert (two, three, four) == ({"('a', 1)": [{"(2,)": 3}]}, [1], "2026-01-01T00:00:00")


@pytest.mark.parametrize("command", [["stats"], ["ls"], ["get", "a"], ["verify"], ["readers"], ["compact"],
                                     ["top", "--once"], ["namespaces"], ["backup", "copy"]])
def test_what_is_no_store_is_told_alike_by_all(command, empty, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other").write_text("x")
    assert "is a file" in empty.refused(3, *command, "--store", tmp_path / "file")
    assert "there is no store at" in empty.refused(3, *command, "--store", tmp_path / "folder")
    assert "there is no store at" in empty.refused(3, *command, "--store", tmp_path / "nowhere")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["other"]


def test_an_export_onto_a_file(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file, and an export is written into a folder" in run.refused(3, "export", "--to", tmp_path / "file")

"""The import of a cache of diskcache: all kinds of records, nothing unpickled, nothing written, damage reported."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys

import diskcache
import pytest
from click.testing import CliRunner

from door43fast.cli.program import program
from door43fast.compat.diskcache import Cache
from door43fast.compat.diskcache_import import import_diskcache
from door43fast.errors import SourceError
from door43fast.lmdb import LmdbStore

LARGE = 100_000
PLAIN = {"text": "value", b"bytes": b"\x00\xff", 5: 2**40, 2.5: -1.5, "empty": "", "": b"", "\u05d0": "\u05d1",
         "binary file": b"\x01" * LARGE, "text file": "\u05d0\r\n" * LARGE, -7: 0}
PICKLES = {"list": [1, 2], "large list": list(range(LARGE)), "none": None, "true": True, ("tuple", 1): "v",
           ("tuple", 2): {"a": 1}, None: 3}


class Bomb:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Once:
    """Becomes an open file when it is unpickled, which cannot be pickled again."""

    def __reduce__(self):
        return open, (os.devnull,)


@pytest.fixture
def old(tmp_path):
    """A cache of diskcache with records of every mode, some with expiry and tags; closed."""
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        for key, value in {**PLAIN, **PICKLES}.items():
            cache[key] = value
        cache.set("tagged", "t", tag="some tag")
        cache.set("number tag", "t", tag=7)
        cache.set("expiring", "e", expire=1000, tag="some tag")
        cache["expired"] = "x"
    edit(tmp_path / "old", "UPDATE Cache SET expire_time = 1 WHERE key = 'expired'")
    return tmp_path / "old"


def edit(old, statement, *values):
    connection = sqlite3.connect(old / "cache.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def state(directory):
    """Every file with its contents and time."""
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in directory.rglob("*") if path.is_file()}


def run(*arguments):
    return CliRunner().invoke(program, [str(one) for one in arguments], prog_name="door43fast")


def test_what_is_plain_comes_over_without_pickle(old, tmp_path):
    with diskcache.Cache(str(old)) as cache:
        expires = cache.get("expiring", expire_time=True)[1]
    before = state(old)
    result = run("import-diskcache", old, "--into", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["taken"] == len(PLAIN) + 3 and report["tags"] == 3 and report["expiring"] == 1
    assert report["skipped"] == {"expired": 1, "pickled key": 3, "pickled value": 4} and report["problems"] == []
    assert state(old) == before
    with Cache(tmp_path / "new") as cache:
        for key, value in PLAIN.items():
            assert cache[key] == value and type(cache[key]) is type(value)
        assert len(cache) == len(PLAIN) + 3
        assert cache.get("tagged", tag=True) == ("t", "some tag") and cache.get("number tag", tag=True) == ("t", "7")
        value, expires_here, tag = cache.get("expiring", expire_time=True, tag=True)
        assert (value, tag) == ("e", "some tag") and abs(expires_here - expires) < 1e-5
        assert cache.evict("some tag") == 2
    with LmdbStore(tmp_path / "new", keys="any") as store:
        assert store["text"] == "value" and store[5] == 2**40


def test_again_changes_nothing(old, tmp_path):
    first = import_diskcache(old, tmp_path / "new")
    with Cache(tmp_path / "new") as cache:
        held = {key: cache.get(key, expire_time=True, tag=True) for key in cache}
    second = import_diskcache(old, tmp_path / "new")
    assert first == second
    with Cache(tmp_path / "new") as cache:
        again = {key: cache.get(key, expire_time=True, tag=True) for key in cache}
    assert {key: (value, tag) for key, (value, _, tag) in held.items()} == \
        {key: (value, tag) for key, (value, _, tag) in again.items()}
    assert abs(held["expiring"][1] - again["expiring"][1]) < 1e-5


def test_pickles_by_name(old, tmp_path):
    result = run("import-diskcache", old, "--into", tmp_path / "new", "--pickle")
    assert result.exit_code == 0 and "runs the code" in result.stderr and "left out: 1, expired" in result.stdout
    with Cache(tmp_path / "new", codec="pickle") as cache:
        for key, value in {**PLAIN, **PICKLES}.items():
            assert cache[key] == value and type(cache[key]) is type(value)
        assert len(cache) == len(PLAIN) + len(PICKLES) + 3
    with Cache(tmp_path / "new") as cache:      # what can do without pickle is stored without
        assert cache["list"] == [1, 2] and cache["tuple", 2] == {"a": 1} and cache["none"] is None


def test_nothing_is_unpickled_unless_asked_for(tmp_path):
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache["bomb"] = Bomb(tmp_path / "by value")
        cache["large"] = [Bomb(tmp_path / "by file"), "x" * LARGE]
        cache[(Bomb(tmp_path / "by key"), 1)] = 1
    report = import_diskcache(tmp_path / "old", tmp_path / "new")
    assert (report.taken, report.skipped) == (0, {"pickled key": 1, "pickled value": 2})
    assert not any((tmp_path / name).exists() for name in ("by value", "by file", "by key"))
    result = run("import-diskcache", tmp_path / "old", "--into", tmp_path / "third")
    assert result.exit_code == 0 and "comes over with --pickle" in result.stdout
    import_diskcache(tmp_path / "old", tmp_path / "other", pickles=True)
    assert all((tmp_path / name).exists() for name in ("by value", "by file", "by key"))    # the proof that they work


def test_what_cannot_be_pickled_again_is_told(tmp_path):
    with diskcache.Cache(str(tmp_path / "old")) as cache:
        cache["value"] = Once()
        cache[(Once(), 1)] = 1
        cache["good"] = [1]
    report = import_diskcache(tmp_path / "old", tmp_path / "new", pickles=True)
    assert report.taken == 1 and [problem.reason[:25] for problem in report.problems] == \
        ["its value cannot be store", "its key cannot be stored "]


def damage(old, key, change):
    """Apply ``change`` to the value file of ``key``."""
    connection = sqlite3.connect(old / "cache.db")
    (name,), = connection.execute("SELECT filename FROM Cache WHERE key = ?", (key,)).fetchall()
    connection.close()
    change(old / name)


@pytest.mark.parametrize(("key", "change", "reason"), [
    ("binary file", lambda path: path.unlink(), "is missing"),
    ("binary file", lambda path: path.write_bytes(b"short"), f"has 5 bytes, not {LARGE}"),
    ("text file", lambda path: path.write_bytes(b"\xff" * path.stat().st_size), "is not UTF-8"),
])
def test_damaged_files_are_told_by_key_and_left_out(old, tmp_path, key, change, reason):
    damage(old, key, change)
    result = run("import-diskcache", old, "--into", tmp_path / "new", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["taken"] == len(PLAIN) + 2
    (problem,) = report["problems"]
    assert problem["key"] == repr(key) and reason in problem["reason"]
    error = json.loads(result.stderr)["error"]
    assert error["code"] == 1 and key in error["message"] and reason in error["message"]
    with Cache(tmp_path / "new") as cache:
        assert key not in cache and cache["text"] == "value"


@pytest.mark.parametrize(("statement", "values", "reason"), [
    ("UPDATE Cache SET filename = ? WHERE key = 'binary file'", ("../secret",), "outside of the cache"),
    ("UPDATE Cache SET filename = ? WHERE key = 'binary file'", ("/etc/passwd",), "outside of the cache"),
    ("UPDATE Cache SET filename = NULL WHERE key = 'binary file'", (), "has no file"),
    ("UPDATE Cache SET mode = 9 WHERE key = 'text'", (), "unknown kind 9"),
    ("UPDATE Cache SET value = NULL WHERE key = 'text'", (), "has no value"),
    ("UPDATE Cache SET value = CAST(x'ff' AS TEXT) WHERE key = 'text'", (), "text is not UTF-8"),
    ("UPDATE Cache SET key = CAST(x'ff' AS TEXT) WHERE key = 'text'", (), "key is not UTF-8"),
    ("UPDATE Cache SET expire_time = 'soon' WHERE key = 'text'", (), "expiry is no number"),
    ("UPDATE Cache SET expire_time = 1e300 WHERE key = 'text'", (), "further off"),
    ("UPDATE Cache SET key = ? WHERE key = 'text'", ("k" * 65535,), "takes 65537 bytes"),
])
def test_a_hostile_database_harms_nothing(old, tmp_path, statement, values, reason):
    (tmp_path / "secret").write_bytes(b"s" * LARGE)
    edit(old, statement, *values)
    report = import_diskcache(old, tmp_path / "new")
    assert [reason in problem.reason for problem in report.problems] == [True]
    assert report.taken == len(PLAIN) + 2


def test_changes_that_stand_in_the_log_come_over(tmp_path):
    script = ("import diskcache, os, sys\n"
              "cache = diskcache.Cache(sys.argv[1])\n"
              "cache['k'] = 'in the log'\n"
              "os._exit(0)\n")     # killed: SQLite does not fold its log into the database
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "old")], check=True, timeout=60)
    assert os.path.getsize(tmp_path / "old" / "cache.db-wal") > 0
    before = state(tmp_path / "old")
    report = import_diskcache(tmp_path / "old", tmp_path / "new")
    assert report.taken == 1 and state(tmp_path / "old") == before
    with Cache(tmp_path / "new") as cache:
        assert cache["k"] == "in the log"


def test_all_shards_of_a_fanout_cache(tmp_path):
    with diskcache.FanoutCache(str(tmp_path / "old"), shards=4) as cache:
        for number in range(200):
            cache.set(number, f"value {number}", expire=1000 if number % 2 else None)
    report = import_diskcache(tmp_path / "old", tmp_path / "new")
    assert (report.shards, report.taken, report.expiring) == (4, 200, 100)
    with Cache(tmp_path / "new") as cache:
        assert {number: cache[number] for number in cache} == {number: f"value {number}" for number in range(200)}


def test_more_than_one_transaction(tmp_path):
    with diskcache.Cache(str(tmp_path / "old")) as cache, cache.transact():
        for number in range(2500):
            cache[number] = number
    calls = []
    report = import_diskcache(tmp_path / "old", tmp_path / "new", progress=lambda *call: calls.append(call))
    assert report.taken == 2500 and calls == [(1000, 2500, "old"), (2000, 2500, "old"), (2500, 2500, "old")]


def test_what_is_no_cache_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("import-diskcache", tmp_path / "empty", "--into", tmp_path / "new").exit_code == 3
    (tmp_path / "empty" / "cache.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(SourceError, match="cannot be read"):
        import_diskcache(tmp_path / "empty", tmp_path / "new")
    (tmp_path / "empty" / "cache.db").unlink()
    connection = sqlite3.connect(tmp_path / "empty" / "cache.db")
    connection.execute("CREATE TABLE Cache (key, value)")
    connection.commit()
    connection.close()
    with pytest.raises(SourceError, match="lacks expire_time"):
        import_diskcache(tmp_path / "empty", tmp_path / "new")


def test_into_itself_is_refused(old):
    before = state(old)
    result = run("import-diskcache", old, "--into", old)
    assert result.exit_code == 2 and state(old) == before

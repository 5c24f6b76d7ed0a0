"""What cannot be opened says why, and is left as it was."""

import hashlib
import pathlib

import pytest

from door43fast import errors
from door43fast.lmdb import LmdbStore


def fingerprint(path):
    """All files and their content, but of lock.mdb, LMDB's scratch file, only that it is there."""
    return {str(p): p.is_file() and p.name != "lock.mdb" and hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(pathlib.Path(path).rglob("*"))}


def refused(path, kind, words, **options):
    before = fingerprint(path)
    with pytest.raises(kind, match=words):
        LmdbStore(path, **options)
    assert fingerprint(path) == before
    with pytest.raises(kind, match=words):     # and again: nothing was left half open
        LmdbStore(path, **options)


FOREIGN = ("import lmdb, sys; e = lmdb.open(sys.argv[1]); t = e.begin(write=True); "
           "t.put(b'k', b'v'); t.commit(); e.close()")
FOREIGN_META = """
import lmdb, sys
e = lmdb.open(sys.argv[1], max_dbs=4)
with e.begin(write=True) as t:
    t.put(b"k", b"v", db=e.open_db(b"meta", t))
e.close()
"""
NEWER = """
import lmdb, sys
e = lmdb.open(sys.argv[1], max_dbs=16)
with e.begin(write=True) as t:
    t.put(b"door43fast", (2).to_bytes(4, "little"), db=e.open_db(b"meta", t))
e.close()
"""


@pytest.mark.parametrize("code", [FOREIGN, FOREIGN_META])
@pytest.mark.parametrize("locked", [True, False])
def test_a_foreign_lmdb_file(tmp_path, judge, code, locked):
    judge(code, tmp_path)
    if not locked:
        (tmp_path / "lock.mdb").unlink()
    refused(tmp_path, errors.FormatError, "did not write; it was left untouched")


def test_a_file_of_lmdb_1_0(tmp_path, judge):
    judge(FOREIGN.replace("lmdb.open(sys.argv[1])", "lmdb.open(sys.argv[1], lib_version=1)"), tmp_path)
    refused(tmp_path, errors.FormatError, "LMDB 1.0 or newer")


def test_a_newer_format_of_ours(make, judge):
    store = make()
    store["k"] = b"v"
    path = store.path
    store.close()
    judge(NEWER, path)
    refused(path, errors.FormatError, "written by a newer door43fast")


def test_a_file_that_is_no_lmdb_file(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"hello, world" * 1000)
    refused(tmp_path, errors.FormatError, "is not an LMDB file")


def test_a_file_that_is_cut_within_its_head(make):
    store = make()
    path = pathlib.Path(store.path)
    store.close()
    data = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(data[:4096])
    refused(path, errors.CorruptError, "second head page")


def test_a_file_that_is_cut_behind_its_head_does_not_kill_the_process(make):
    store = make()
    store.set_many((f"k{i}", bytes(1000)) for i in range(1000))
    path = pathlib.Path(store.path)
    store.close()
    data = (path / "data.mdb").read_bytes()
    (path / "data.mdb").write_bytes(data[:len(data) // 2])
    refused(path, errors.CorruptError, "shorter than its head page says", readonly=True)
    with pytest.raises(errors.CorruptError):
        with LmdbStore(path) as store:
            store.verify()


def test_keys_are_fixed_at_creation(make):
    store = make(keys="bytes")
    path = store.path
    store.close()
    refused(path, errors.ConfigError, 'created with keys="bytes"')


def test_places_that_are_no_directory(tmp_path):
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", errors.ConfigError, "is a file; a store is a directory")
    with pytest.raises(errors.ConfigError, match="cannot be created"):
        LmdbStore(tmp_path / "file" / "below")
    with pytest.raises(errors.ConfigError, match="NUL"):
        LmdbStore("a\0b")
    with pytest.raises(errors.ConfigError, match="is not a path"):
        LmdbStore(7.5)


@pytest.mark.parametrize("option", [{"readonly": True}, {"create": False}])
def test_what_is_not_there_is_not_created(tmp_path, option):
    with pytest.raises(errors.ConfigError, match="holds no store"):
        LmdbStore(tmp_path / "none", **option)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "words"), [
    ({"durabilty": "none"}, "did you mean durability"),
    ({"durability": "bach"}, "did you mean batch"),
    ({"compression": "gzip"}, "'zstd' or None"),
    ({"sync_interval": 0}, "sync_interval=0 is out of range"),
    ({"map_size": 10}, "map_size=10 is out of range"),
    ({"readonly": 1}, "neither True nor False"),
    ({"keys": "integer"}, "keys="),
    ({"codec": "jsn"}, "json"),
    ({"clock": 5}, "is no clock"),
    ({"ttl": -1}, "ttl=-1"),
])
def test_options_are_checked(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        LmdbStore(tmp_path / "none", **options)
    assert list(tmp_path.iterdir()) == []


def test_keys_and_values_that_do_not_fit(make):
    store = make()
    store["k" * 65535] = b"longest"
    with pytest.raises(errors.KeyTooLongError, match="65536 bytes long.*65535"):
        store["k" * 65536] = b"v"
    for bad in ("", "\ud800"):
        with pytest.raises(ValueError):
            store.get(bad)
    for call in (store.get, store.delete, store.__contains__, lambda k: store.set(k, b"")):
        with pytest.raises(TypeError, match="keys="):
            call(5)
    with pytest.raises(ValueError):
        store.set_many([("good", b"1"), ("", b"2")])
    assert "good" not in store

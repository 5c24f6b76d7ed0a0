"""The SQLite backend: what a shell sees, whose file it is, what is synced when, how many keys, one state for all."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

import door43fast as d43
from door43fast.plugins.sqlite import SqliteStore, queries


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


@pytest.fixture
def store(path):
    with SqliteStore(path=path) as store:
        yield store


def shell(path, statement):
    """What another program reads or writes; no library of ours is in it."""
    code = ("import json, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=10)\n"
            "print(json.dumps(c.execute(sys.argv[2]).fetchall()))\nc.commit()")
    done = subprocess.run([sys.executable, "-I", "-c", code, str(path), statement], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_any_shell_reads_it(store, path):
    store.set_many({"text": "наро́д", "int": -7, "float": 2.5, "bytes": b"\x00", "list": [1]})
    store.set("tagged", "t", tags=("a", "b"), ttl=100)
    assert shell(path, "SELECT key, value, typeof(value) FROM records WHERE typeof(value) != 'blob' ORDER BY key") == [
        ["float", 2.5, "real"], ["int", -7, "integer"], ["tagged", "t", "text"], ["text", "наро́д", "text"]]
    assert shell(path, "SELECT key, hex(value), mark FROM records WHERE typeof(value) = 'blob' ORDER BY key") == [
        ["bytes", "00", 0], ["list", "9101", 2]]
    assert shell(path, "SELECT tags, deadline - unixepoch() BETWEEN 95 AND 101 FROM records WHERE key = 'tagged'") == [
        ['[["a", 0], ["b", 0]]', 1]]
    with SqliteStore(path=path, codec="json") as by_json:
        by_json["json"] = {"a": [1, None]}
    assert json.loads(shell(path, "SELECT value FROM records WHERE key = 'json'")[0][0]) == {"a": [1, None]}
    assert store["json"] == {"a": [1, None]}


def test_what_a_shell_writes_is_read(store, path):
    shell(path, "INSERT INTO records (key, value) VALUES ('a', 'by hand'), ('n', 5), ('r', 1.5)")
    assert store.get_many(["a", "n", "r"]) == ["by hand", 5, 1.5] and store.incr("n") == 6


@pytest.mark.parametrize("value", [2**63 - 1, -2**63, 2**63, 2**64 - 1, float("inf"), float("-inf"), 0.0, -0.0, 5e-324,
                                   "a\0b", "", True, 10**15 + 0.5], ids=repr)
def test_numbers_and_texts_come_back_as_they_were(store, value):
    store["k"] = value
    for got in (store["k"], store.get_many(["k", "-"])[0]):
        assert type(got) is type(value) and repr(got) == repr(value)


def test_nan_comes_back(store):
    store["k"] = float("nan")
    assert store["k"] != store["k"]


def test_files_of_others_are_left_untouched(tmp_path):
    other, text, newer = tmp_path / "other.db", tmp_path / "text", tmp_path / "newer.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    text.write_text("no database at all, and longer than a header of one hundred bytes, which is what SQLite looks at "
                    "before anything else")
    SqliteStore(path=newer).close()
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    for path, words in ((other, "another program"), (text, "no SQLite database"), (newer, "format 99")):
        before = path.read_bytes()
        with pytest.raises(d43.FormatError, match=words):
            SqliteStore(path=path)
        assert path.read_bytes() == before


def test_missing_files_and_folders(tmp_path):
    for options in ({"create": False}, {"readonly": True}):
        with pytest.raises(d43.ConfigError, match="no store"):
            SqliteStore(path=tmp_path / "x.db", **options)
    with SqliteStore(path=tmp_path / "new" / "folder" / "a ?#%.db") as store:
        store["k"] = 1
    assert (tmp_path / "new" / "folder" / "a ?#%.db").exists()


def test_readonly(store, path):
    store["k"] = 1
    with SqliteStore(path=path, readonly=True) as reader:
        assert reader["k"] == 1 and reader.expire() == 0
        store["k"] = 2
        assert reader["k"] == 2
        for call in (lambda: reader.set("k", 3), lambda: reader.clear(), lambda: reader.incr("k"),
                     lambda: reader.set_many({"a": 1}), lambda: reader.invalidate("t")):
            with pytest.raises(d43.ReadOnlyError):
                call()
        reader.flush()


def test_a_damaged_page_is_an_error(path):
    with SqliteStore(path=path) as store:
        store.set_many({f"k{i:05}": f"v{i}" * 20 for i in range(2000)})
    data = bytearray(path.read_bytes())
    for page in range(3, len(data) // 4096):
        data[page * 4096:page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with SqliteStore(path=path) as store, pytest.raises(d43.CorruptError, match="s.db"):
        list(store.scan())


def test_a_value_that_is_damaged_is_told_by_verify(store, path):
    store.set_many({"a": [1, 2], "b": 1})
    shell(path, "UPDATE records SET value = x'c1' WHERE key = 'a'")
    with pytest.raises(d43.CorruptError):
        store["a"]
    report = store.verify()
    assert report["checked"] == 2 and len(report["errors"]) == 1 and "'a'" in report["errors"][0]


def test_more_keys_than_sqlite_has_variables(store):
    store.set_many({f"k{i}": i for i in range(0, 100_000, 2)})
    keys = [f"k{i}" for i in range(100_000)]
    assert store.get_many(keys, -1) == [-1 if i % 2 else i for i in range(100_000)]
    assert sum(store.contains_many(keys)) == 50_000 and store.delete_many(keys) == 50_000


def test_a_batch_is_one_state_while_others_write(store):
    keys = [f"k{i}" for i in range(3000)]       # more than one query
    store.set_many(dict.fromkeys(keys, 0))
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            store.set_many(dict.fromkeys(keys, n))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {tuple(set(store.get_many(keys))) for _ in range(30)}
    finally:
        stop.set()
        writer.join()
    assert all(len(values) == 1 for values in seen) and len(seen) > 1


def test_expiry_and_ranges_go_by_an_index(store, path):
    plan = shell(path, f"EXPLAIN QUERY PLAN {queries.DUE.replace('?', '5')}")
    assert "USING COVERING INDEX due" in plan[0][3] or "USING INDEX due" in plan[0][3]
    assert "SEARCH" in shell(path, "EXPLAIN QUERY PLAN SELECT * FROM records WHERE key >= 'a' ORDER BY key")[0][3]


TRACED = """
import sys
from door43fast.plugins.sqlite import SqliteStore
store = SqliteStore(path=sys.argv[1], durability=sys.argv[2], sync_interval=1000)
def say(word):
    print(word, flush=True)
store["first"] = 1
say("opened")
store["a"] = 1; store["b"] = 2
say("written")
store.set("c", 3, durable=True)
say("durable")
store["d"] = 4; store.flush()
say("flushed")
store["e"] = 5; store.close()
say("closed")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="strace, which counts the syncs, is of Linux")
@pytest.mark.parametrize(("durability", "wanted"), [
    ("commit", [2, 2, 2]), ("batch", [0, 1, 1]), ("none", [0, 1, 1])])
def test_what_is_synced_when(tmp_path, path, durability, wanted):
    """Two sets, a durable one, a set and a flush: syncs of the log, as the kernel sees them."""
    log = tmp_path / "trace"
    run = subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", log, sys.executable, "-c",
                          TRACED, path, durability], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    counts, count = {}, 0
    for line in log.read_text().splitlines():
        count += "sync(" in line and "s.db-wal" in line
        for word in ("opened", "written", "durable", "flushed", "closed"):
            if f'"{word}' in line:
                counts[word], count = count, 0
    assert [counts[what] for what in ("written", "durable", "flushed")] == wanted
    assert durability == "none" or counts["closed"] >= 1


def test_the_log_is_synced_within_the_interval(tmp_path, path):
    log = tmp_path / "trace"
    code = ("import sys, time\nfrom door43fast.plugins.sqlite import SqliteStore\n"
            "s = SqliteStore(path=sys.argv[1], durability='batch', sync_interval=0.02)\ns['k'] = 1\n"
            "print('written', flush=True)\ntime.sleep(1)\nprint('waited', flush=True)\ns['k'] = 2\ntime.sleep(1)\n"
            "print('again', flush=True)\ns.close()\n")
    subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,write", "-o", log, sys.executable, "-c", code, path],
                   check=True, timeout=120, capture_output=True)
    text = log.read_text()
    for part in (text.split('"written')[1].split('"waited')[0], text.split('"waited')[1].split('"again')[0]):
        assert 1 <= part.count("s.db-wal>)") <= 2


def test_a_sync_that_failed_is_told_by_the_next_write(path):
    with SqliteStore(path=path, durability="batch") as store:
        store["k"] = 1
        store._syncer.error = OSError(5, "Input/output error")
        with pytest.raises(OSError, match="may not be on the disk"):
            store["k"] = 2
        assert store["k"] == 1
        store["k"] = 3
        assert store["k"] == 3


def test_the_log_stays_bounded_under_readers_that_overlap(path):
    with SqliteStore(path=path, durability="none", wal_bytes="512KB") as store:
        keys = [f"k{i}" for i in range(500)]
        store.set_many(dict.fromkeys(keys, b"x" * 500))
        stop, largest = threading.Event(), 0
        readers = [threading.Thread(target=lambda: [store.get_many(keys) for _ in iter(stop.is_set, True)])
                   for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for i in range(1000):
                store[keys[i % 500]] = b"y" * 8000
                largest = max(largest, os.path.getsize(f"{path}-wal"))
        finally:
            stop.set()
            for reader in readers:
                reader.join()
        assert largest < 4 << 20      # some pages a write make 15 MB and more


def test_a_backup_is_of_one_state_and_lets_others_write(store, tmp_path):
    store.set_many({f"k{i}": 0 for i in range(20_000)})
    told = []

    def progress(*one):
        told.append(one)
        store.set_many({f"k{i}": len(told) for i in range(0, 20_000, 500)})
    store.backup(tmp_path / "copy.db", progress=progress)
    with SqliteStore(path=tmp_path / "copy.db") as copy:
        assert set(copy.values()) == {0} and len(copy) == 20_000
    assert told and told[-1][0] == told[-1][1] and store["k0"] == len(told)
    with pytest.raises(FileExistsError):
        store.backup(tmp_path / "copy.db")


def test_pickles_by_its_plan(store, path, monkeypatch):
    store["k"] = 1
    monkeypatch.chdir(path.parent)
    with SqliteStore(path="s.db", ttl=60, durability="batch") as relative:
        monkeypatch.chdir(os.sep)
        again = pickle.dumps(relative)
    with pickle.loads(again) as other:
        assert other["k"] == 1 and other.options.ttl == 60 and other.options.durability == "batch"


def test_closing_waits_for_those_who_read(path):
    store = SqliteStore(path=path)
    store.set_many({f"k{i}": i for i in range(5000)})
    errors, reading = [], threading.Barrier(5)

    def read():
        reading.wait(30)
        try:
            while True:
                assert len(store.get_many([f"k{i}" for i in range(5000)])) == 5000
        except d43.ClosedError:
            return
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    reading.wait(30)
    time.sleep(0.05)
    store.close()
    for thread in threads:
        thread.join(30)
    assert errors == [] and not os.path.exists(f"{path}-wal")      # the last to close has emptied the log


def test_tags_of_any_text(path):
    wanted = {"a": ("\ud83d\ude00",), "b": ("\U0001f600", "\udcffx"), "c": ("\udcff", "א\0", "é")}   # none is another
    with SqliteStore(path=path) as store:
        for key, tags in wanted.items():
            store.set(key, 1, tags=tags)
        store.invalidate("\ud83d\ude00")
    with SqliteStore(path=path) as store:
        assert store._tags_of(list("abc")) == [(), wanted["b"], wanted["c"]]
        store.invalidate("\udcff")
        assert store.get_many(list("abc")) == [None, 1, None]
    assert shell(path, "SELECT generation FROM tags WHERE tag = 'é'") == []
    with SqliteStore(path=path) as store:
        store.invalidate("é")
    assert shell(path, "SELECT generation FROM tags WHERE tag = 'é'") == [[1]]      # as any other text


@pytest.mark.parametrize("size", [1, 2, 15, 16, 100, 512])
def test_a_short_file_of_others_is_left_as_it_is(size, tmp_path):
    """SQLite itself takes a file of one byte for an empty one, and wrote over it."""
    (tmp_path / "notes").write_bytes(b"x" * size)
    with pytest.raises(d43.FormatError, match="left untouched"):
        SqliteStore(path=tmp_path / "notes")
    assert (tmp_path / "notes").read_bytes() == b"x" * size

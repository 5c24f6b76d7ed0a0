"""AsyncStorage: what an app left is read, what is written the app finds, and nothing else of its files changes."""

import json
import os
import pickle
import shutil
import sqlite3
import threading

import pytest

import door43fast as d43
from asyncstorage_files import ANDROID, ENTRIES, FORMS, IDENTITY, NEXT, SHARED
from door43fast.plugins.asyncstorage import AsyncStorageStore

MADE = [name for name in FORMS if name != "next"]


@pytest.mark.parametrize("name", FORMS)
def test_what_the_app_left_is_read(name, tmp_path):
    form = FORMS[name]
    form.write(tmp_path / "store", ENTRIES | ({"nothing": None} if form.nulls else {})).close()
    with d43.open(f"asyncstorage:///{tmp_path}/store") as store:
        assert store.form == name and {key: store[key] for key in ENTRIES} == ENTRIES
        assert store.get_many([*ENTRIES, "missing"]) == [*ENTRIES.values(), None]
        assert set(store) == set(ENTRIES) | ({"nothing"} if form.nulls else set()) and len(store) == len(set(store))
        assert list(store.keys()) == sorted(store, key=str.encode)
        if form.nulls:
            assert store["nothing"] is None and "nothing" in store and store.get("nothing", 7) is None
        assert store.verify()["errors"] == []


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("wal", [False, True])
def test_the_app_finds_what_was_written_and_all_else_as_it_was(name, wal, tmp_path):
    form, path = FORMS[name], tmp_path / "store"
    form.write(path, ENTRIES, wal).close()
    before = form.schema(path)
    with AsyncStorageStore(path=path, codec="text") as store:
        store["new"] = "value"
        store.set_many({"token": "changed", "empty": "no more"})
        del store["number"]
        assert store.pop("lines") == ENTRIES["lines"]
    after = {**ENTRIES, "new": "value", "token": "changed", "empty": "no more"}
    assert {key: value for key, value in form.read(path).items() if key not in (None,)} == {
        key: value for key, value in after.items() if key not in ("number", "lines")}
    assert form.schema(path) == before and os.listdir(tmp_path) == ["store"]


@pytest.mark.parametrize("name", MADE)
def test_a_new_one_is_as_the_app_makes_it(name, tmp_path):
    path, theirs = tmp_path / "ours", tmp_path / "theirs"
    with AsyncStorageStore(path=path, form=name) as store:
        store["k"] = "v"
    FORMS[name].write(theirs, {}).close()
    (version, _, schema, others), (wanted, _, like, rows) = FORMS[name].schema(path), FORMS[name].schema(theirs)
    assert version == wanted and FORMS[name].read(path) == {"k": "v"}
    # Android adds its own table of the locale when it first opens a file without.
    assert [one for one in schema] == [one for one in like if one[0] != "android_metadata"]
    assert others == {name: row for name, row in rows.items() if name != "android_metadata"}
    assert IDENTITY in repr(others) or name != "shared"


def test_one_that_only_the_app_can_make(tmp_path):
    for options in ({"path": tmp_path / "AsyncStorage"}, {"path": tmp_path / "x", "form": "next"}):
        with pytest.raises(d43.ConfigError, match="RKStorage"):
            AsyncStorageStore(**options)
    assert os.listdir(tmp_path) == []


def test_the_form_by_the_name(tmp_path):
    for place, form in (("a/RKStorage", "android"), ("b/b.sqlite", "shared"), ("c/AsyncStorage.db", "windows"),
                        ("d/RCTAsyncLocalStorage_V1", "apple"), ("e/RCTAsyncLocalStorage", "apple")):
        with d43.open(f"asyncstorage:///{tmp_path}/{place}") as store:
            store["k"] = "v"
            assert store.form == form and store.path == str(tmp_path / place)
        with AsyncStorageStore(path=(tmp_path / place).parent, create=False) as store:     # the folder that it lies in
            assert store["k"] == "v" and store.path == str(tmp_path / place)
        with pytest.raises(d43.ConfigError, match=repr(form)):
            AsyncStorageStore(path=tmp_path / place, form="windows" if form != "windows" else "apple")
    with pytest.raises(d43.ConfigError, match="form="):
        AsyncStorageStore(path=tmp_path / "nameless")
    for options in ({"readonly": True}, {"create": False}):
        with pytest.raises(d43.ConfigError, match="no storage"):
            AsyncStorageStore(path=tmp_path / "RKStorage", **options)
    ANDROID.write(tmp_path / "RKStorage", {}).close()
    NEXT.write(tmp_path / "AsyncStorage", {}).close()
    with pytest.raises(d43.ConfigError, match="'AsyncStorage' and 'RKStorage'"):
        AsyncStorageStore(path=tmp_path)


def test_what_is_not_known_is_refused_and_left(tmp_path):
    ANDROID.write(tmp_path / "later", {"k": "v"}).execute("PRAGMA user_version=7").connection.close()
    with sqlite3.connect(tmp_path / "foreign") as other:
        other.execute("CREATE TABLE entries (id, key, value)")
    other.close()
    (tmp_path / "text").write_text("no database at all" * 50)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "holiday.jpg").write_bytes(b"picture")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "an app", "icons": []}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name in ("later", "foreign", "text", "folder", "web"):
        for readonly in (False, True):
            with pytest.raises(d43.FormatError, match="left"):
                AsyncStorageStore(path=tmp_path / name, readonly=readonly)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_copy_with_its_log(tmp_path):
    """A file pulled from a phone while the app ran: what stands in the log is read, and one file is left behind."""
    app = SHARED.write(tmp_path / "app.sqlite", {"a": "1"}, wal=True)
    app.execute("INSERT INTO entries VALUES ('b', 'in the log')")
    app.commit()
    (tmp_path / "pulled").mkdir()
    for end in ("", "-wal", "-shm"):
        shutil.copy(tmp_path / f"app.sqlite{end}", tmp_path / "pulled" / f"app.sqlite{end}")
    app.close()
    with AsyncStorageStore(path=tmp_path / "pulled" / "app.sqlite") as store:
        assert store["b"] == "in the log"
        store["c"] = "new"
        store.backup(tmp_path / "copy.sqlite")
    assert os.listdir(tmp_path / "pulled") == ["app.sqlite"]
    assert SHARED.read(tmp_path / "pulled" / "app.sqlite") == {"a": "1", "b": "in the log", "c": "new"} == SHARED.read(
        tmp_path / "copy.sqlite")


def test_rows_without_a_key_are_passed_over_and_stay(tmp_path):
    ANDROID.write(tmp_path / "RKStorage", {"k": "v", "": "nobody can ask for it"}).close()
    with AsyncStorageStore(path=tmp_path) as store:
        assert list(store) == ["k"] and len(store) == 1 and list(store.items()) == [("k", "v")]
        store["k2"] = "v"
        store.clear("k")
        assert list(store) == [] and ANDROID.read(tmp_path / "RKStorage") == {
            None: "a stray one", "": "nobody can ask for it"}
        store.clear()       # of everything: as the app's own
    assert ANDROID.read(tmp_path / "RKStorage") == {}


def test_a_text_that_is_none(tmp_path):
    app = ANDROID.write(tmp_path / "RKStorage", {"a": "1", "z": "2"})
    app.execute("UPDATE catalystLocalStorage SET value = CAST(x'ff00' AS TEXT) WHERE key = 'a'")
    app.commit()
    app.close()
    with AsyncStorageStore(path=tmp_path) as store:
        with pytest.raises(d43.CorruptError, match="a"):
            store["a"]
        assert store["z"] == "2" and any("UTF-8" in one for one in store.verify()["errors"])


def test_what_a_phone_could_not_read_is_refused(tmp_path):
    with AsyncStorageStore(path=tmp_path / "RKStorage") as store:
        store["k"] = "x" * (2 << 20)
        wide = "é" * (1 << 20) + "z"
        for call in (lambda: store.set("k", "x" * (2 << 20) + "y"), lambda: store.set_many({"a": 1, "k": wide})):
            with pytest.raises(d43.BudgetError, match="'k'.*max_value"):
                call()
        store["l"] = "x" * (2 << 20)
        with pytest.raises(d43.BudgetError, match="max_bytes"):
            store["m"] = "x" * (2 << 20)
        assert len(store["k"]) == 2 << 20 and set(store) == {"k", "l"} and store.verify()["errors"] == []
        store["k"] = "short"
        store["m"] = "x" * (2 << 20)
    with AsyncStorageStore(path=tmp_path / "RKStorage", max_value="5MB", max_bytes="20MB") as store:
        store["n"] = "x" * (3 << 20)
    with AsyncStorageStore(path=tmp_path / "RKStorage") as store:      # larger than it may be: it is read all the same
        assert len(store["n"]) == 3 << 20
        with pytest.raises(d43.BudgetError):
            store["o"] = "x" * 50_000
        del store["n"]
    with AsyncStorageStore(path=tmp_path / "s.sqlite") as store:
        store["k"] = "x" * (7 << 20)       # no such window or bound
    with pytest.raises(d43.ConfigError, match="Apple"):
        AsyncStorageStore(path=tmp_path / "RCTAsyncLocalStorage_V1", max_bytes=1)


VALUES = [{"a": [1, None, 2.5, "é"]}, [], 5, -0.5, True, None, "text", '{"a":1}', "\t\n\t\n", b"\x00\xff", [b"bytes"],
          float("inf"), {1: 2}, {"door43fast": 0, "base64": "AA=="}, 2**62, '"quoted"\t\n\t\n']


def test_auto_gives_back_what_was_set_and_json_parse_passes_over_the_mark(tmp_path):
    with AsyncStorageStore(path=tmp_path / "RKStorage") as store:
        for value in VALUES:
            store["k"] = value
            assert store["k"] == value and type(store["k"]) is type(value)
            text = ANDROID.read(tmp_path / "RKStorage")["k"]
            if not isinstance(value, str):
                assert json.loads(text) == value or set(json.loads(text)) == {"door43fast", "base64"}
            elif not value.endswith("\t\n\t\n"):
                assert text == value
        with pytest.raises(TypeError):
            store["k"] = object()
    for theirs in ("ends so\t\n\t\n", '{"door43fast":9,"base64":5}\t\n\t\n', "{\t\n\t\n"):
        ANDROID.write(tmp_path / "theirs", {"k": theirs}).close()
        with AsyncStorageStore(path=tmp_path / "theirs") as store:
            if theirs[1] == "\"":
                with pytest.raises(d43.CorruptError):
                    store["k"]
            else:
                assert store["k"] == theirs
        os.unlink(tmp_path / "theirs")


def test_texts_alone_and_json_alone(tmp_path):
    with AsyncStorageStore(path=tmp_path / "RKStorage", codec="text") as store:
        for value in (b"bytes", 5, {"a": 1}, None):
            with pytest.raises(TypeError, match="json"):
                store["k"] = value
        with pytest.raises(d43.UnsupportedError):
            store.get_packed(["k"])
        with pytest.raises(d43.UnsupportedError):
            store.writer("k")
        store["k"] = "a text\t\n\t\n"
        assert store["k"] == "a text\t\n\t\n"
        with pytest.raises(ValueError, match="surrogate"):
            store["k"] = "\ud800"
    with AsyncStorageStore(path=tmp_path / "RKStorage", codec="json") as store:
        with pytest.raises(d43.CorruptError, match="no JSON"):
            store["k"]
        store["k"] = {"a": ["text", 1]}
        assert ANDROID.read(tmp_path / "RKStorage")["k"] == '{"a":["text",1]}' and store["k"] == {"a": ["text", 1]}
        with pytest.raises(TypeError):
            store["k"] = b"bytes"
        assert store.incr("n", 5) == 5 == store["n"]
    with AsyncStorageStore(path=tmp_path / "s.sqlite", codec="text") as store:
        store["null"] = None
        assert store["null"] is None and SHARED.read(tmp_path / "s.sqlite") == {"null": None}
    for codec in ("raw", "pickle", "jsn"):
        with pytest.raises(d43.ConfigError, match="codec"):
            AsyncStorageStore(path=tmp_path / "RKStorage", codec=codec)


@pytest.mark.parametrize(("old", "new", "wanted"), [
    ('{"a":{"b":1,"c":[1]},"k":1}', '{"a":{"b":2,"d":{}},"x":null}', '{"a":{"b":2,"c":[1],"d":{}},"k":1,"x":null}'),
    ('{"a":{"b":1}}', '{"a":[1]}', '{"a":[1]}'), ('{"a":[1]}', '{"a":{"b":1}}', '{"a":{"b":1}}'),
    ("[1]", '{"a":1}', '{"a":1}'), ('{"a":1}', "[1]", "[1]"), ('{"a":1}', "no JSON", "no JSON"),
    ("no JSON", '{"a":1}', '{"a":1}'), (None, '{"a":1}', '{"a":1}'),
    ('{"n":1e400,"big":123456789012345678901234567890}', '{"a":1.0}',
     '{"n":1e400,"big":123456789012345678901234567890,"a":1.0}')])
def test_merge(old, new, wanted, tmp_path):
    for name, path in (("android", tmp_path / "RKStorage"), ("apple", tmp_path / "RCTAsyncLocalStorage")):
        with AsyncStorageStore(path=path, codec="text") as store:
            if old is not None:
                store["k"] = old
            seen = []
            store.subscribe("*", seen.append, values=True)
            store.merge("k", new)
            store.flush()
            assert store["k"] == wanted and [event.value for event in seen] == [wanted] and store.form == name
            store.merge_many({"k": "1", "l": "2"})
            assert store.get_many(["k", "l"]) == ["1", "2"]


def test_merge_of_values(tmp_path):
    with AsyncStorageStore(path=tmp_path / "RKStorage", durability="none") as store:
        store["k"] = {"a": {"b": 1}}
        store.merge("k", {"a": {"c": [2]}})
        assert store["k"] == {"a": {"b": 1, "c": [2]}}
        threads = [threading.Thread(target=lambda n=n: [store.merge("many", {f"{n}/{i}": i}) for i in range(30)])
                   for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store["many"]) == 120


def test_a_memory_tier_is_told_of_what_the_app_writes(tmp_path):
    ANDROID.write(tmp_path / "RKStorage", {"k": "1"}).close()
    with d43.open(f"asyncstorage:///{tmp_path}/RKStorage?memory=1MB") as store:
        assert store["k"] == "1" == store["k"] and len(store.fast) == 1
        app = sqlite3.connect(tmp_path / "RKStorage")
        app.execute("UPDATE catalystLocalStorage SET value = '2'")
        app.commit()
        assert store["k"] == "2"
        app.execute("BEGIN IMMEDIATE")
        store.slow.options.busy_timeout = 0
        app.close()


def test_locked_by_the_app(tmp_path):
    app = ANDROID.write(tmp_path / "RKStorage", {"k": "1"})
    with AsyncStorageStore(path=tmp_path / "RKStorage", busy_timeout=0.05) as store:
        app.execute("BEGIN IMMEDIATE")
        with pytest.raises(d43.BackendUnavailableError, match=r"busy_timeout=0\.05"):
            store["k"] = "2"
        assert store["k"] == "1"
        app.rollback()
        store["k"] = "2"
    app.close()


def test_read_only(tmp_path):
    ANDROID.write(tmp_path / "RKStorage", {"k": "1"}).close()
    with AsyncStorageStore(path=tmp_path / "RKStorage", readonly=True) as store:
        assert store["k"] == "1" and not store.capabilities.writes
        for call in (lambda: store.set("k", "2"), lambda: store.merge("k", "{}"), lambda: store.clear()):
            with pytest.raises(d43.ReadOnlyError):
                call()
    assert os.listdir(tmp_path) == ["RKStorage"]


def test_pickles_and_goes_over_a_fork(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("RKStorage", "RCTAsyncLocalStorage"):
        with AsyncStorageStore(path=place) as store:
            store["k"] = "v" * 2000
            monkeypatch.chdir(os.sep)
            with pickle.loads(pickle.dumps(store)) as other:
                assert other["k"] == "v" * 2000 and other.form == store.form
            children = []
            for _ in range(3):
                child = os.fork()
                if not child:
                    code = 1
                    try:
                        for _ in range(10):
                            store.incr("n")
                        store.close()
                        code = 0
                    finally:
                        os._exit(code)
                children.append(child)
                store.incr("n")
            assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 3
            assert store["n"] == 33 and store["k"] == "v" * 2000
        monkeypatch.chdir(tmp_path)


def test_closing_while_others_read(tmp_path):
    for place in ("RKStorage", "RCTAsyncLocalStorage"):
        store = AsyncStorageStore(path=tmp_path / place)
        store.set_many({f"k{i}": "v" * 2000 for i in range(50)})
        errors, reading = [], threading.Barrier(4)

        def read(store=store, errors=errors, reading=reading):
            reading.wait(30)
            try:
                while True:
                    assert store.get_many([f"k{i}" for i in range(50)]) == ["v" * 2000] * 50
            except d43.ClosedError:
                return
            except BaseException as error:
                errors.append(error)
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        reading.wait(30)
        store.close()
        for thread in threads:
            thread.join(30)
        assert errors == []

"""The file-system backend: names, what is in the files, all or nothing, others who write."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import door43fast as d43
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.filesystem.places import LONGEST, RESERVED, key_of, place

WORKER = Path(__file__).with_name("filesystem_worker.py")
CYCLES = int(os.environ.get("DOOR43FAST_KILL_CYCLES", "100")) // 5 or 1
NASTY = ["..", "../../etc/passwd", "/etc", "a//b", "a/", "/", "//", ".", "a/./b", ".d43/lock", ".d43", "x.d43",
         "a.d43/b", "%long/aa/b", "%2e", "%_", "~1", "a~1", "TIT", "tit", "Tit", "con", "CON.txt", "aux/nul",
         "lpt9.d43", "com1x",
         "a.", "a .", "a ", "a\\b", "a:b", "a\0b", "\0", "\0tags", "*?\"<>|", "é", "e\u0301", "ß", "ss", "İ",
         "i\u0307", "K", "\u212a", "\U0001f4d6", "k" * 300, "k" * 299 + "K", "x/" * 150 + "y"]
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
keys = st.sampled_from(NASTY) | texts | st.lists(st.sampled_from([*NASTY[:40], "a", "A"]), min_size=1).map("/".join)


def folded(path):
    """A path as a file system that knows neither case nor the forms of Unicode takes it."""
    return unicodedata.normalize("NFKC", path.casefold())


@given(keys, keys)
@settings(max_examples=500)
def test_no_two_keys_share_a_place_and_none_leaves_the_folder(one, other):
    for key in (one, other):
        path = place(key)
        assert len(path) <= LONGEST and path.isascii() and key_of(path) in (key, None)
        for part in path.split("/"):
            assert part and part[0] != "." and part[-1] not in ". " and not RESERVED.match(part)
            assert not set(part) & set('\\:*?"<>| \0') and len(part) <= 130
        assert not any(part.endswith(".d43") for part in path.split("/")[:-1]) and path.endswith(".d43")
    assert (folded(place(one)) == folded(place(other))) == (one == other)


def test_no_two_of_the_nasty_keys_share_a_place():
    every = {*NASTY, *map(str.swapcase, NASTY), *map(str.upper, NASTY), *map(str.lower, NASTY)}
    assert len({folded(place(key)) for key in every}) == len(every)


def test_nasty_keys_are_stored(tmp_path):
    with FilesystemStore(path=tmp_path / "s", durability="none") as store:
        for i, key in enumerate(NASTY):
            store[key] = i
        assert [store[key] for key in NASTY] == list(range(len(NASTY))) and list(store) == sorted(NASTY)
        store.set("tagged", 1, tags=("t",))
        store.invalidate("t")
        assert "tagged" not in store
    assert os.listdir(tmp_path) == ["s"]
    with FilesystemStore(path=tmp_path / "s") as store:
        assert list(store) == sorted(NASTY) and store.verify()["errors"] == []
        store.clear()
        assert sorted(os.listdir(tmp_path / "s")) == ["%00tags.d43", ".d43"]


def test_it_can_be_browsed(tmp_path):
    with FilesystemStore(path=tmp_path) as store:
        store["en_tn/TIT/1/1"] = "Paul, a servant of God"
        store["en_tn/TIT/1"] = b"\x89PNG"
        assert (tmp_path / "en_tn" / "TIT~7" / "1" / "1.d43").read_bytes().startswith(b"Paul, a servant of God")
        assert (tmp_path / "en_tn" / "TIT~7" / "1.d43").read_bytes().startswith(b"\x89PNG")
        assert store.file_of("en_tn/TIT/1/1") == str(tmp_path / "en_tn" / "TIT~7" / "1" / "1.d43")
        store.clear("en_tn/TIT/1/")
        assert not (tmp_path / "en_tn" / "TIT~7" / "1").exists()       # folders go with their last file


def test_a_damaged_file_is_named(tmp_path):
    with FilesystemStore(path=tmp_path) as store:
        store.set_many({"a": "value", "b": 1, "k" * 300: 2})
        file = Path(store.file_of("a"))
        whole = file.read_bytes()
        for i in range(len(whole)):
            file.write_bytes(whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1:])
            with pytest.raises((d43.CorruptError, d43.FormatError), match="'a'.*a\\.d43"):
                store["a"]
        for part in (b"", whole[:-1], whole[1:], whole[10:], b"x" * 100):
            file.write_bytes(part)
            with pytest.raises(d43.CorruptError):
                store["a"]
        file.write_bytes(Path(store.file_of("b")).read_bytes())
        with pytest.raises(d43.CorruptError, match="holds the key 'b'"):
            store["a"]
        assert [("'a'" in error) for error in store.verify()["errors"]] == [True] and store["b"] == 1
        Path(store.file_of("k" * 300)).write_bytes(b"nonsense")
    with FilesystemStore(path=tmp_path) as store:
        assert len(store.verify()["errors"]) == 2
        store["a"] = "anew"
        assert store["a"] == "anew"


def test_folders_and_files_of_others(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").write_text("x")
    with pytest.raises(d43.FormatError, match="files of others"):
        FilesystemStore(path=tmp_path / "theirs")
    assert os.listdir(tmp_path / "theirs") == ["file"]
    with FilesystemStore(path=tmp_path / "s") as store:
        store["k"] = 1
    for name in ("README", "Upper.d43", "b c.d43", "%zz.d43"):
        (tmp_path / "s" / name).write_text("not a record")
    with FilesystemStore(path=tmp_path / "s") as store:
        assert list(store) == ["k"] and store.verify()["errors"] == []
    (tmp_path / "s" / ".d43" / "format").write_text('{"format": 2}')
    with pytest.raises(d43.FormatError, match="format 2"):
        FilesystemStore(path=tmp_path / "s")
    for options in ({"create": False}, {"readonly": True}):
        with pytest.raises(d43.ConfigError, match="no store"):
            FilesystemStore(path=tmp_path / "none", **options)


def test_readonly_and_pickling(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with FilesystemStore(path="s", ttl=60) as store, FilesystemStore(path="s", readonly=True) as reader:
        store["k"] = 1
        assert reader["k"] == 1 and list(reader) == ["k"]
        with pytest.raises(d43.ReadOnlyError):
            reader["k"] = 2
        again = pickle.dumps(store)
        monkeypatch.chdir(os.sep)
        with pickle.loads(again) as other:
            assert other["k"] == 1 and other.options.ttl == 60


def run(*arguments):
    return subprocess.run([sys.executable, WORKER, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_a_transaction_that_dies_at_any_step_is_all_there_or_not_at_all(tmp_path):
    outcomes = []
    for step in range(1, 40):
        path = tmp_path / str(step)
        before = {"a/0": "old", "old/1": "old", "other": 1}
        with FilesystemStore(path=path, durability="none") as store:
            store.set_many(before)
            assert list(store) == sorted(before)        # in memory from here on
            done = run("die", path, step)
            after = {**{f"a/{i}": "new" for i in range(4)}, "b/c/d": "new", "other": 1}
            held = dict(store.items())
            assert held in (before, after)
            outcomes.append(held == after)
            assert store.verify()["errors"] == []
            store["a/0"] = "goes on"
            assert store["a/0"] == "goes on" and not [n for n in os.listdir(path / ".d43") if n.startswith("new-")]
        if done.stdout == "done\n":
            break
    assert done.stdout == "done\n" and not outcomes[0] and outcomes == sorted(outcomes) and sum(outcomes) > 5


def test_what_was_decided_is_done_though_the_count_is_an_old_one(tmp_path):
    """As after a power loss: the list of what goes where is on the disk, and the number of changes is not."""
    for step in range(1, 40):
        path = tmp_path / str(step)
        with FilesystemStore(path=path, durability="none") as store:
            store.set_many({"a/0": "old", "old/1": "old"})
        number = (path / ".d43" / "lock").read_bytes()
        run("die", path, step)
        if (path / ".d43" / "commit").exists():
            (path / ".d43" / "lock").write_bytes(number)
            with FilesystemStore(path=path) as store:
                assert dict(store.items()) == {**{f"a/{i}": "new" for i in range(4)}, "b/c/d": "new"}
            assert not (path / ".d43" / "commit").exists()
            break
    else:
        raise AssertionError("no step left a list")


def test_killed_at_any_instant(tmp_path):
    acknowledged = 0
    for cycle in range(CYCLES):
        process = subprocess.Popen([sys.executable, WORKER, "write", tmp_path / "s"], text=True, stdout=subprocess.PIPE)
        for _ in range(cycle % 13 + 1):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        acknowledged = int(said[-1]) if said else acknowledged
        with FilesystemStore(path=tmp_path / "s", durability="none") as store:
            n = store["n"]
            assert acknowledged <= n <= acknowledged + 1
            assert all(store[f"k/{i % 50}"] == i for i in range(max(1, n - 49), n + 1))
            assert len(store[f"pad/{n % 7}"]) == n % 9000 and store.verify()["errors"] == []


def test_many_processes(tmp_path):
    running = [subprocess.Popen([sys.executable, WORKER, "count", tmp_path / "s", "50", str(n)]) for n in range(3)]
    assert [one.wait(120) for one in running] == [0] * 3
    with FilesystemStore(path=tmp_path / "s") as store:
        assert len(list(store)) == 4        # the order is in memory from here on
        assert store["n"] == 150 and [store[f"by {n}"] for n in range(3)] == [50] * 3
        run("set", tmp_path / "s", "x", "theirs")
        assert list(store.keys("x")) == ["x"]       # the order is read anew


def test_a_lock_held_by_another(tmp_path):
    with FilesystemStore(path=tmp_path, busy_timeout=0.05, durability="none") as store, FilesystemStore(
            path=tmp_path) as other:
        store["k"] = 1
        with other._lock, other._writing(), pytest.raises(d43.BackendUnavailableError, match="busy_timeout"):
            store["k"] = 2
        assert store["k"] == 1
        store["k"] = 3


def test_threads_and_batches_of_one_state(tmp_path):
    with FilesystemStore(path=tmp_path, durability="none") as store:
        keys = [f"k{i}" for i in range(20)]
        store.set_many(dict.fromkeys(keys, 0))
        stop, seen = threading.Event(), []
        reader = threading.Thread(target=lambda: [seen.append(set(store.get_many(keys)))
                                                  for _ in iter(stop.is_set, True)])
        reader.start()

        def work(n):
            for i in range(30):
                store.incr("n")
                if n == 0:
                    store.set_many(dict.fromkeys(keys, i))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        reader.join()
        assert store["n"] == 120 and seen and all(len(values) == 1 for values in seen)


def test_a_read_that_a_write_has_crossed_begins_anew(tmp_path):
    with FilesystemStore(path=tmp_path, durability="none") as store, FilesystemStore(path=tmp_path) as other:
        store.set_many({"a": 0, "b": 0})
        crossed = []

        def read():
            first = store.read(["a"])
            if not crossed:
                crossed.append(other.set_many({"a": 1, "b": 1}))
            return first + store.read(["b"])
        one, two = store._folder.one_state(read, store._alone)
        assert crossed and one[:1] == two[:1] == b"\x01"


def test_a_store_in_the_children_of_a_fork(tmp_path):
    with FilesystemStore(path=tmp_path, durability="none") as store:
        store["n"] = 0
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    for _ in range(20):
                        store.incr("n")
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
            store.incr("n")
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
        assert store["n"] == 84


def test_a_memory_tier_is_told_of_others_writes(tmp_path):
    with d43.open(f"file:///{tmp_path}/s?memory=1MB&durability=none") as store:
        store.set_many({"a": 1, "b": 2})
        assert store.get_many(["a", "b"]) == [1, 2] and len(store.fast) == 2
        store["a"] = "own"
        assert store["a"] == "own" and len(store.fast) == 2
        run("set", tmp_path / "s", "b", "theirs")
        assert store["b"] == "theirs"


@pytest.mark.skipif(sys.platform != "linux", reason="strace, which counts the syncs, is of Linux")
@pytest.mark.parametrize(("durability", "written", "durable"), [("commit", 1, 1), ("none", 0, 1)])
def test_what_is_synced_when(tmp_path, durability, written, durable):
    """A set, and a durable one: syncs of the record's file, and at least as many of its folder."""
    code = ("import sys\nfrom door43fast.plugins.filesystem import FilesystemStore\n"
            "s = FilesystemStore(path=sys.argv[1], durability=sys.argv[2])\nprint('opened', flush=True)\ns['f/k'] = 1\n"
            "print('written', flush=True)\ns.set('f/l', 2, durable=True)\nprint('durable', flush=True)\n")
    log = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,write", "-o", log, sys.executable, "-c", code,
                    tmp_path / "s", durability], check=True, timeout=120, capture_output=True)
    _, first, second = (part.splitlines() for part in
                        log.read_text().split('"durable')[0].replace('"written', '"opened').split('"opened'))
    for lines, wanted in ((first, written), (second, durable)):
        synced = [line for line in lines if "fsync(" in line]
        assert sum("new-" in line or "l.d43" in line for line in synced) == wanted
        assert sum(line.rstrip().endswith("/s/f>) = 0") for line in synced) >= wanted


def test_a_backup_is_on_the_disk_before_it_has_its_name(tmp_path):
    """Each file and folder of it is synced, then it gets its name, then that is synced too: as the kernel sees it."""
    log, target = tmp_path / "trace", tmp_path / "new" / "copy"
    code = ("import sys\nfrom door43fast.plugins.filesystem import FilesystemStore\n"
            "with FilesystemStore(path=sys.argv[1], durability='none') as s:\n"
            "    s.set_many({'a/b': 1, 'a/c': 2, 'd': 3})\n    s.backup(sys.argv[2])\n")
    subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o", log, sys.executable,
                    "-c", code, tmp_path / "s", target], check=True, timeout=120, capture_output=True)
    calls = [line for line in log.read_text().splitlines() if "copy.part" in line or "fsync" in line]
    at = next(number for number, line in enumerate(calls) if "rename" in line)
    synced = {line.split("<")[1].split(">")[0].removeprefix(f"{target}.part") for line in calls[:at]}
    wanted = {"", *(f"/{os.path.relpath(os.path.join(folder, name), target)}"
                    for folder, folders, names in os.walk(target) for name in folders + names)}
    assert synced == wanted and len(wanted) >= 8
    assert [line.split("<")[1].split(">")[0] for line in calls[at + 1:]] == [str(target.parent)]


def test_a_backup_that_fails_leaves_nothing_and_overwrites_nothing(tmp_path):
    with FilesystemStore(path=tmp_path / "s", durability="none") as store:
        store["a"] = 1
        with pytest.raises(FileExistsError, match="does not overwrite"):
            store.backup(tmp_path / "s")
        (tmp_path / "copy.part").mkdir()
        (tmp_path / "copy.part" / "other").write_bytes(b"of somebody else")
        with pytest.raises(FileExistsError):
            store.backup(tmp_path / "copy")
        assert os.listdir(tmp_path / "copy.part") == ["other"] and not (tmp_path / "copy").exists()
        os.symlink("nowhere", tmp_path / "s" / "dangling")       # what cannot be copied
        with pytest.raises(OSError):
            store.backup(tmp_path / "late")
        assert not (tmp_path / "late").exists() and not (tmp_path / "late.part").exists()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(d43.ConfigError, match="is a file, and a store is a folder"):
        FilesystemStore(path=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_write_that_the_disk_has_no_room_for_names_the_store_and_changes_nothing(tmp_path):
    """The system's error named no file."""
    code = """
import resource, signal, sys
from door43fast.plugins.filesystem import FilesystemStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with FilesystemStore(path=sys.argv[1]) as store:
    store["a"] = b"old"
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for write in (lambda: store.set("a", bytes(200_000)), lambda: store.set_many({"b": 1, "a": bytes(200_000)})):
        try:
            write()
        except OSError as error:
            print(error)
    print(store["a"], list(store), store.verify()["errors"])
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, timeout=60)
    first, second, last = done.stdout.splitlines()
    assert first == second and "nothing was written: see to the disk" in first and str(tmp_path / "s") in first
    assert last == "b'old' ['a'] []", done.stdout + done.stderr

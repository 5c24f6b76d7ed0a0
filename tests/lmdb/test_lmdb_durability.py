"""The promises of each level, as far as one machine that stays up can show them: syncs, markers, verification."""

import fcntl
import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from door43fast.errors import ConfigError, CorruptError, FormatError
from door43fast.lmdb import LmdbStore

TRACED = """
import sys
from door43fast.lmdb import LmdbStore
with LmdbStore(sys.argv[1], durability=sys.argv[2], sync_interval=3600) as store:
    print("opened", flush=True)
    store["a"] = b"1"
    store["b"] = b"2"
    print("written", flush=True)
    store.set("c", b"3", durable=True)
    print("durable", flush=True)
    store["d"] = b"4"
    store.flush()
    print("flushed", flush=True)
"""


def markers(path):
    return [name for name in os.listdir(path) if name.startswith("unsynced-")]


def orphan(path, boot=b"another boot"):
    """A marker as a process that is gone left it."""
    import xxhash
    name = pathlib.Path(path) / "unsynced-1-00000000"
    name.write_bytes(b"%s %016x\n" % (boot, xxhash.xxh3_64_intdigest(boot)))
    return name


def syncs(tmp_path, durability):
    """How many syncs of data.mdb the kernel saw before each line of TRACED."""
    log = tmp_path / "trace"
    run = subprocess.run(["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,msync,write", "-o", log, sys.executable,
                          "-c", TRACED, tmp_path / "s", durability], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    counts, count = {}, 0
    for line in log.read_text().splitlines():
        if "sync(" in line and "data.mdb" in line:
            count += 1
        for word in ("opened", "written", "durable", "flushed"):
            if f'"{word}' in line:
                counts[word], count = count, 0
    return counts


@pytest.mark.skipif(sys.platform != "linux", reason="strace, which counts the syncs, is of Linux")
@pytest.mark.parametrize(("durability", "written", "durable", "flushed"), [
    ("commit", 2, 1, 1), ("batch", 1, 1, 1), ("none", 0, 1, 1)])
def test_what_is_synced_when(tmp_path, durability, written, durable, flushed):
    """Two sets, one durable set, a set and a flush. ``batch`` syncs once before its first write: its way back."""
    counts = syncs(tmp_path, durability)
    assert counts["opened"] >= 1                # a new store's tables are synced at every level
    assert [counts[what] for what in ("written", "durable", "flushed")] == [written, durable, flushed]


def test_the_background_sync_runs_and_rests(make, tmp_path):
    store = make(durability="batch", sync_interval=0.01)
    store["k"] = b"v"
    for _ in range(200):
        if store.stats()["unsynced"] == 0:
            break
        time.sleep(0.01)
    assert store.stats()["unsynced"] == 0
    store["k"] = b"w"
    store.flush()
    assert store.stats()["unsynced"] == 0


def test_only_levels_that_delay_syncs_leave_a_marker(make):
    store = make("c", durability="commit")
    store["k"] = b"v"
    assert markers(store.path) == []
    for level in ("batch", "none"):
        store = make(level, durability=level)
        assert markers(store.path) == []        # opened and not written: nothing can be lost
        store["k"] = b"v"
        assert len(markers(store.path)) == 1
        content = (pathlib.Path(store.path) / markers(store.path)[0]).read_bytes()
        assert content.split()[0] == pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        store.close()
        assert markers(store.path) == []


def test_a_marker_of_this_boot_is_adopted(make):
    store = make()
    store["k"] = b"v"
    path = store.path
    store.close()
    orphan(path, pathlib.Path("/proc/sys/kernel/random/boot_id").read_bytes().strip())
    store = make()
    assert store["k"] == b"v" and markers(path) == []


@pytest.mark.parametrize("durability", ["batch", "none"])
def test_the_marker_of_a_store_that_was_dropped_does_not_outlive_the_next_one(tmp_path, durability):
    """Else a power loss would go back to the state that the dropped one had saved, behind what was closed since."""
    store = LmdbStore(tmp_path, durability=durability)
    store["a"] = b"1"
    del store
    gc.collect()
    assert len(markers(tmp_path)) == 1
    with LmdbStore(tmp_path, durability=durability) as store:
        assert store["a"] == b"1" and markers(tmp_path) == []
        store["b"] = b"2"
    assert markers(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="strace, which kills at a call, is of Linux")
@pytest.mark.parametrize("call", ["flock:signal=KILL:when=2", "fsync:signal=KILL:when=1"])
def test_who_is_killed_while_it_begins_a_marker_has_written_nothing(make, call):
    """That is no restart of the system: both head pages stay as they are, and what was begun is swept away."""
    store = make(durability="none")
    store.set_many({"k": b"v", "other": b"w"})
    path = store.path
    store.close()
    before = (pathlib.Path(path) / "data.mdb").read_bytes()
    code = "import sys; from door43fast.lmdb import LmdbStore; " \
           "LmdbStore(sys.argv[1], durability='none').set('k', b'x')"
    run = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}", sys.executable, "-c", code, path])
    assert run.returncode == -signal.SIGKILL
    assert [name for name in os.listdir(path) if name.startswith("begun-")] and markers(path) == []
    with LmdbStore(path, durability="none") as store:
        assert store["k"] == b"v" and not [name for name in os.listdir(path) if name.startswith("begun-")]
    assert (pathlib.Path(path) / "data.mdb").read_bytes() == before


def test_a_marker_that_is_being_begun_is_left_alone(make):
    store = make(durability="none")
    begun = pathlib.Path(store.path) / "begun-unsynced-1-00000000"
    with open(begun, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        subprocess.run([sys.executable, "-c", "import sys; from door43fast.lmdb import LmdbStore; "
                        "LmdbStore(sys.argv[1], durability='none').close()", store.path], check=True)
        assert begun.exists()


def test_a_marker_of_another_boot_means_a_complete_look(make):
    store = make()
    store.set_many({f"k{i}": bytes(500) for i in range(5000)}, ttl=1000)
    path = store.path
    store.close()
    orphan(path)
    store = make()
    assert len(store) == 5000 and markers(path) == []


@pytest.mark.parametrize("readonly", [False, True])
def test_a_store_that_is_damaged_serves_nothing_after_another_boot(make, readonly):
    store = make()
    store["good"], store["hurt"] = b"good", b"needle" * 5000
    path = store.path
    store.close()
    file = pathlib.Path(path) / "data.mdb"
    data = bytearray(file.read_bytes())
    data[data.rindex(b"needle" * 10)] ^= 1
    file.write_bytes(data)
    with LmdbStore(path, durability="none", readonly=readonly) as store:
        assert store["good"] == b"good"         # without a marker only the damaged record is refused
    left = orphan(path)
    for _ in range(2):
        with pytest.raises(CorruptError, match="was open when the system went down.*'hurt'"):
            LmdbStore(path, durability="none", readonly=readonly)
        assert left.exists()


def test_the_marker_of_a_living_process_is_left_alone(make):
    store = make()
    store["k"] = b"v"
    code = "import sys; from door43fast.lmdb import LmdbStore; s = LmdbStore(sys.argv[1], durability='none'); " \
           "s['c'] = b'1'; import os; print(len([n for n in os.listdir(sys.argv[1]) if n[:2] == 'un'])); s.close()"
    run = subprocess.run([sys.executable, "-c", code, store.path], capture_output=True, text=True, timeout=60)
    assert run.stdout == "2\n"
    assert len(markers(store.path)) == 1


@pytest.mark.parametrize("lost", [(0, 1), (0,), (1,)])
def test_a_store_whose_creation_was_broken_off_is_created_anew(make, judge, tmp_path, lost):
    """The system went down before both head pages were on the disk, and nothing can have been written yet."""
    judge("import lmdb, sys; lmdb.open(sys.argv[1]).close()", tmp_path / "store")      # heads alone
    file = tmp_path / "store" / "data.mdb"
    heads = bytearray(file.read_bytes())
    assert len(heads) == 8192
    for page in lost:
        heads[page * 4096:page * 4096 + 4096] = bytes(4096)
    file.write_bytes(heads)
    store = make()
    store["k"] = b"v"
    store.close()
    assert make()["k"] == b"v"


@pytest.mark.parametrize("content", [bytes(12288), b"\0" * 8191 + b"x", b"some words"])
def test_a_file_that_may_be_something_else_is_left_alone(make, tmp_path, content):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data.mdb").write_bytes(content)
    with pytest.raises(FormatError, match="left untouched"):
        make()
    assert (tmp_path / "store" / "data.mdb").read_bytes() == content


def test_the_interval_is_checked(tmp_path):
    with pytest.raises(ConfigError, match="sync_interval"):
        LmdbStore(tmp_path, durability="batch", sync_interval="often")

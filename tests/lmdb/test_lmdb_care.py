"""The care of a store: readers listed and cleared, a file written anew, a damaged one set aside, progress told."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from door43fast.errors import ConfigError, CorruptError
from door43fast.lmdb import LmdbStore, compact

HOLDS = """
import sys
from door43fast.lmdb import LmdbStore
store = LmdbStore(sys.argv[1], durability=sys.argv[2], readonly=sys.argv[3] == "ro")
with store.transaction() as t:
    t.get("k1")
    print("ready", flush=True)
    sys.stdin.readline()
store.close()
"""


class Holder:
    """Another process that has a store open, in the middle of a snapshot."""

    def __init__(self, path, durability="none", how="rw"):
        self.process = subprocess.Popen([sys.executable, "-c", HOLDS, path, durability, how], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.pid = self.process.pid

    def end(self, kill=False):
        if kill:
            self.process.send_signal(signal.SIGKILL)
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture
def hold():
    holders = []

    def hold(*arguments):
        holders.append(Holder(*arguments))
        return holders[-1]

    yield hold
    for holder in holders:
        holder.end(kill=True)


def fill(store, n=200, size=2000):
    store.set_many({f"k{i}": bytes([i % 256]) * size for i in range(n)})
    return dict(store.scan())


# Readers


def test_readers_are_listed_with_their_lag_and_dead_ones_cleared(make, hold):
    store = make()
    fill(store)
    other = hold(store.path)
    for i in range(5):
        store["k0"] = bytes([i])
    (theirs,) = [one for one in store.readers() if one.pid == other.pid and one.transaction is not None]
    newest = store.stats()["transactions"]
    assert (theirs.lag, theirs.alive) == (5, True) and theirs.transaction == newest - 5
    assert {one.pid for one in store.readers()} == {os.getpid(), other.pid}
    assert store.clear_readers() == 0
    other.end(kill=True)
    dead = [one for one in store.readers() if one.pid == other.pid]
    assert dead and not any(one.alive for one in dead)
    assert store.clear_readers() == len(dead)
    assert {one.pid for one in store.readers()} == {os.getpid()} and store.clear_readers() == 0


def test_a_cascade_lists_those_of_its_slow_tier(make):
    from door43fast import MemoryStore, UnsupportedError, cascade

    with cascade(MemoryStore(), make()) as store:
        store["k"] = b"v"
        assert store.get("k") == b"v" and store.slow.get("k") == b"v"
        assert {one.pid for one in store.readers()} == {os.getpid()} and store.clear_readers() == 0
    with cascade(MemoryStore(), MemoryStore()) as store:
        with pytest.raises(UnsupportedError, match="readers"):
            store.readers()


# Compaction


@pytest.mark.parametrize("keys", ["str", "int"])
def test_compact_gives_back_what_is_free(make, keys):
    store = make(keys=keys, durability="commit")
    key = str if keys == "str" else int
    store.set_many({key(i): os.urandom(3000) for i in range(2000)})
    store.delete_many([key(i) for i in range(1900)])
    held, path, size = dict(store.scan()), store.path, store.stats()["bytes"]
    store.close()
    told = []
    sizes = compact(path, progress=lambda *one: told.append(one))
    assert sizes["before"] >= size and sizes["after"] == (pathlib.Path(path) / "data.mdb").stat().st_size < size / 5
    assert told and all(0 <= done <= total == sizes["before"] and name for done, total, name in told)
    store = make(keys=keys, durability="commit")
    assert dict(store.scan()) == held and store.verify()["checked"] == 100
    store[key(5)] = b"it goes on"
    assert store[key(5)] == b"it goes on"
    assert not list(pathlib.Path(path).glob("*.partial"))


def test_compact_wants_the_store_alone(make, hold, tmp_path):
    store = make()
    fill(store)
    with pytest.raises(ConfigError, match="open in this process"):
        compact(store.path)
    path = store.path
    store.close()
    for how in ("rw", "ro"):
        other = hold(path, "none", how)
        with pytest.raises(ConfigError, match="open in another process"):
            compact(path)
        other.end()
    assert compact(path)["after"] > 0
    with pytest.raises(ConfigError, match="holds no store"):
        compact(tmp_path / "nowhere")


def test_compact_after_a_killed_process(make, hold):
    """Its marker says that there is something to bring to the disk first: opening does that."""
    store = make()
    fill(store)
    path = store.path
    store.close()
    code = "import os, sys; from door43fast.lmdb import LmdbStore\n" \
           "s = LmdbStore(sys.argv[1], durability='none'); s['new'] = b'v'; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, path], timeout=60)
    with pytest.raises(ConfigError, match="not closed by its last process"):
        compact(path)
    make().close()
    compact(path)
    assert make()["new"] == b"v"


def test_a_compaction_that_fails_leaves_the_old_file(make):
    store = make()
    held = fill(store)
    path = pathlib.Path(store.path)
    store.close()
    before = (path / "data.mdb").read_bytes()

    def refuse(*_):
        raise KeyboardInterrupt

    (path / "compacted.partial").write_bytes(b"of one that was broken off")
    with pytest.raises(KeyboardInterrupt):
        compact(path, progress=refuse)
    assert (path / "data.mdb").read_bytes() == before and not (path / "compacted.partial").exists()
    assert dict(make().scan()) == held


# Damage


def spoil(path):
    """Overwrite the second head page: what no store opens with."""
    with open(pathlib.Path(path) / "data.mdb", "r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))


def test_a_damaged_store_is_set_aside_if_asked(make, tmp_path):
    store = make()
    fill(store)
    path = store.path
    store.close()
    spoil(path)
    damaged = (pathlib.Path(path) / "data.mdb").read_bytes()
    (pathlib.Path(path) / "mine.txt").write_text("not the store's")
    with pytest.raises(CorruptError, match=r"on_damage='set_aside'.*door43fast verify"):
        make()
    assert (pathlib.Path(path) / "data.mdb").read_bytes() == damaged
    with pytest.warns(RuntimeWarning, match="moved to .*damaged-"):
        store = make(on_damage="set_aside")
    assert len(store) == 0
    store["new"] = b"v"
    store.close()
    (aside,) = tmp_path.glob("store.damaged-*")
    assert (aside / "data.mdb").read_bytes() == damaged
    assert sorted(one.name for one in pathlib.Path(path).iterdir() if one.suffix == ".txt") == ["mine.txt"]
    assert make(on_damage="set_aside")["new"] == b"v"


def test_twice_in_a_second_are_two_directories(make, tmp_path):
    for _ in range(2):
        store = make()
        fill(store)
        store.close()
        spoil(store.path)
        with pytest.warns(RuntimeWarning):
            make(on_damage="set_aside").close()
    assert len(list(tmp_path.glob("store.damaged-*"))) == 2


def test_what_others_have_open_is_not_set_aside(make, hold, tmp_path):
    store = make()
    fill(store)
    path = store.path
    store.close()
    other = hold(path)
    spoil(path)
    with pytest.raises(ConfigError, match="open in another process and cannot be set aside"):
        make(on_damage="set_aside")
    assert not list(tmp_path.glob("store.damaged-*"))
    other.end(kill=True)
    with pytest.warns(RuntimeWarning):
        assert len(make(on_damage="set_aside")) == 0


def test_markers_of_a_file_that_is_gone_say_nothing_of_the_next(make, tmp_path):
    """Else a saved head page of the damaged file would be put back into the new one."""
    store = make(durability="batch")
    store["k"] = b"v"
    copies = {one.name: one.read_bytes() for one in pathlib.Path(store.path).glob("unsynced-*")}
    assert copies
    store.close()
    path = pathlib.Path(store.path)
    for name, content in copies.items():        # as if the system had gone down
        (path / name).write_bytes(b"0" * 36 + content[36:])
    (path / "data.mdb").unlink()
    store = make(durability="batch")
    store["new"] = b"v"
    store.close()
    assert not [name for name in copies if (path / name).exists()]
    assert make(durability="batch")["new"] == b"v"


def test_the_choice_is_checked(make):
    with pytest.raises(ConfigError, match="did you mean set_aside"):
        make(on_damage="setaside")
    with pytest.raises(ConfigError, match="readonly"):
        make(on_damage="set_aside", readonly=True)


# Progress


def test_verify_and_backup_tell_how_far_they_are(make, tmp_path):
    store = make(journal=True)
    store.set_many({f"k{i}": b"v" for i in range(10_000)}, ttl=1000)
    told = []
    assert store.verify(progress=lambda *one: told.append(one))["checked"] == 10_000
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1] >= 30_000 and {name for _, _, name in told} >= {"records", "deadlines", "chunks"}
    told.clear()
    store.backup(tmp_path / "copy", progress=lambda *one: told.append(one))
    assert told and told[-1][2] == "data.mdb" and 0 < told[-1][0] <= told[-1][1]
    with LmdbStore(tmp_path / "copy") as copy:
        assert len(copy) == 10_000


def test_progress_may_end_it(make, tmp_path):
    store = make()
    store.set_many({f"k{i}": b"v" * 100 for i in range(10_000)})

    def refuse(*_):
        raise KeyboardInterrupt

    for work in (store.verify, lambda **told: store.backup(tmp_path / "copy", **told)):
        with pytest.raises(KeyboardInterrupt):
            work(progress=refuse)
    assert not list(tmp_path.glob("copy*"))
    assert store.verify()["checked"] == 10_000


def test_verify_looks_at_the_index_too(make):
    store = make()
    store.set_many({f"k{i}": b"v" * 100 for i in range(3000)})
    for _ in range(2):
        store.get_many([f"k{i}" for i in range(3000)])
    assert store.stats()["index_bytes"] > 0
    assert store.verify()["checked"] == 3000

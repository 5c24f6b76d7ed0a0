"""The journal of a store on disk: who keeps one, what is pruned, what other processes write, damage."""

import os
import pathlib
import pickle
import struct
import subprocess
import sys

import pytest
import xxhash
from lmdb_tables import tables

import door43fast as d43
from door43fast import errors
from door43fast.lmdb import LmdbStore
from door43fast.native.clock import ManualClock

ROOT = pathlib.Path(d43.__file__).parents[1]



def told(changes):
    return [(change.op, change.key) for change in changes]


def elsewhere(code, *arguments):
    """Run code in a process of its own; ``s`` is a store without any option that names the journal."""
    head = "import sys; from door43fast.lmdb import LmdbStore; from door43fast import errors\n" \
           "s = LmdbStore(sys.argv[1], durability='none')\n"
    run = subprocess.run([sys.executable, "-c", head + code, *map(str, arguments)], text=True, cwd=ROOT,
                         capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


# Who keeps one

def test_without_the_option_there_is_none(make):
    store = make()
    store["a"] = 1
    assert store.stats()["journal"] is None and not store.capabilities.journal
    with pytest.raises(errors.UnsupportedError, match="journal=True"):
        store.changes()


def test_it_is_the_stores_and_every_later_opener_keeps_it(make):
    store = make(journal=True)
    store["a"] = 1
    store.close()
    store = make()
    store["b"] = 2
    assert told(store.changes()) == [("set", "a"), ("set", "b")] and store.capabilities.journal
    elsewhere("s['c'] = 3; s.close()", store.path)
    assert told(store.changes(2)) == [("set", "c")]
    origins = [change.origin for change in store.changes()]
    assert len(set(origins)) == 3


def test_a_store_that_has_data_may_be_given_one(make):
    store = make()
    store["old"] = 1
    store.close()
    store = make(journal=True)
    store["new"] = 2
    store["old"] = 3
    first, second = store.changes()
    assert first.base == 0 and second.base != 0 and store.stats()["journal"]["last"] == 2


def test_a_process_that_has_it_open_follows_when_another_gives_it_one(make):
    """The first write after that finds it; so does a look at the capabilities."""
    writer = make()
    writer["a"] = 1
    elsewhere("s.close(); s = LmdbStore(sys.argv[1], durability='none', journal=True); s['b'] = 2; s.close()",
              writer.path)
    writer["c"] = 3
    writer.set_many({"d": 4})
    assert told(writer.changes()) == [("set", "b"), ("set", "c"), ("set", "d")]


@pytest.mark.parametrize("write", ["s.set('k', 1)", "s.set_many({'k': 1})", "s.clear()", "s.invalidate('t')",
                                   "s.delete('old')", "s.delete_many(['old'])", "s.incr('k')",
                                   "exec('with s.transaction() as t: t[\"k\"] = 1')",
                                   "s.set_packed(['k'], b'1', [0, 1])"])
def test_every_first_write_after_that_is_noted(make, write):
    store = make()
    store["old"] = 1
    elsewhere("s.close(); s = LmdbStore(sys.argv[1], durability='none', journal=True); s.close()", store.path)
    exec(write, {"s": store})
    assert len(list(store.changes())) == 1 and store.verify()["errors"] == []


def test_two_stores_of_one_process(make):
    first = make()
    second = make(journal=True)
    first["a"] = 1
    second["b"] = 2
    assert told(first.changes()) == told(second.changes()) == [("set", "a"), ("set", "b")]
    origins = [change.origin for change in first.changes()]
    assert origins[0] != origins[1]


def test_options_that_cannot_be_are_refused(make):
    store = make(journal=True)
    with pytest.raises(errors.ConfigError, match="has a journal"):
        make(journal=False)
    store["still"] = "open"
    make("none", journal=False)["k"] = 1
    with pytest.raises(errors.ConfigError, match="readonly=True gives it none"):
        make("none", journal=True, readonly=True)
    assert make(readonly=True, journal=True).capabilities.journal
    for wrong in (1, "yes", [], {"max_bits": 1}, {"max_bytes": 100}, {"max_bytes": True}, {"max_age": 0},
                  {"max_age": "week"}, {"max_age": -1}):
        with pytest.raises(errors.ConfigError, match="journal"):
            make("other", journal=wrong)


def test_it_goes_through_open_urls_plans_and_pickles(tmp_path):
    with d43.open(tmp_path / "a", journal=True) as store:
        store["k"] = 1
        assert told(store.changes()) == [("set", "k")] and store.capabilities.journal
        with pickle.loads(pickle.dumps(store)) as twin:
            assert told(twin.changes()) == [("set", "k")]
    with d43.open(f"lmdb:///{tmp_path}/b?journal=true") as store:
        store["k"] = 1
        assert told(store.changes()) == [("set", "k")]
        assert pickle.loads(pickle.dumps(store))._plan["journal"] is True
    layers = [{"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "c"), "journal": {"max_age": 60}}]
    with d43.open({"strategy": "cascade", "layers": layers}) as store:
        store["k"] = 1
        assert told(store.changes()) == [("set", "k")]


def test_after_a_fork_the_child_is_another_origin(make):
    store = make(journal=True)
    store["parent"] = 1
    pid = os.fork()
    if pid == 0:
        try:
            store["child"] = 2
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    store["again"] = 3
    parent, child, again = store.changes()
    assert parent.origin == again.origin != child.origin and child.key == "child"


@pytest.mark.parametrize(("mode", "key", "prefix", "cleared"), [
    ("str", "é/1", "é", "é"), ("bytes", b"\xff\x00", b"\xff", b"\xff"), ("int", -5, "", ""),
    ("any", ("a", 1), ("a",), None)])
def test_keys_of_every_kind(make, mode, key, prefix, cleared):
    store = make(keys=mode, journal=True)
    store[key] = 1
    store.invalidate("t\udc80")
    store.clear(prefix)
    first, tag, clear = store.changes()
    assert first.key == key and tag.key == "t\udc80" and len(store) == 0
    assert clear.key == cleared if mode != "any" else isinstance(clear.key, bytes)


def test_a_tag_of_any_length(make):
    store = make(journal=True)
    store["a"] = 1
    store.invalidate("t" * 100_000)
    store["b"] = 1
    assert told(store.changes()) == [("set", "a"), ("invalidate", "t" * 100_000), ("set", "b")]
    assert store.verify()["errors"] == []


def test_training_is_no_change(make):
    store = make(journal=True, compression="zstd")
    store.train(samples=[b"In the beginning %d was the word" % i * 20 for i in range(500)], size=1024)
    assert list(store.changes()) == []


# What is pruned

def test_it_stays_within_its_bytes(make):
    store = make(journal={"max_bytes": 1 << 17})
    for turn in range(40):
        store.set_many({f"key/{i:05}": turn for i in range(1000)})
    for i in range(2000):
        store[f"key/{i % 10:05}"] = i
    held = store.stats()["journal"]
    assert held["last"] == 42_000 and held["oldest"] > 30_000 and held["bytes"] <= 2 * (1 << 17)
    with pytest.raises(errors.PrunedError, match=str(held["oldest"])) as caught:
        store.changes(5)
    assert caught.value.oldest == held["oldest"] == pickle.loads(pickle.dumps(caught.value)).oldest
    kept = list(store.changes(held["oldest"] - 1))
    assert [change.seq for change in kept] == list(range(held["oldest"], 42_001))
    assert store.verify()["errors"] == []


def test_it_loses_what_is_too_old_and_never_its_last_number(make):
    clock = ManualClock()
    store = make(journal={"max_age": 100}, clock=clock)
    for i in range(300):
        store[f"k{i}"] = i
        clock.advance(1)
    store.expire()
    held = store.stats()["journal"]
    assert 199 <= held["oldest"] <= 202 and held["last"] == 300
    clock.advance(1000)
    store.expire()
    assert store.stats()["journal"] == {"oldest": 300, "last": 300, "bytes": 4096}
    store.close()
    store = make(clock=clock)
    store["next"] = 1
    assert told(store.changes(300)) == [("set", "next")] and list(store.changes(301)) == []


def test_bounds_are_the_stores_and_the_last_that_were_given_count(make):
    store = make(journal=True)
    elsewhere("s.close(); s = LmdbStore(sys.argv[1], durability='none', journal={'max_bytes': 65536}); s.close()",
              store.path)
    for turn in range(20):
        store.set_many({f"key/{i:05}": turn for i in range(1000)})
    assert store.stats()["journal"]["bytes"] < 1 << 18
    store.close()
    assert make(journal=True).stats()["journal"]["last"] == 20_000      # True leaves the bounds


def test_a_walk_that_is_overtaken_says_so(make):
    store = make(journal={"max_bytes": 1 << 16})
    store.set_many({f"k{i:05}": 0 for i in range(3000)})
    changes = store.changes(store.stats()["journal"]["oldest"] - 1)
    next(changes)
    for turn in range(20):
        store.set_many({f"k{i:05}": turn for i in range(3000)})
    with pytest.raises(errors.PrunedError):
        list(changes)


# What lies on disk

def test_the_rows_are_as_the_page_says(make, judge):
    clock = ManualClock()
    store = make(journal={"max_age": 50, "max_bytes": None}, clock=clock)
    store["k"] = b"1"
    store.set_many({"k": b"2", "l": b"3"})
    now, path = round(clock.seconds * 1e9), store.path
    changes = list(store.changes())
    store.close()
    held = tables(lambda code, *a: judge(code.replace('"tags"', '"tags", "journal"'), *a), path)
    assert held["meta"][b"door43fast"] == (0x10001).to_bytes(4, "little")
    assert held["meta"][b"journal"] == struct.pack("<QQ", 50 * 10**9, 0)
    assert [int.from_bytes(key, "big") for key in held["journal"]] == [1, 2]
    row = held["journal"][(2).to_bytes(8, "big")]
    assert struct.unpack_from("<Q", row)[0] == xxhash.xxh3_64_intdigest(
        row[8:], seed=xxhash.xxh3_64_intdigest((2).to_bytes(8, "big")))
    assert row[8:16] == bytes([1, 0, 0, 0, 2, 0, 0, 0]) and struct.unpack_from("<q", row, 16)[0] == now
    assert row[24:40].hex() == changes[0].origin
    k, ell = (int.from_bytes(held["data"][key][:8], "little") for key in (b"k", b"l"))
    assert row[40:] == struct.pack("<BIQQ", 1, 1, k, changes[0].hash) + b"k" + struct.pack("<BIQQ", 1, 1, ell, 0) + b"l"


def test_an_older_release_would_refuse_it(make, judge):
    """What it reads as the number of the format is not the one that it knows; one that we do not know we refuse."""
    store = make(journal=True)
    path = store.path
    store.close()
    assert int.from_bytes(tables(judge, path)["meta"][b"door43fast"], "little") != 1
    edit = "import lmdb, sys; e = lmdb.open(sys.argv[1], max_dbs=16); d = e.open_db(b'meta')\n" \
           "with e.begin(db=d, write=True) as t: t.put(b'door43fast', (0x780001).to_bytes(4, 'little'))"
    judge(edit, path)
    with pytest.raises(errors.FormatError, match="newer door43fast"):
        make()


@pytest.mark.parametrize("damage", ["flip", "gap", "swap"])
def test_verify_finds_damage(make, judge, damage):
    store = make(journal=True)
    for i in range(10):
        store[f"k{i}"] = i
    path = store.path
    store.close()
    edit = """
import lmdb, sys
e = lmdb.open(sys.argv[1], max_dbs=16)
d = e.open_db(b"journal")
with e.begin(db=d, write=True) as t:
    five, six = (i.to_bytes(8, "big") for i in (5, 6))
    old, next = t.get(five), t.get(six)
    if sys.argv[2] == "flip":
        t.put(five, old[:50] + bytes([old[50] ^ 1]) + old[51:])
    elif sys.argv[2] == "gap":
        t.delete(five)
    else:
        t.put(five, next); t.put(six, old)
"""
    judge(edit, path, damage)
    store = make()
    with pytest.raises(errors.CorruptError, match="journal"):
        store.verify()
    with pytest.raises((errors.CorruptError, errors.PrunedError)):
        assert [change.seq for change in store.changes()] == list(range(1, 11))
    store["goes"] = "on"


def test_a_backup_carries_it(make, tmp_path):
    store = make(journal=True)
    store.set_many({f"k{i}": i for i in range(100)})
    store.backup(tmp_path / "copy")
    store["after"] = 1
    with LmdbStore(tmp_path / "copy") as copy:
        assert list(copy.changes()) == list(store.changes())[:100]
        copy["mine"] = 1
        assert told(copy.changes(100)) == [("set", "mine")]


def test_a_map_that_is_full_grows_with_it(make):
    store = make(journal={"max_bytes": None, "max_age": None}, map_size=1 << 18)
    for turn in range(10):
        store.set_many({f"key/{i:05}": b"x" * 50 for i in range(2000)})
        store[f"single{turn}"] = b"y" * 5000
    assert [change.seq for change in store.changes()] == list(range(1, 20_011)) and store.verify()["errors"] == []


def test_many_processes_write_one_sequence(make):
    store = make(journal=True)
    code = "for i in range(300): s[f'{sys.argv[2]}/{i}'] = i\ns.close()"
    head = "import sys; from door43fast.lmdb import LmdbStore; s = LmdbStore(sys.argv[1], durability='none')\n"
    running = [subprocess.Popen([sys.executable, "-c", head + code, store.path, str(n)], cwd=ROOT) for n in range(4)]
    for process in running:
        assert process.wait(60) == 0
    changes = list(store.changes())
    assert [change.seq for change in changes] == list(range(1, 1201))
    for n in range(4):
        own = [change for change in changes if change.key.startswith(f"{n}/")]
        assert [change.key for change in own] == [f"{n}/{i}" for i in range(300)]
        assert len({change.origin for change in own}) == 1


def test_without_its_last_row_nothing_is_written_and_everything_is_read(make, judge):
    """The number of the next change would be a guess."""
    store = make(journal=True)
    store.set_many({f"k{i}": i for i in range(10)})
    path = store.path
    store.close()
    edit = "import lmdb, sys; e = lmdb.open(sys.argv[1], max_dbs=16); d = e.open_db(b'journal')\n" \
           "with e.begin(db=d, write=True) as t:\n" \
           "    k = (1).to_bytes(8, 'big'); t.put(k, t.get(k)[:-1] + b'?')"
    judge(edit, path)
    store = make()
    for write in (lambda: store.set("k1", 5), lambda: store.set_many({"k1": 5}), store.clear):
        with pytest.raises(errors.CorruptError, match="restore a backup"):
            write()
    assert dict(store.scan()) == {f"k{i}": i for i in range(10)}

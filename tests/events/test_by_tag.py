"""Subscriptions by tag hear of every change of an entry that carries the tag, before it or after it."""

import os
import random
import threading

import pytest

import door43fast as d43
from door43fast import reference
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.sqlite import SqliteStore

KINDS = {"memory": lambda path: d43.MemoryStore(), "reference": lambda path: reference.MemoryStore(),
         "lmdb": lambda path: d43.LmdbStore(path, durability="none"),
         "long keys": lambda path: d43.LmdbStore(path, durability="none"),
         "cascade": lambda path: d43.open(path, durability="none"),
         "sqlite": lambda path: SqliteStore(path=path, durability="none"),
         "filesystem": lambda path: FilesystemStore(path=path, durability="none"),
         "namespace": lambda path: d43.namespace(d43.MemoryStore(), "tenant")}
TAGS = ("t", "u", "v")


@pytest.mark.parametrize("kind", KINDS)
def test_each_tag_is_told_of_its_own(kind, tmp_path):
    """Random changes; a dict of the tags of each entry says who is to be told."""
    dice = random.Random(kind)
    names = [letter * (600 if kind == "long keys" else 1) for letter in "abcdef"]
    carried, dead = {}, set()
    wanted = {tag: [] for tag in TAGS}

    def told(op, key, tags=()):
        for tag in {*carried.get(key, ()), *tags} if op in ("set", "delete") else TAGS:
            wanted[tag].append((op, key))

    def put(key, tags=()):
        told("set", key, tags)
        carried[key] = tags
        dead.discard(key)

    def drop(key):
        if key in carried and key not in dead:      # of one that had ended stores may tell, as of an expiry
            told("delete", key)
        carried.pop(key, None)
        dead.discard(key)

    with KINDS[kind](tmp_path / "s") as store:
        ears = {tag: store.subscribe(tag=tag, queue=10_000) for tag in TAGS}
        for number in range(300):
            key, tags = dice.choice(names), tuple(dice.sample(TAGS, dice.randrange(3)))
            some = dice.sample(names, 3)
            turn = dice.randrange(9)
            if turn < 3:
                store.set(key, number, tags=tags)
                put(key, tags)
            elif turn == 3:
                store.set_many({one: number for one in some})
                for one in some:
                    put(one)
            elif turn == 4:
                store.delete_many(some)
                for one in some:
                    drop(one)
            elif turn == 5:
                store.incr(key)
                put(key, () if key in dead else carried.get(key, ()))
            elif turn == 6:
                if store.add(key, 7):
                    put(key)
            elif turn == 7:
                with store.transaction() as t:
                    t.set(some[0], number, tags=tags)
                    t.set(some[1], number)
                    t.delete(some[2])
                put(some[0], tags)
                put(some[1])
                drop(some[2])
            elif dice.random() < 0.3:
                tag = dice.choice(TAGS)
                store.invalidate(tag)
                wanted[tag].append(("invalidate", tag))
                dead.update(one for one, tags in carried.items() if tag in tags)
            else:
                drop(key) if store.pop(key, None) is not None else carried.pop(key, None)
                dead.discard(key)
        store.flush()
        for tag, events in ears.items():
            heard = [(event.op, event.key) for event in iter(lambda one=events: one.get(0), None)
                     if event.reason != "expire"]
            assert heard == wanted[tag] and len(heard) > 50


@pytest.mark.parametrize("make", [
    lambda path: d43.MemoryStore(max_entries=10), lambda path: reference.MemoryStore(max_entries=10),
    lambda path: d43.LmdbStore(path, max_bytes=1 << 20, durability="none")], ids=["memory", "reference", "lmdb"])
def test_what_makes_room_is_told_of(make, tmp_path):
    with make(tmp_path / "s") as store, store.subscribe(tag="even", queue=10_000) as events:
        for number in range(1000):
            store.set(number if type(store) is not d43.LmdbStore else f"{number:04}", bytes(2000),
                      tags=("even",) if number % 2 == 0 else ())
        store.flush()
        heard = [event for event in iter(lambda: events.get(0), None)]
        gone = [int(event.key) for event in heard if event.op == "delete"]
        assert all(event.reason == "evict" for event in heard if event.op == "delete")
        assert len(gone) > 300 and gone == list(range(0, 2 * len(gone), 2))
        assert [int(event.key) for event in heard if event.op == "set"] == list(range(0, 1000, 2))


def test_a_namespace_tells_of_what_makes_room():
    with d43.MemoryStore() as base:
        space = d43.namespace(base, "tenant", max_entries=3, policy="fifo")
        events = space.subscribe(tag="t", queue=100)
        for number in range(6):
            space.set(f"{number}", 1, tags=("t",) if number % 2 else ())
        space.flush()
        assert [(event.op, event.key, event.reason) for event in iter(lambda: events.get(0), None)] == [
            ("set", "1", "user"), ("set", "3", "user"), ("delete", "1", "evict"), ("set", "5", "user")]


def test_large_values_carry_tags_too(tmp_path):
    with d43.LmdbStore(tmp_path / "s", durability="none") as store, store.subscribe(tag="t", queue=100) as events:
        store.set("large", os.urandom(3 << 20), tags=("t",))
        store.set("large", os.urandom(3 << 20))
        with store.writer("file", tags=("t",)) as file:
            file.write(os.urandom(3 << 20))
        store.delete("file")
        assert [(event.op, event.key) for event in iter(lambda: events.get(0), None)] == [
            ("set", "large"), ("set", "large"), ("set", "file"), ("delete", "file")]


def test_threads_that_share_a_transaction_are_each_told_of(tmp_path):
    """Under ``commit`` changes of many threads go into one transaction, and each tells of its own tags."""
    with d43.LmdbStore(tmp_path / "s", durability="commit") as store:
        ears = [store.subscribe(tag=f"tag {number}", queue=1000) for number in range(6)]

        def write(number):
            for turn in range(20):
                store.set(f"{number}/{turn % 3}", turn, tags=(f"tag {number}",) if turn % 2 else ())
                store.set("shared", turn, tags=(f"tag {number}",))
        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        store.flush()
        for number, events in enumerate(ears):
            heard = [event.key for event in iter(lambda one=events: one.get(0), None)]
            own = [key for key in heard if key != "shared"]
            # turn 0 of each key has no tag and finds none; from then on each other write of it does, before or after
            assert own == [f"{number}/{turn % 3}" for turn in range(20) if turn % 2 or turn > 2]
            assert 20 <= heard.count("shared") <= 40


def test_damage_below_is_no_hindrance(tmp_path):
    """What is replaced is looked at for its tags alone: a record that cannot be read is replaced all the same."""
    with d43.LmdbStore(tmp_path / "s", durability="commit") as store:
        store.set("damaged", b"0123456789" * 20, tags=("t",))
    data = tmp_path / "s" / "data.mdb"
    whole = data.read_bytes()
    assert whole.count(b"0123456789" * 20) == 1
    data.write_bytes(whole.replace(b"0123456789" * 20, b"9876543210" * 20))
    with d43.LmdbStore(tmp_path / "s", durability="commit") as store, store.subscribe(tag="t", queue=9) as events:
        with pytest.raises(d43.CorruptError):
            store.get("damaged")
        store.set("damaged", 1)
        assert store["damaged"] == 1 and events.get(0) is None
        store.set("damaged", 1, tags=("t",))
        assert events.get(5).key == "damaged"


@pytest.mark.parametrize("kind", ["memory", "lmdb", "reference", "sqlite"])
def test_after_a_fork_the_child_hears_of_its_own(kind, tmp_path):
    with KINDS[kind](tmp_path / "s") as store:
        events = store.subscribe(tag="t", queue=9)
        store.set("a", 1, tags=("t",))
        assert events.get(5).key == "a"
        child = os.fork()
        if child == 0:
            status = 1
            try:
                store.set("a", 2)
                store.delete("a")
                status = 0 if events.get(5).op == "set" and events.get(0) is None else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and events.get(0) is None

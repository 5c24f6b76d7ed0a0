"""Subscriptions to the journal: what every process changed, each change once, in one order."""

import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import pytest

import door43fast as d43
from door43fast.errors import PrunedError

WORKER = pathlib.Path(__file__).with_name("journal_worker.py")
LIMIT = 100


@pytest.fixture(params=["lmdb", "cascade"])
def opened(request, tmp_path):
    """Open the store, as often as one likes."""
    def opener(**options):
        options = {"journal": True, "durability": "none", **options}
        return d43.LmdbStore(tmp_path / "store", **options) if request.param == "lmdb" else d43.open(
            tmp_path / "store", **options)
    yield opener
    assert not [thread for thread in threading.enumerate() if thread.name == "door43fast-follower" and
                not _ended(thread)]


def _ended(thread):
    thread.join(LIMIT)
    return not thread.is_alive()


def brief(events):
    return [(event.op, event.key, event.reason, event.value) for event in events]


def worker(*arguments):
    process = subprocess.Popen([sys.executable, str(WORKER), *map(str, arguments)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def test_four_writers_two_listeners_none_lost_none_twice_in_order(tmp_path):
    path, each = tmp_path / "store", 5000
    d43.open(path, journal=True, durability="none").close()
    listeners = [worker("listen", path, 4 * each, "", how) for how in ("callback", "queue")]
    writers = [worker("write", path, name, each) for name in "abcd"]
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    heard = [json.loads(listener.communicate(timeout=LIMIT)[0]) for listener in listeners]
    for writer in writers:
        writer.communicate(timeout=LIMIT)
    with d43.LmdbStore(path) as store:
        written = [[change.seq, change.origin, change.key] for change in store.changes()]
    assert len(written) == 4 * each and [one[0] for one in written] == list(range(1, 4 * each + 1))
    for one in heard:
        assert [event[:3] for event in one] == written
        took = sorted(event[3] for event in one)
        print(f"ms from the write to the listener: median {statistics.median(took) * 1e3:.1f}, "
              f"99 % within {took[len(took) * 99 // 100] * 1e3:.1f}")
    assert len({event[1] for event in heard[0]}) == 4


def test_a_listener_that_begins_anew_misses_nothing(tmp_path):
    path = tmp_path / "store"
    d43.open(path, journal=True, durability="none").close()
    heard = []
    for how, count in (("callback", 700), ("loop", 1300)):
        listener = worker("listen", path, count, heard[-1][0] if heard else 0, how)
        writer = worker("write", path, how, 1000)
        writer.communicate("\n", timeout=LIMIT)
        heard += json.loads(listener.communicate(timeout=LIMIT)[0])[:count]
    assert [event[0] for event in heard] == list(range(1, 2001))


def test_others_and_own_changes_are_told_in_one_order_with_the_journals_numbers(opened):
    with opened() as store, opened() as other:
        store["before"] = 0
        heard = []
        store.subscribe("*", heard.append, others=True, values=True)
        store["a"] = 1
        other["b"] = 2
        with other.transaction() as t:
            t["a"] = 3
            t.delete("b")
        store.set("c", 4, tags=("t",))
        other.invalidate("t")
        other.clear("a")
        store.flush()
        assert [event.seq for event in heard] == [2, 3, 4, 5, 6, 8]
        assert [(event.op, event.key) for event in heard] == [
            ("set", "a"), ("set", "b"), ("set", "a"), ("delete", "b"), ("set", "c"), ("clear", "a")]
        changes = {change.seq: change for change in store.changes()}
        assert [(event.origin, event.time) for event in heard] == [
            (changes[event.seq].origin, changes[event.seq].time) for event in heard]
        assert len({event.origin for event in heard}) == 2


def test_expiry_and_what_is_wanted(opened):
    with opened() as store, opened() as other:
        heard, tagged, keyed = [], [], []
        store.subscribe(prefix="a/", callback=heard.append, others=True)
        store.subscribe(tag="t", callback=tagged.append, others=True)
        store.subscribe(key="b", callback=keyed.append, others=True)
        other.set("a/1", 1, ttl=0.01)
        other["b"] = 1
        other.invalidate("t")
        other.invalidate("u")
        time.sleep(0.03)
        other.expire()
        store.flush()
        assert [(event.op, event.key, event.reason) for event in heard] == [
            ("set", "a/1", "user"), ("delete", "a/1", "expire")]
        assert [(event.op, event.key) for event in tagged] == [("invalidate", "t")]
        assert [(event.op, event.key) for event in keyed] == [("set", "b")]


def test_a_value_is_that_of_the_moment_of_delivery(opened):
    with opened() as store:
        for i in range(3):
            store["a"] = i
        store["b"] = 1
        del store["b"]
        with store.subscribe("*", queue=10, since=0, values=True) as events:
            assert [event.value for event in (events.get(LIMIT) for _ in range(5))] == [2, 2, 2, None, None]
        with store.subscribe("*", queue=10, since=0) as events:
            assert [events.get(LIMIT).value for _ in range(5)] == [None] * 5


def test_subscriptions_begin_at_numbers_of_their_own(opened):
    with opened() as store:
        store.set_many((f"k{i}", i) for i in range(3000))
        late, early, new = [], [], []
        store.subscribe("*", late.append, since=2990)
        store.subscribe("*", new.append, others=True)
        store.flush()
        store.subscribe("*", early.append, since=0)
        store["end"] = 1
        store.flush()
        assert [event.seq for event in late] == list(range(2991, 3002))
        assert [event.seq for event in early] == list(range(1, 3002))
        assert [event.key for event in new] == ["end"]
        for wrong, error in ((3002, ValueError), (-1, ValueError), (True, TypeError), ("1", TypeError)):
            with pytest.raises(error):
                store.subscribe("*", print, since=wrong)


def test_what_was_pruned_is_told_as_lost(opened):
    with opened(journal={"max_bytes": 65536, "max_age": None}) as store:
        for i in range(3000):
            store[f"key {i}"] = i
        oldest = next(iter_from(store)).seq
        assert oldest > 10
        with store.subscribe("*", queue=5000, since=5) as events:
            first = events.get(LIMIT)
            assert first == (oldest - 1, "lost", None, "pruned", "", 0.0, oldest - 1 - 5)
            assert events.get(LIMIT).seq == oldest


def iter_from(store):
    try:
        return store.changes()
    except PrunedError as error:
        return store.changes(error.oldest - 1)


def test_in_an_event_loop(opened):
    async def main():
        with opened() as store, opened() as other:
            told = []

            async def hear(event):
                told.append(event.key)
            subscription = await store.aio.subscribe("*", hear, others=True)
            async with store.aio.subscribe(prefix="b", since=0, every=0.002) as events:
                other.set_many({"a": 1, "b": 2})
                assert (await events.get()).key == "b"
                while told != ["a", "b"]:
                    await asyncio.sleep(0.001)
            subscription.cancel()
            other["b"] = 3
            await store.aio.flush()
            assert told == ["a", "b"]
    asyncio.run(main())


def test_the_thread_lives_as_long_as_somebody_listens(opened):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "door43fast-follower"]
    with opened() as store:
        store.subscribe("*", print)
        assert not threads()
        one = store.subscribe("*", print, others=True)
        two = store.subscribe("*", print, since=0)
        assert len(threads()) == 1
        one.cancel()
        one.cancel()
        assert len(threads()) == 1
        (thread,) = threads()
        two.cancel()
        assert _ended(thread)
        heard = []
        with store.subscribe("*", heard.append, others=True):
            store["a"] = 1
            store.flush()
        assert [event.key for event in heard] == ["a"]
        stream = store.subscribe("*", queue=5, others=True)
    assert list(stream) == []       # it ends with the store


def test_a_store_that_nobody_holds_is_let_go(opened):
    store = opened()
    events = []
    store.subscribe("*", events.append, others=True)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "door43fast-follower"]
    del store
    assert _ended(thread)


def test_a_listener_may_use_the_store_raise_and_cancel(opened, monkeypatch):
    shown, heard = [], []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with opened() as store:
        def hear(event):
            store.flush()           # at once
            if event.key == "a":
                store["from the listener"] = 1
            elif event.key == "b":
                raise LookupError("mine")
            else:
                heard.append(event.key)
                subscription.cancel()
        subscription = store.subscribe("*", hear, others=True)
        second = []
        store.subscribe("*", second.append, others=True)
        store["a"] = 1
        store["b"] = 1
        while len(second) < 3:
            store.flush()
        assert heard == ["from the listener"] and [one.exc_type for one in shown] == [LookupError]


def test_a_child_of_a_fork_begins_its_own(opened):
    with opened() as store:
        heard = []
        store.subscribe("*", heard.append, others=True)
        store["a"] = 1
        store.flush()
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            own = []
            store["of the child"] = 1
            store.flush()           # nobody listens here yet
            store.subscribe("*", own.append, others=True)
            store["again"] = 2
            store.flush()
            os.write(write, json.dumps([[event.key for event in own], len(heard)]).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as file:
            assert json.loads(file.read()) == [["again"], 1]
        os.waitpid(pid, 0)
        store.flush()
        assert [event.key for event in heard] == ["a", "of the child", "again"]
        assert len({event.origin for event in heard}) == 2


def test_without_a_journal_it_says_what_to_do(tmp_path):
    with d43.MemoryStore() as memory, d43.open(tmp_path / "store") as plain:
        for store in (memory, plain):
            for how in ({"others": True}, {"since": 0}):
                with pytest.raises(d43.UnsupportedError, match="journal=True"):
                    store.subscribe("*", print, **how)
                with pytest.raises(d43.UnsupportedError, match="journal=True"):
                    store.subscribe("*", queue=5, **how)
            with pytest.raises(TypeError, match="every="):
                store.subscribe("*", print, every=1)
    with d43.LmdbStore(tmp_path / "journal", journal=True) as store:
        with pytest.raises(ValueError, match="every"):
            store.subscribe("*", print, others=True, every=-1)
        with pytest.raises(TypeError, match="callable"):
            store.subscribe("*", None, others=True)

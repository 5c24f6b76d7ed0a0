"""Subscriptions by key, prefix, glob and tag, matched exactly; and events that wait to be read."""

import asyncio
import fnmatch
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import door43fast as d43
from door43fast import reference
from door43fast.errors import LostEventsError
from door43fast.events import _reaches
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.sqlite import SqliteStore


@pytest.fixture(params=["memory", "reference", "lmdb", "cascade", "sqlite", "filesystem"])
def store(request, tmp_path):
    store = {"memory": d43.MemoryStore, "reference": reference.MemoryStore,
             "lmdb": lambda: d43.LmdbStore(tmp_path / "s", durability="none"),
             "cascade": lambda: d43.open(tmp_path / "s", durability="none"),
             "sqlite": lambda: SqliteStore(path=tmp_path / "s.db", durability="none"),
             "filesystem": lambda: FilesystemStore(path=tmp_path / "s", durability="none")}[request.param]()
    yield store
    store.close()


WISHES = {"a": {"key": "a"}, "a.": {"prefix": "a."}, "glob": {"pattern": "a.[bc]*"}, "tag": {"tag": "t"},
          "all": {"pattern": "*"}, "x": {"prefix": "x"}}


def test_each_is_told_of_its_own(store):
    got = {name: [] for name in WISHES}
    for name, wish in WISHES.items():
        store.subscribe(callback=lambda event, name=name: got[name].append((event.op, event.key)), **wish)
    for key in ("a", "a.b", "aXb", "a.d", "zza.b", "b"):
        store.set(key, 1, tags=("t",))
    store.delete("a.b")
    store.invalidate("t")
    store.invalidate("other")
    store["a"] = 2
    store.clear("a.c")
    store.clear("b")
    store.clear()
    store.flush()
    sets = [("set", key) for key in ("a", "a.b", "aXb", "a.d", "zza.b", "b")]
    clears = [("clear", "a.c"), ("clear", "b"), ("clear", "")]
    assert got["all"] == [*sets, ("delete", "a.b"), ("set", "a"), *clears]
    assert got["a"] == [("set", "a"), ("set", "a"), ("clear", "")]
    assert got["a."] == [("set", "a.b"), ("set", "a.d"), ("delete", "a.b"), ("clear", "a.c"), ("clear", "")]
    assert got["glob"] == [("set", "a.b"), ("delete", "a.b"), ("clear", "a.c"), ("clear", "")]
    assert got["tag"] == [*sets, ("delete", "a.b"), ("invalidate", "t"), ("set", "a"), *clears]
    assert got["x"] == [("clear", "")]


def test_numbers_rise_over_all_subscriptions(store):
    every, some = store.subscribe("*", queue=100), store.subscribe(key="b", queue=100)
    for number in range(10):
        store["a" if number % 2 else "b"] = number
    numbers = [every.get(5).seq for _ in range(10)]
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    assert [some.get(5).seq for _ in range(5)] == numbers[::2]


def test_refusals(store):
    for call in (lambda: store.subscribe(), lambda: store.subscribe("*", key="a", callback=print),
                 lambda: store.subscribe(7, print), lambda: store.subscribe(tag=7, callback=print),
                 lambda: store.subscribe("*", None), lambda: store.subscribe("*", print, queue=5),
                 lambda: store.subscribe("*", print, overflow="block")):
        with pytest.raises(TypeError):
            call()
    for options in ({"queue": 0}, {"queue": 1.5}, {"queue": True}, {"queue": 1, "overflow": "dorp"}):
        with pytest.raises(d43.ConfigError):
            store.subscribe("*", **options)


def test_the_oldest_goes_and_that_is_told():
    with d43.MemoryStore() as store, store.subscribe("*", queue=3, values=True) as events:
        for number in range(10):
            store["k"] = number
        assert len(events) == 3 and events.lost == 7
        lost = events.get(5)
        assert (lost.op, lost.key, lost.reason, lost.value) == ("lost", None, "overflow", 7)
        assert [(event.seq, event.value) for event in (events.get(5) for _ in range(3))] == [
            (lost.seq + 1, 7), (lost.seq + 2, 8), (lost.seq + 3, 9)]
        store["k"] = 10
        assert events.get(5).value == 10 and events.get(0.01) is None and events.lost == 7


def test_the_reader_is_told_that_events_were_lost():
    with d43.MemoryStore() as store:
        events = store.subscribe("*", queue=2, overflow="raise", values=True)
        for number in range(5):
            store["k"] = number
        assert [events.get(5).value, events.get(5).value] == [0, 1]
        with pytest.raises(LostEventsError, match="3 events"):
            events.get(5)
        with pytest.raises(d43.ClosedError):
            events.get(5)
        assert list(events) == []


def test_who_brings_an_event_waits_for_room():
    with d43.MemoryStore() as store:
        events = store.subscribe("*", queue=2, overflow="block", values=True)
        writer = threading.Thread(target=lambda: [store.set("k", number) for number in range(50)])
        writer.start()
        while len(events) < 2:
            time.sleep(0.001)
        got = [events.get(30).value for _ in range(50)]
        writer.join(30)
        assert got == list(range(50)) and events.lost == 0
        # where the reader itself writes, waiting would be for ever
        for number in range(5):
            store["k"] = number
        assert events.lost == 3 and events.get(5).op == "lost"
        events.cancel()


def test_who_waits_for_room_is_let_go_when_the_subscription_ends():
    with d43.MemoryStore() as store:
        events = store.subscribe("*", queue=1, overflow="block")
        writer = threading.Thread(target=lambda: [store.set("k", number) for number in range(5)])
        writer.start()
        while not len(events):
            time.sleep(0.001)
        events.cancel()
        writer.join(30)
        assert not writer.is_alive() and store["k"] == 4


def test_iteration_ends_with_the_store_and_with_cancel():
    for end in ("close", "cancel"):
        store = d43.MemoryStore()
        events = store.subscribe(prefix="", queue=10)
        store["a"] = 1
        got = []
        reader = threading.Thread(target=lambda events=events, got=got: got.extend(event.key for event in events))
        reader.start()
        while not got:
            time.sleep(0.001)
        store.close() if end == "close" else events.cancel()
        reader.join(30)
        assert not reader.is_alive() and got == ["a"]
        store.close()


def test_keys_of_other_types(tmp_path):
    with d43.LmdbStore(tmp_path / "s", keys="any", durability="none") as store:
        got = {}
        for name, wish in {"tuple": {"prefix": ("a",)}, "bytes": {"prefix": b"a"}, "number": {"key": 7}}.items():
            got[name] = store.subscribe(queue=10, **wish)
        for key in (("a", 1), ("b", 1), b"ab", "ab", 7, 8):
            store[key] = 1
        store.clear(("a",))
        store.clear()
        ops = {name: [(event.op, event.key) for event in iter(lambda one=one: one.get(0), None)]
               for name, one in got.items()}
        assert ops == {"tuple": [("set", ("a", 1)), ("clear", ("a",)), ("clear", "")],
                       "bytes": [("set", b"ab"), ("clear", "")], "number": [("set", 7), ("clear", "")]}


@given(st.text("ab*?[]!", max_size=6), st.text("ab", max_size=3), st.text("ab]", max_size=4))
def test_a_clear_is_told_where_the_glob_reaches(pattern, prefix, rest):
    if fnmatch.fnmatchcase(prefix + rest, pattern):
        assert _reaches(pattern, prefix)


@pytest.mark.parametrize(("pattern", "prefix", "reaches"), [
    ("a*", "b", False), ("a?c", "ab", True), ("a?c", "abd", False), ("[ab]x", "a", True), ("[!ab]x", "a", False),
    ("abc", "ab", True), ("abc", "abcd", False), ("*z", "anything", True), ("", "", True), ("", "a", False),
    ("[]]x", "]", True), ("[x", "[", True), ("[x", "x", False)])
def test_a_clear_is_not_told_where_it_does_not(pattern, prefix, reaches):
    assert _reaches(pattern, prefix) is reaches


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_events_as_an_asynchronous_iterator(store):
    async def main():
        events = store.aio.subscribe(prefix="a", values=True)
        for number in range(20):
            await store.aio.set(f"a{number}", number)
            await store.aio.set(f"b{number}", number)
        got = []
        async for event in events:
            got.append(event)
            if len(got) == 20:
                break
        assert [(event.op, event.key, event.value) for event in got] == [
            ("set", f"a{number}", number) for number in range(20)]
        events.cancel()
        await store.aio.set("a", 1)
        assert [event async for event in events] == []
    run(main())


def test_one_waits_while_another_thread_writes(store):
    async def main():
        async with store.aio.subscribe("*") as events:
            thread = threading.Thread(target=lambda: [time.sleep(0.05), store.set("k", 1)])
            thread.start()
            assert (await events.get()).key == "k"
            thread.join()
            waiting = asyncio.ensure_future(events.get())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait([waiting])
            store["next"] = 1
            assert (await events.get()).key == "next"      # a cancelled reader takes none with it
    run(main())


def test_asynchronous_readers_too_are_told_of_what_was_lost():
    async def main():
        with d43.MemoryStore() as store:
            for overflow in ("drop", "block"):      # in one thread it cannot wait
                events = store.aio.subscribe("*", queue=2, overflow=overflow)
                for number in range(5):
                    store["k"] = number
                assert [(await events.get()).op for _ in range(3)] == ["lost", "set", "set"] and events.lost == 3
                events.cancel()
            events = store.aio.subscribe("*", queue=2, overflow="raise")
            for number in range(5):
                store["k"] = number
            assert [(await events.get()).op for _ in range(2)] == ["set", "set"]
            with pytest.raises(LostEventsError):
                await events.get()
            told = await store.aio.subscribe("*", print)
            told.cancel()
            with pytest.raises(TypeError, match="callback"):
                await store.aio.subscribe("*", print).get()
    run(main())


def test_one_that_is_let_go_of_ends():
    async def main():
        with d43.MemoryStore() as store:
            events = store.aio.subscribe("*", queue=2)
            inbox = events._inbox
            del events
            store["a"] = 1
            assert inbox.ended and not len(inbox)
        events = store.aio.subscribe
        with pytest.raises(d43.ClosedError):
            events("*")
    run(main())


def test_neither_a_callback_nor_a_queue():
    with d43.MemoryStore() as store, pytest.raises(TypeError, match="needs a callable to be told, or queue="):
        store.subscribe("a/*")

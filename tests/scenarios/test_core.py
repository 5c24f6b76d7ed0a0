"""Scenarios 1 to 5 of the original's storage testers, over every backend: what they did, with assertions."""

import threading
import time

import pytest

import door43fast as d43
from door43fast.config import Options
from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError, UnsupportedError
from door43fast.memory import MemoryStore
from door43fast.native.clock import ManualClock
from door43fast.plugins import Registry
from door43fast.plugins.roster import registry

LOCAL = ["memory", "lmdb", "sqlite", "filesystem", "asyncstorage"]
VERSE = {"text": "Paul, a servant of God", "words": [1, 2, 3], "checked": None}


def opened(name, folder, **options):
    if name == "memory":
        return d43.open({"type": name, **options})
    if name == "asyncstorage":
        options["form"] = "android"
    return d43.open({"type": name, "path": folder / name, **options})


@pytest.fixture(params=[*LOCAL, "redis"])
def store(request, tmp_path):
    if request.param == "redis":
        server = request.getfixturevalue("redis")
        made = d43.open(server.url, namespace=request.node.name)
    else:
        made = opened(request.param, tmp_path)
    with made:
        yield made


def test_1_the_interface(store):
    store.set("verse", VERSE)
    assert store.get("verse") == VERSE and "verse" in store and "other" not in store
    assert store.get("other") is None and store.get("other", 7) == 7
    store.set("nothing", None)
    assert store["nothing"] is None and "nothing" in store       # there it was both null and present
    store.set_many({"note/1": "a", "note/2": "b"})
    assert store.get("note/1") == "a" and list(store.keys("note/")) == ["note/1", "note/2"]
    assert store.get_many(["note/2", "none", "note/1"]) == ["b", None, "a"]
    assert store.delete_many(["note/1", "none"]) == 1 and not store.delete("note/1")
    assert {"entries", "hits", "misses"} <= store.stats().keys() and store.stats()["entries"] == 3
    assert store.verify()["checked"] == 3
    store.clear()
    assert len(store) == 0
    store.close()
    for call in (lambda: store.get("verse"), lambda: store.set("verse", 1), lambda: len(store)):
        with pytest.raises(ClosedError):
            call()


@pytest.mark.parametrize("name", ["memory", "lmdb", "sqlite", "filesystem"])
def test_1_a_time_to_live_of_100_ms(name, tmp_path):
    clock = ManualClock()
    with opened(name, tmp_path, clock=clock) as store:
        store.set("short", "x", ttl=0.1)
        store.set("never", "x", ttl=0)
        assert store["short"] == "x" and "never" not in store       # there 0 meant for ever
        clock.advance(0.2)
        assert "short" not in store and store.get("short") is None and "short" not in list(store.keys())


def test_2_the_registry_tells_what_there_is():
    assert {*LOCAL, "redis"} <= set(registry.names())
    for name in LOCAL:
        about = registry.about(name)
        assert about.available and about.source == "door43fast" and not about.reason
        schema = registry.get(name).Options
        assert "max_bytes" in schema.__struct_fields__ or "path" in schema.__struct_fields__


@pytest.mark.parametrize(("plan", "said"), [
    ({"type": "memroy"}, "did you mean 'memory'"), ({"type": "memory", "max_byte": 1}, "did you mean 'max_bytes'"),
    ({"type": "memory", "max_bytes": "many"}, "max_bytes"), ({"type": "sqlite"}, "path"), ({}, "type")])
def test_3_the_factory_refuses_with_the_place_and_a_remedy(plan, said):
    with pytest.raises(ConfigError, match=said):
        d43.open(plan)


def test_3_a_size_given_as_text_is_one(tmp_path):
    """There it passed and had no effect."""
    with d43.open({"type": "memory", "max_bytes": "10KB"}) as store:
        for number in range(1000):
            store.set(f"k{number}", bytes(1000))
        assert len(store) < 10 and store.stats()["bytes"] <= 10_240


def test_3_nothing_stays_open_when_a_later_layer_fails(tmp_path):
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "sqlite", "path": tmp_path / "no" / "\0"}]}
    before = len(registry.live("memory"))
    with pytest.raises(BackendUnavailableError, match="no"):
        d43.open(plan)
    assert len(registry.live("memory")) == before


def test_4_a_thousand_of_each_and_a_batch(store):
    names = [f"k{number:04}" for number in range(1000)]
    for name in names:
        store.set(name, name.upper())
    assert all(store.get(name) == name.upper() for name in names)
    assert store.get_many(names) == [name.upper() for name in names] and store.count("k00") == 100


def test_5_events_of_each_kind(store):
    heard, other = [], []
    first = store.subscribe("a.b*", lambda event: heard.append((event.op, event.key)))
    store.subscribe("user:*", other.append)
    store.set("a.b1", 1)
    store.set("aXb1", 1)            # there a dot matched any character, and the pattern anywhere
    store.set("other-user:1", 1)
    store.delete("a.b1")
    store.set_many({"user:1": 1})
    store.clear()
    store.flush()
    assert heard[:2] == [("set", "a.b1"), ("delete", "a.b1")]
    assert [event.op for event in other] == ["set", "clear"]        # there nobody heard that their keys were gone
    assert [event.seq for event in other] == sorted(event.seq for event in other)
    first.cancel()
    count = len(heard)
    store.set("a.b2", 1)
    store.flush()
    assert len(heard) == count


def test_5_plugins_come_and_go():
    class Custom:
        Options = Options

        @staticmethod
        def open(options):
            return MemoryStore()

    own = Registry(discover=False)
    own.register("custom", Custom)
    with pytest.raises(ConfigError, match="custom"):
        own.register("custom", Custom)
    with pytest.raises(ConfigError, match="lacks"):
        own.register("invalid", object())
    store = own.open("custom", {})
    with pytest.raises(ConfigError, match="1 open"):
        own.unregister("custom")
    store.close()
    own.unregister("custom")
    with pytest.raises(ConfigError, match="custom"):
        own.get("custom")


def test_5_batches_reach_every_layer(tmp_path):
    """There only the first layer knew of them."""
    fast = MemoryStore()
    slow = d43.open({"type": "sqlite", "path": tmp_path / "s"})
    with d43.cascade(fast, slow) as store:
        store.set_many({"a": 1, "b": 2})
        assert slow.get_many(["a", "b"]) == [1, 2]
        slow.set("c", 3)
        assert store.get_many(["c", "a", "d"]) == [3, 1, None]
        assert fast.get_many(["c"]) != [None]       # promoted
        assert store.delete_many(["a", "c"]) == 2
        assert slow.get_many(["a", "c"]) == [None, None] == store.get_many(["a", "c"])


def test_5_closing_ends_every_thread(tmp_path):
    """There the sweep's timer kept the process alive."""
    before = threading.active_count()
    for name in LOCAL:
        opened(name, tmp_path).close()
    with d43.open(tmp_path / "tiered") as store:
        store["k"] = 1
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_5_what_a_backend_cannot_do_it_says(tmp_path):
    with opened("asyncstorage", tmp_path) as store, pytest.raises(UnsupportedError, match="expiry"):
        store.set("k", "v", ttl=1)
    with pytest.raises(BackendUnavailableError, match="127.0.0.1:1"):
        d43.open("redis://127.0.0.1:1/0", connect_timeout=1).get("k")

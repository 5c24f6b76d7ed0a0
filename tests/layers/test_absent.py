"""Plans that open although a layer is down: it is opened when it is there, and what is wrong is told all the same."""

import pickle
import threading
import time

import pytest
from failing_layer import wait_for

import door43fast as d43
from door43fast.layers import Guard
from door43fast.layers.absentee import Absentee
from door43fast.plugins import registry
from door43fast.plugins.roster import OWN
from door43fast.testing.redis_servers import RedisServer

WAIT = {"absent": "wait", "reset": "50ms", "deadline": "10s"}
LATER = {**WAIT, "reset": "1h"}


@pytest.fixture
def server(tmp_path):
    """A server that keeps what it has over a restart; it is down at first."""
    (tmp_path / "redis").mkdir()
    one = RedisServer(tmp_path / "redis", ["appendonly yes", "appendfsync always"])
    one.kill()
    yield one
    one.kill()


def redis(server, guard=WAIT, **options):
    return {"type": "redis", "url": server.url, "retries": 0, "guard": guard, **options}


def fill(server, items):
    server.start()
    with d43.open(server.url) as store:
        store.set_many(items)
    server.kill()


def back(store, place):
    """Wait until a layer is there and owes nothing."""
    layer = store._layers[place]
    wait_for(lambda: layer.ledger.clean)
    assert store.stats()["layers"][place]["state"] == "closed"


# -- one layer -----------------------------------------------------------------------------------------------


def test_until_it_is_there_every_call_says_who_and_since_when(server):
    with d43.open(redis(server, {**LATER, "reset": "1h"})) as store:
        assert isinstance(store, Guard) and store.capabilities == registry.get("redis").capabilities
        for call in (lambda: store["k"], lambda: store.set("k", 1), lambda: list(store.scan()), lambda: len(store),
                     lambda: store.get_many(["k"]), lambda: store.clear(), store.flush,
                     lambda: store.get_or_compute("k", lambda: 1)):
            with pytest.raises(d43.BackendUnavailableError, match=(
                    r"redis was not asked: it has failed since .* was not there when the plan was opened: .* cannot be "
                    r"reached .* is tried again in 3.6e\+03 seconds")):
                call()
        told = store.stats()
        assert told["state"] == "absent" and "cannot be reached" in told["error"] and told["rejected"] == 8
        server.start()
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
        store.breaker._until = 0
        store["k"] = 1
        assert store["k"] == 1 and store.stats()["state"] == "closed"


def test_memory_over_it(server):
    fill(server, {"k": "old"})
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, redis(server)]}
    with d43.open(plan) as store:
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
        with pytest.raises(d43.BackendUnavailableError):
            store.set("new", 1)
        assert len(store.fast) == 0 and store.stats()["layers"][1]["state"] == "absent"
        again = pickle.dumps(store)
        server.start()
        wait_for(lambda: answers(store, "k"))
        assert store["k"] == "old" and "new" not in store
        with d43.open(server.url) as other, pickle.loads(again) as third:
            wait_for(lambda: third["k"] == "old" and len(third.fast) == 1)
            other["k"] = "new"      # it tells the memory above what others write, as if it had been there at once
            wait_for(lambda: store["k"] == "new" == third["k"])


def answers(store, key):
    try:
        store.get(key)
    except d43.BackendUnavailableError:
        return False
    return True


def test_it_was_there_and_nothing_is_different(redis):
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {
        "type": "redis", "url": redis.url, "namespace": "there", "guard": {"absent": "wait"}}]}
    with d43.open(plan) as store:
        store["k"] = 1
        assert store["k"] == 1 and store.stats()["layers"][1]["state"] == "closed"
        assert store.slow.slow.arrived and store.slow.slow._watched() == (store.slow.slow.slow,)


def test_a_listener_who_came_first(server):
    heard = []
    with d43.open(redis(server)) as store:
        kept = store.subscribe("*", heard.append, values=True)
        gone = store.subscribe("*", lambda event: heard.append("gone"))
        gone.cancel()
        with store.subscribe("a*", heard.append):
            server.start()
            wait_for(lambda: answers(store, "k"))
            store["a"] = 1
            store.flush()
            assert sorted((event.key, event.value) for event in heard if event.value) == [("a", 1)]
            assert len(heard) == 2
        kept.cancel()
        store["a"] = 2
        store.flush()
        assert len(heard) == 2


def test_coroutines(server):
    import asyncio

    async def main():
        with pytest.raises(d43.BackendUnavailableError):
            await store.aio.get("k")
        server.start()
        while True:
            try:
                await store.aio.set("k", 1)
                return await store.aio.get("k")
            except d43.BackendUnavailableError:
                await asyncio.sleep(0.01)
    with d43.open(redis(server)) as store:
        assert asyncio.run(main()) == 1


def test_closed_before_it_was_there(server):
    store = d43.open(redis(server))
    store.close()
    store.close()
    server.start()
    assert store.closed
    with pytest.raises(d43.ClosedError):
        store.get("k")
    assert registry.live("redis") == []


def test_an_opening_that_takes_longer_than_the_deadline_goes_on():
    """Nobody waits for it; a later call finds it open, and one that is closed meanwhile is closed when it is there."""
    gate, made, entered = threading.Event(), [], threading.Event()

    def make():
        entered.set()
        assert gate.wait(20)
        made.append(d43.MemoryStore())
        return made[-1]
    for closing in (False, True):
        gate.clear(), entered.clear()
        one = Absentee(make, d43.MemoryStore().capabilities, name="far")
        with Guard(one, deadline=0.05, reset=0.01, name="far") as store:
            store.expect(one)
            assert entered.wait(20) and not one.arrived and store.late == 1
            time.sleep(0.02)
            with pytest.raises(d43.BackendUnavailableError, match="being opened"):
                store.get("k")
            if closing:
                store.close()
            gate.set()
            wait_for(lambda: made and not store.late)
            if closing:
                assert made[-1].closed
            else:
                wait_for(lambda: answers(store, "k"))
                assert one.arrived and len(made) == 1
                made.clear()


def test_what_can_do_less_than_was_said_stays_away():
    less = d43.MemoryStore()
    one = Absentee(lambda: less, less.capabilities._replace(persistent=True, shared=True), name="far")
    with Guard(one, reset=0) as store:
        store.expect(one)
        with pytest.raises(d43.BackendUnavailableError, match=r"cannot do what its plan says \(persistent, shared\)"):
            store.get("k")
        assert less.closed and store.stats()["state"] == "absent"


def test_what_is_wrong_later_is_told(tmp_path):
    """A damaged file behind a folder that was not there: no error of the plan any more, but nothing is hidden."""
    (tmp_path / "folder").write_text("in the way")
    path = str(tmp_path / "folder" / "s.db")
    with d43.open({"type": "sqlite", "path": path, "guard": {**WAIT, "reset": 0}}) as store:
        with pytest.raises(d43.BackendUnavailableError, match="File exists"):
            store.get("k")
        (tmp_path / "folder").unlink()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "s.db").write_bytes(b"no database" * 1000)
        with pytest.raises(d43.BackendUnavailableError, match="has not been there since .*FormatError"):
            store.get("k")
        (tmp_path / "folder" / "s.db").unlink()
        store["k"] = 1
        assert store["k"] == 1


@pytest.mark.parametrize("kind", ["sqlite", "filesystem"])
def test_a_folder_that_is_not_there_yet(tmp_path, kind):
    (tmp_path / "disk").write_text("in the way")
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {
        "type": kind, "path": str(tmp_path / "disk" / "s"), "guard": {**WAIT, "reset": 0}}]}
    with d43.open(plan) as store:
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
        (tmp_path / "disk").unlink()
        store["k"] = "v"
        assert store["k"] == "v"
        with d43.open({"type": kind, "path": str(tmp_path / "disk" / "s")}) as other:
            other["k"] = "other"
        assert store["k"] == "other"        # its epoch is asked since it is there


# -- what remains an error -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "words"), [
    ({"type": "redis", "url": "redis://127.0.0.1:1/x"}, "names the database 'x'"),
    ({"type": "redis", "url": "redis://"}, "names no server"), ({"type": "redis"}, "needs 'url'"),
    ({"type": "redis", "url": "redis://127.0.0.1:1/0", "retrys": 1}, "did you mean 'retries'"),
    ({"type": "redis", "url": "redis://127.0.0.1:1/0", "retries": -1}, "retries=-1"),
    ({"type": "rediz", "url": "redis://127.0.0.1:1/0"}, "did you mean 'redis'"),
    ({"type": "redis", "url": "redis://127.0.0.1:1/0", "memory": "1MB"}, "a memory tier, .* is a layer above it"),
    ({"type": "sqlite", "path": "/nowhere/s.db", "create": False}, "there is no store"),
    ({"type": "memory"}, "is not for 'memory'"), ({"type": "lmdb", "path": "/nowhere"}, "is not for 'lmdb'"),
    ({"strategy": "cascade", "layers": []}, "give it to those layers"),
], ids=repr)
def test_a_plan_that_is_wrong_is_refused_at_once(layer, words, tmp_path):
    plan = {"strategy": "parallel", "layers": [{**layer, "guard": {"absent": "wait"}},
                                               {"type": "lmdb", "path": str(tmp_path / "s")}]}
    with pytest.raises(d43.ConfigError, match=words):
        d43.open(plan)
    with d43.LmdbStore(tmp_path / "s", durability="none") as store:     # refused if it were still open as "commit"
        store["k"] = 1


@pytest.mark.parametrize(("guard", "words"), [
    ({"absent": "wate"}, r"plan\.guard\.absent='wate' .*did you mean 'wait'"),
    ({"absnt": "wait"}, "did you mean 'absent'"), ({"absent": "wait", "deadline": 0}, "deadline=0")])
def test_a_guard_that_is_wrong(guard, words):
    with pytest.raises(d43.ConfigError, match=words):
        d43.open({"type": "redis", "url": "redis://127.0.0.1:1/0", "guard": guard})


def test_a_password_that_is_refused_is_an_error_at_once(tmp_path):
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis", ["requirepass right"])
    try:
        with pytest.raises(d43.BackendUnavailableError, match="refused the user or the password"):
            d43.open(redis(server))
    finally:
        server.kill()


def test_a_plugin_that_is_missing_is_an_error_at_once():
    class Lacking:
        Options = registry.get("sqlite").Options
        open = capable = staticmethod(print)

        @staticmethod
        def unavailable():
            return "it lacks a library", "install it"
    registry.register("lacking", "lacking_module:Lacking")
    try:
        with pytest.raises(d43.BackendUnavailableError, match="lacking_module"):
            d43.open({"type": "lacking", "path": "x", "guard": {"absent": "wait"}})
        registry.register("lacking", Lacking, duplicate="replace")
        with pytest.raises(d43.BackendUnavailableError, match="it lacks a library"):
            d43.open({"type": "lacking", "path": "x", "guard": {"absent": "wait"}})
    finally:
        registry.unregister("lacking")


def test_where_all_must_be_there(server, tmp_path):
    with pytest.raises(d43.ConfigError, match=r"layers\[1\]: the members of a replicated store must be there"):
        d43.open({"strategy": "replicated", "layers": [{"type": "memory"}, redis(server)]})
    with pytest.raises(d43.ConfigError, match="warm= reads at the opening"):
        d43.open({"strategy": "cascade", "warm": True, "layers": [{"type": "memory"}, redis(server)]})
    with pytest.raises(d43.BackendUnavailableError):
        d43.open(redis(server, {"deadline": "5s"}))


def test_what_they_say_before_they_are_open_is_what_they_can_do(tmp_path, redis):
    places = {"sqlite": {"path": tmp_path / "s.db"}, "filesystem": {"path": tmp_path / "f"},
              "redis": {"url": redis.url}, "http": {"url": "http://127.0.0.1:1/"},
              "asyncstorage": {"path": tmp_path / "RKStorage", "form": "android"}}
    assert {registry.get(name) for name in OWN if hasattr(registry.get(name), "capable")} == {
        registry.get(name) for name in places}
    for name, place in places.items():
        plugin = registry.get(name)
        for more in ({}, {"readonly": True}, {"codec": "json"}):
            if next(iter(more), "codec") not in plugin.Options.__struct_fields__:
                continue
            with registry.open(name, {**place, **more}) as store:
                said = plugin.capable(plugin.Options(**{**place, **more}))
                assert said == store.capabilities, (name, more)
    cluster = registry.get("redis").Options(url="redis+cluster://127.0.0.1:1")
    assert not registry.get("redis").capable(cluster).ordered

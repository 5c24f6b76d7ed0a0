"""The registry: names and who holds them, live stores, the end of a plugin."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from door43fast.config import Options
from door43fast.errors import BackendUnavailableError, ConfigError
from door43fast.memory import MemoryStore
from door43fast.plugins import Registry
from door43fast.plugins.roster import registry as default


class Plain:
    """The least that is a plugin."""

    Options = Options

    @staticmethod
    def open(options):
        return MemoryStore()


class Other(Plain):
    pass


@pytest.fixture
def registry():
    made = Registry(discover=False)
    made.register("plain", Plain)
    return made


def test_registries_are_independent(registry):
    assert registry.names() == ["plain"] and "plain" not in default.names()
    assert {"memory", "lmdb"} <= set(default.names()) and Registry().get("memory") is default.get("memory")
    with pytest.raises(ConfigError, match="did you mean 'plain'"):
        registry.get("plian")


def test_a_name_that_is_taken(registry):
    with pytest.raises(ConfigError, match="Plain.*Other"):
        registry.register("plain", Other)
    registry.register("plain", Other, duplicate="keep")
    assert registry.get("plain") is Plain
    registry.register("plain", Other, duplicate="replace")
    assert registry.get("plain") is Other
    with pytest.raises(ConfigError, match="door43fast already"):
        Registry().register("memory", Other)
    with pytest.raises(ConfigError, match="replace"):
        registry.register("plain", Other, duplicate="repalce")


@pytest.mark.parametrize("name", ["", "a b", "A", "a:b", 7])
def test_a_name_is_a_scheme(registry, name):
    with pytest.raises(ConfigError, match="cannot name"):
        registry.register(name, Other)


def test_what_is_no_plugin_is_refused(registry):
    with pytest.raises(ConfigError, match="lacks Options and open"):
        registry.register("object", object())
    registry.register("late", f"{__name__}:ROOM")
    assert not registry.about("late").available
    with pytest.raises((ConfigError, BackendUnavailableError)):
        registry.get("late")


def test_a_plugin_says_itself_that_it_is_hindered(registry):
    class Hindered(Plain):
        @staticmethod
        def unavailable():
            return "its server is not running", "start it"
    registry.register("hindered", Hindered)
    about = registry.about("hindered")
    assert (about.available, about.reason, about.remedy) == (False, "its server is not running", "start it")
    with pytest.raises(BackendUnavailableError, match="not running; start it"):
        registry.open("hindered", {})


def test_live_stores(registry):
    first, second = registry.open("plain", {}), registry.open("plain", {})
    assert set(registry.live("plain")) == {first, second} and registry.about("plain").live == 2
    first.close()
    assert registry.live("plain") == [second]
    del second
    assert registry.live("plain") == []     # known only as long as somebody else does


def test_unregister_refuses_while_stores_are_open(registry):
    store = registry.open("plain", {})
    with pytest.raises(ConfigError, match="1 open"):
        registry.unregister("plain")
    registry.open("plain", {}).close()      # it is as it was
    store.close()
    registry.unregister("plain")
    with pytest.raises(ConfigError):
        registry.open("plain", {})
    with pytest.raises(ConfigError):
        registry.unregister("plain")


def test_unregister_drains(registry):
    store = registry.open("plain", {})
    with pytest.raises(BackendUnavailableError, match="still open"):
        registry.unregister("plain", stores="drain", timeout=0.02)
    assert registry.names() == ["plain"]
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(registry.unregister, "plain", stores="drain", timeout=60)
        while True:     # until the drain has begun, opening works
            try:
                registry.open("plain", {}).close()
            except BackendUnavailableError as error:
                assert "being unregistered" in str(error)
                break
        assert not ending.done()
        store.close()
        ending.result(60)
    assert registry.names() == []


def test_unregister_detaches(registry):
    store = registry.open("plain", {})
    registry.unregister("plain", stores="detach")
    store["k"] = 1
    assert registry.names() == [] and store["k"] == 1
    with pytest.raises(ConfigError, match="drain"):
        Registry().unregister("memory", stores="drian")


def test_many_threads_load_a_plugin_once_and_lose_no_store(registry):
    seen, stores, everyone = set(), [], threading.Barrier(8)

    def work(n):
        everyone.wait(30)
        for i in range(50):
            registry.register(f"p{n}x{i}", Other)
            seen.add(registry.get("plain"))
            stores.append(registry.open("plain", {}))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert seen == {Plain} and len(registry.live("plain")) == 400 and len(registry.names()) == 401


def test_a_second_package_of_the_same_name_is_told(monkeypatch):
    import importlib.metadata
    from importlib.metadata import EntryPoint

    both = [EntryPoint("twice", f"{__name__}:{kind}", "door43fast.plugins") for kind in ("Plain", "Other")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: both)
    made = Registry()
    with pytest.raises(ConfigError, match="claimed by"):
        made.get("twice")
    made.register("twice", Other, duplicate="replace")
    assert made.get("twice") is Other

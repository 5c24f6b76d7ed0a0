"""The modes of a memory tier by ``open``: a path, a URL, a plan of one store; and the bound of what stays above."""

import pickle

import pytest

import door43fast as d43
from door43fast.layers import Guard, ReadThrough
from door43fast.native.clock import ManualClock
from door43fast.plugins import registry
from door43fast.testing import Faulty


@pytest.fixture(params=["path", "url", "plan"])
def opened(request, tmp_path):
    """Opens one directory with options, in each of the three ways."""
    def opened(**options):
        if request.param == "path":
            return d43.open(tmp_path / "s", **options)
        if request.param == "url":
            return d43.open(f"lmdb:///{tmp_path / 's'}", memory="1MB", **options)
        return d43.open({"type": "lmdb", "path": str(tmp_path / "s"), "memory": "1MB", **options})
    return opened


def test_a_key_that_is_missing_is_remembered(opened):
    with opened(negative="20s") as store:
        assert [store.get("no") for _ in range(5)] == [None] * 5
        assert store.stats()["negative"] == 4
        again = pickle.dumps(store)
    with pickle.loads(again) as store:
        assert [store.get("no") for _ in range(3)] == [None] * 3 and store.stats()["negative"] == 2


@pytest.mark.parametrize(("options", "above"), [
    ({"write": "around"}, [0, 1, 1]), ({"write": "around", "promote": "second"}, [0, 0, 1]), ({}, [1, 1, 1]),
    ({"promote": "never"}, [1, 1, 1]), ({"write": "back"}, [1, 1, 1]),
])
def test_what_is_in_memory(opened, options, above):
    with opened(**options) as store:
        store["k"] = "v"
        held = []
        for _ in range(3):
            held.append(len(store.fast))
            assert store["k"] == "v"
        assert held == above


def test_nothing_that_is_read_goes_up(opened):
    with opened() as store:
        store["k"] = "v"
    with opened(promote="never") as store:
        assert store["k"] == store["k"] == "v" and len(store.fast) == 0


def test_past_its_time(tmp_path):
    clock = ManualClock()
    with d43.open(f"sqlite:///{tmp_path / 's.db'}", memory="1MB", fast_ttl="5s", clock=clock, stale="20s") as store:
        store["k"] = "v"
        assert store["k"] == "v" and store.find("k").left == pytest.approx(5, abs=0.1)
        clock.advance(5.1)
        assert store.find("k") == ("v", "stale", pytest.approx(-0.1, abs=0.1))


def test_past_its_time_where_the_store_fails(tmp_path):
    clock, made = ManualClock(), []

    class Failing:
        Options = registry.get("sqlite").Options

        @staticmethod
        def open(options):
            made.append(Faulty(registry.get("sqlite").open(options)))
            return made[-1]
    registry.register("failing", Failing)
    try:
        with d43.open(f"failing:///{tmp_path / 's.db'}", memory="1MB", fast_ttl="5s", stale_on_error=20,
                      clock=clock) as store:
            store["k"] = "v"
            assert store["k"] == "v"
            clock.advance(5.1)
            made[0].down("error")
            assert store.find("k").state == "stale" and store["k"] == "v"
            clock.advance(20)
            with pytest.raises(d43.BackendUnavailableError):
                store.get("k")
    finally:
        registry.unregister("failing")


def test_a_bound_alone(tmp_path):
    clock = ManualClock()
    with d43.open(f"sqlite:///{tmp_path / 's.db'}", memory="1MB", fast_ttl=5, clock=clock) as store:
        store["k"] = "v"
        assert store["k"] == "v" and "k" in store.fast and store.ttl("k") is None
        clock.advance(5.1)
        assert "k" not in store.fast and store["k"] == "v"


@pytest.mark.parametrize(("options", "words"), [
    ({"negativ": 1}, "has no option 'negativ': did you mean 'negative'"),
    ({"stale_on_eror": 1}, "did you mean 'stale_on_error'"), ({"promot": "never"}, "did you mean 'promote'"),
    ({"promote": "secnd"}, "promote='secnd' .*did you mean 'second'"), ({"write": "arround"}, "did you mean 'around'"),
    ({"negative": "soon"}, "negative='soon' is not a span"), ({"negative": 0}, "negative=0"),
    ({"stale": 5}, "stale= has no effect without fast_ttl="),
    ({"stale_on_error": 5}, "stale_on_error= has no effect without fast_ttl="), ({"fast_ttl": 0}, "fast_ttl=0"),
    ({"promote": "never", "negative": 1}, "exclude each other"),
    ({"promote": "never", "warm": True}, "warm has no effect with promote='never'"),
], ids=repr)
def test_what_is_wrong_is_refused(opened, tmp_path, options, words):
    with pytest.raises(d43.ConfigError, match=words):
        opened(**options)
    with d43.LmdbStore(tmp_path / "s", durability="none") as store:     # refused if it were still open as another
        store["k"] = 1


@pytest.mark.parametrize("options", [
    {"promote": "second"}, {"negative": 1}, {"stale": 1}, {"stale_on_error": 1}, {"fast_ttl": 1}, {"write": "around"},
    {"share": True}], ids=repr)
def test_without_a_memory_tier_they_have_no_effect_and_are_refused(tmp_path, options):
    name = next(iter(options))
    for store in (lambda: d43.open(f"sqlite:///{tmp_path / 's.db'}", **options),
                  lambda: d43.open(tmp_path / "s", memory=0, **options),
                  lambda: d43.open({"type": "sqlite", "path": str(tmp_path / "s.db"), **options})):
        with pytest.raises(d43.ConfigError, match=f"{name}= has no effect without a memory tier"):
            store()


def test_a_url_holds_them(tmp_path):
    with d43.open(f"sqlite:///{tmp_path / 's.db'}?memory=1MB&negative=20s&promote=second&fast_ttl=1m") as store:
        assert store.get("no") is None is store.get("no") is store.get("no")
        assert store.stats()["negative"] == 1


# -- the bound of layers that are not in memory --------------------------------------------------------------


def three(tmp_path, **options):
    return {"strategy": "cascade", "layers": [
        {"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "disk")},
        {"type": "sqlite", "path": str(tmp_path / "far.db")}], **options}


def test_the_bound_holds_for_every_layer_above_the_slowest(tmp_path):
    with d43.open(three(tmp_path, fast_ttl="40s")) as store:
        assert isinstance(store.slow, ReadThrough)
        store["k"] = "v"
        assert store["k"] == "v" and store.slow.fast.ttl("k") == pytest.approx(40, abs=1)
        assert store.fast.ttl("k") == pytest.approx(40, abs=1) and store.ttl("k") is None
        again = pickle.dumps(store)
    with pickle.loads(again) as store:      # and what the disk has left
        store.slow.fast.touch("k", 20)
        assert store.get_many(["k"]) == ["v"] and store.fast.ttl("k") == pytest.approx(20, abs=1)


def test_without_the_bound_nothing_is_bounded(tmp_path):
    with d43.open(three(tmp_path)) as store:
        store["k"] = "v"
        assert store["k"] == "v" and store.slow.fast.ttl("k") is None and store.fast.ttl("k") is None


def test_what_others_write_is_noticed_within_it(tmp_path):
    """LMDB cannot tell a layer in Python that others have written: the bound does."""
    clock = ManualClock()
    far = d43.LmdbStore(tmp_path / "far", clock=clock)
    with d43.cascade(d43.MemoryStore(clock=clock), d43.cascade(
            d43.LmdbStore(tmp_path / "disk", clock=clock), Guard(far), fast_ttl=5)) as store:
        far["k"] = "old"
        assert store["k"] == "old"
        far["k"] = "new"
        store.slow._evicted(())
        clock.advance(5.1)
        assert store["k"] == "new"


def test_where_it_has_no_effect_it_is_refused(tmp_path):
    plan = {"strategy": "cascade", "fast_ttl": 5,
            "layers": [{"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "s")}]}
    with pytest.raises(d43.ConfigError, match=r"plan\.fast_ttl has no effect where .* give these layers a ttl"):
        d43.open(plan)
    with d43.LmdbStore(tmp_path / "s") as slow:
        with pytest.raises(d43.ConfigError, match="open that with ttl="):
            d43.cascade(d43.MemoryStore(), slow, fast_ttl=5)
        with pytest.raises(d43.ConfigError, match="did you mean 'fast_ttl'"):
            d43.cascade(d43.MemoryStore(), slow, fast_tl=5)
    with pytest.raises(d43.ConfigError, match="did you mean 'fast_ttl'"):
        d43.open(three(tmp_path, fastttl=5))
    with pytest.raises(d43.ConfigError, match="fast_ttl=0 would keep nothing"):
        d43.open(three(tmp_path, fast_ttl=0))

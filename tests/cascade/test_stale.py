"""Values past their time in the fast layer, given where the slow one fails and told apart."""

import pytest
from layering import Pair

import door43fast as d43
from door43fast.layers import Wrapper
from door43fast.native.clock import ManualClock

KINDS = ["native", "reference"]
FAILURES = [d43.BackendUnavailableError("gone"), OSError("no route"), TimeoutError("late")]


@pytest.fixture
def pair():
    made = []

    def pair(kind="native", ttl=10, **options):
        made.append(Pair(kind, ttl=ttl, **options))
        return made[-1]

    yield pair
    for one in made:
        one.slow.error = None
        one.store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_value_past_its_time_is_given_where_the_slow_layer_fails(pair, kind, error):
    p = pair(kind, stale_on_error=60)
    p.store.set_many({"k": "v", "j": "w"})
    assert p.store["j"] == "w" and p.store.find("k").state == "fresh"
    p.clock.advance(11)
    p.slow.error = error
    assert p.store.get("k") == "v" and p.store["k"] == "v" and p.store.get_many(["k", "j"]) == ["v", "w"]
    found = p.store.find("k")
    assert found.value == "v" and found.state == "stale" and -1.1 < found.left < -0.9
    p.slow.error = None
    assert p.store.stats()["stale"] == 5
    assert p.store.find("k").state == "fresh" and p.fetches("j")     # it was kept as stale, not as fresh
    assert not p.fetches("k")


@pytest.mark.parametrize("kind", KINDS)
def test_not_for_longer_than_was_said(pair, kind):
    p = pair(kind, stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.slow.error = OSError("no route")
    p.clock.advance(10 + 59)
    assert p.store["k"] == "v"
    p.clock.advance(2)
    with pytest.raises(OSError, match="no route"):
        p.store.get("k")
    with pytest.raises(OSError, match="no route"):
        p.store.get_many(["k"])


@pytest.mark.parametrize("kind", KINDS)
def test_never_beyond_the_time_that_the_caller_gave_it(pair, kind):
    p = pair(kind, stale_on_error=60)
    p.store.set("k", "v", ttl=30)
    p.store.set("short", "v", ttl=5)
    assert p.store.get_many(["k", "short"]) == ["v", "v"] and p.store["k"] == p.store["short"] == "v"
    p.slow.error = OSError("no route")
    p.clock.advance(5.1)
    with pytest.raises(OSError, match="no route"):
        p.store.get("short")
    p.clock.advance(24.8)
    assert p.store["k"] == "v"
    p.clock.advance(0.2)
    for read in (p.store.get, p.store.find, lambda key: p.store.get_many([key])):
        with pytest.raises(OSError, match="no route"):
            read("k")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [
    lambda s: s.delete("k"), lambda s: s.pop("k"), lambda s: s.delete_many(["k"]), lambda s: s.clear(),
    lambda s: s.set("k", [1]), lambda s: s.touch("k", 1), lambda s: s.set("k", "v", ttl=0)])
def test_nothing_that_was_changed_comes_back(pair, kind, change):
    p = pair(kind, stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.clock.advance(11)
    change(p.store)
    p.slow.error = OSError("no route")
    for read in (p.store.get, lambda key: p.store.get_many([key])):
        with pytest.raises(OSError, match="no route"):
            read("k")


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_failed_leaves_nothing_to_give(pair, kind):
    p = pair(kind, stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.slow.error = OSError("no route")
    with pytest.raises(OSError, match="no route"):
        p.store["k"] = "new"        # it is not known what the layer has now
    p.clock.advance(11)
    with pytest.raises(OSError, match="no route"):
        p.store.get("k")


@pytest.mark.parametrize("kind", KINDS)
def test_what_went_below_unseen_goes_when_that_is_noticed(pair, kind):
    p = pair(kind, stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.clock.advance(11)
    p.bottom.delete("k")
    assert p.store.get("k") is None
    p.slow.error = OSError("no route")
    with pytest.raises(OSError, match="no route"):
        p.store.get("k")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [TypeError("no"), d43.ClosedError("closed"), KeyError("k")],
                         ids=lambda error: type(error).__name__)
def test_an_error_that_does_not_blame_the_layer_is_raised(pair, kind, error):
    p = pair(kind, stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.clock.advance(11)
    p.slow.error = error
    with pytest.raises(type(error)):
        p.store.get("k")
    p.slow.error = None


def test_a_batch_is_given_whole_or_not_at_all(pair):
    p = pair(stale_on_error=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.clock.advance(11)
    p.slow.error = OSError("no route")
    assert p.store.get_many(["k", "k"]) == ["v", "v"]
    with pytest.raises(OSError, match="no route"):
        p.store.get_many(["k", "never read"])


def test_what_others_changed_is_not_given(tmp_path):
    """The changes are told by the journal below, also for what is past its time."""
    clock = ManualClock()
    below = d43.LmdbStore(tmp_path / "s", durability="none", journal=True, clock=clock)

    class Broken(Wrapper):
        down = False

        def _pass(self, call):
            if self.down:
                raise OSError("no route")
            return call.on(self.slow)

        _ask_key = _ask_keys = _ask_all = _change = _care = _pass

    slow = Broken(below)
    other = d43.LmdbStore(tmp_path / "s", durability="none", clock=clock)
    with d43.cascade(d43.MemoryStore(ttl=10, clock=clock), slow, stale_on_error=60) as store, other:
        store.update(k="v", j="w")
        assert store["k"] == "v" and store["j"] == "w"
        clock.advance(11)
        other["k"] = "theirs"
        slow.down = True
        assert store["j"] == "w"
        with pytest.raises(OSError, match="no route"):
            store.get("k")


class Asked(Wrapper):
    """A store that must be asked whether others have written, and may fail to say."""

    error = None

    def _watched(self):
        return (self._Told(self),)

    class _Told:
        def __init__(self, store):
            self.store = store

        def _epoch(self):
            if self.store.error is not None:
                raise self.store.error
            return 0

    def _pass(self, call):
        if self.error is not None:
            raise self.error
        return call.on(self.slow)

    _ask_key = _ask_keys = _ask_all = _change = _care = _pass


def test_where_it_cannot_be_told_what_others_changed_all_is_stale():
    clock = ManualClock()
    slow = Asked(d43.MemoryStore(clock=clock))
    with d43.cascade(d43.MemoryStore(ttl=10, clock=clock), slow, stale_on_error=60) as store:
        store["k"] = "v"
        assert store.find("k").state == "fresh"
        slow.error = OSError("no route")
        assert store["k"] == "v" and store.get_many(["k"]) == ["v"] and store.find("k").state == "stale"
        with pytest.raises(OSError, match="no route"):
            store.get("other")
        slow.error = None
        assert store.find("k").state == "fresh" and store.stats()["stale"] == 3
        slow.error = OSError("no route")
        clock.advance(71)
        with pytest.raises(OSError, match="no route"):
            store.get("k")
        slow.error = None

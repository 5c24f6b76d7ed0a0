"""The tags that entries carry are told by whoever keeps them, so that copies carry them too."""

import pytest
from doubled import START, Silent, held, two

import door43fast as d43
from door43fast.errors import BackendUnavailableError
from door43fast.layers import Guard, ReadThrough, WriteBuffer
from door43fast.native.clock import ManualClock
from door43fast.tagged import tags_of


def test_a_buffer_tells_of_what_is_dirty_and_the_store_below_of_the_rest(tmp_path):
    clock = ManualClock()
    with WriteBuffer(d43.LmdbStore(tmp_path / "below", clock=clock), delay=60) as buffer:
        buffer.set("below", 1, tags=("x", "y"))
        buffer.set("old", 1, tags=("old",))
        buffer.flush()
        buffer.set("dirty", 2, tags=("z",), ttl=5)
        buffer.set("old", 2)
        buffer.set("gone", 2, tags=("z",))
        buffer.delete("gone")
        keys = ["below", "dirty", "old", "gone", "none"]
        assert len(buffer.dirty()) == 3
        assert tags_of(buffer, keys) == tags_of(Guard(buffer), keys) == [("x", "y"), ("z",), (), (), ()]
        clock.advance(6)
        assert tags_of(buffer, ["dirty"]) == [()]


def test_of_several_the_layer_tells_that_owes_nothing_of_the_key():
    store, layers, _ = two()
    with store:
        store.set("a", 1, tags=("x",))
        layers[0].down()
        store.set("a", 2, tags=("y",))
        assert tags_of(store, ["a"]) == [("y",)]
        layers[1].down()
        with pytest.raises(BackendUnavailableError):
            tags_of(store, ["a"])


def test_of_a_cascade_the_slow_layer_tells(tmp_path):
    with d43.cascade(d43.MemoryStore(), d43.LmdbStore(tmp_path / "slow")) as store:
        store.set("a", 1, tags=("x",))
        assert store["a"] == 1 and tags_of(store, ["a", "b"]) == [("x",), ()]
    with ReadThrough(d43.open(f"sqlite:////{tmp_path}/fast.db"), d43.LmdbStore(tmp_path / "slow")) as store:
        assert store["a"] == 1 and tags_of(store, ["a", "b"]) == [("x",), ()]


class Teller:
    """A store of somebody else: it takes tags, and does not tell them."""

    capabilities = d43.MemoryStore.capabilities.__get__(d43.MemoryStore())


def test_what_a_store_does_not_tell_is_not_taken_for_none():
    assert tags_of(Teller(), ["a", "b"]) == [None, None]


def test_a_layer_that_was_not_told_of_tags_is_copied_anew_after_an_invalidation():
    """It was filled from one that cannot say which tags an entry carries."""
    store, layers, _ = two(kind=Silent, max_owed=0)
    with store:
        store.set("tagged", 1, tags=("t",))
        layers[1].fail("error", "set")
        store["lapse"] = 1
        store.repair()
        assert held(layers[1])["tagged"] == 1
        store.invalidate("t")
        layers[0].down()
        with pytest.raises(BackendUnavailableError):
            store.get("tagged")
        layers[0].up()
        store.repair()
        assert "tagged" not in store and held(layers[0]) == held(layers[1]) == START | {"lapse": 1}


def test_a_copy_carries_the_tags():
    store, layers, _ = two(max_owed=0)
    with store:
        store.set("tagged", 1, tags=("t", "u"))
        store.set("other", 2, tags=("u",), ttl=60)
        layers[1].fail("error", "set")
        store["lapse"] = 1
        store.repair()
        assert held(layers[1])["tagged"] == 1
        store.invalidate("t")
        layers[0].down()        # it is not needed: the other one knew
        assert "tagged" not in store and store["other"] == 2
        store.invalidate("u")
        assert "other" not in store and store["lapse"] == 1


def silent_copies(**options):
    """Each layer holds a copy that was made without the tag, which none carries any more."""
    store, layers, _ = two(kind=Silent, **options)
    store.set("tagged", 1, tags=("t",))
    for turn in (1, 0):
        layers[turn].fail("error", "incr")
        assert store.incr("tagged") == 3 - turn
        store.repair()
    assert [layer.ledger.untold for layer in store._layers] == [True, True]
    return store, layers


def test_where_no_layer_knows_the_tags_an_invalidation_is_refused():
    """Or it would return, and what it is about would still be read."""
    store, layers = silent_copies()
    with store:
        with pytest.raises(BackendUnavailableError, match="invalidate.'t'. was not begun: each layer that holds every"):
            store.invalidate("t")
        assert store["tagged"] == 3 and set(tags_of(store, ["tagged", "a"])) == {None}
        store.clear()
        store.set("tagged", 4, tags=("t",))
        store.invalidate("t")
        assert "tagged" not in store


def test_that_copies_lack_their_tags_outlasts_the_process(tmp_path):
    def opened():
        layers = [Silent(d43.LmdbStore(tmp_path / name)) for name in ("one", "two")]
        return d43.parallel(*layers, owed=tmp_path / "owed", require="any", repair="manual"), layers
    store, layers = opened()
    store.set("tagged", 1, tags=("t",))
    layers[0].fail("error", "incr")
    store.incr("tagged")
    store.close()
    store, layers = opened()
    with store:
        assert [layer.ledger.untold for layer in store._layers] == [True, False]
        layers[1].fail("error", "invalidate")
        with pytest.raises(d43.PartialWriteError):      # nobody who knows has it
            store.invalidate("t")
        store.invalidate("t")
        assert "tagged" not in store
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0} and "tagged" not in layers[0].slow


def test_of_a_fallback_on_a_miss_the_layer_tells_that_has_it():
    primary, fallback = d43.MemoryStore(), d43.MemoryStore()
    fallback.set("f", 1, tags=("x",))
    fallback.set("both", 1, tags=("old",))
    primary.set("both", 2, tags=("y",))
    with d43.primary_fallback(primary, fallback, on_miss=True, mirror=False) as store:
        assert tags_of(store, ["f", "both", "none"]) == [("x",), ("y",), ()]
        assert store.incr("f") == 2 and primary["f"] == 2      # copied to the primary first, with the tag
        store.invalidate("x")
        assert "f" not in store

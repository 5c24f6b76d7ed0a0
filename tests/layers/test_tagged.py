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

"""A batch is one batch call a layer, for what is still missing, and goes up as one."""

import pytest

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.layers import Wrapper


class Counting(Wrapper):
    """A store in Python that notes what it is asked for."""

    def __init__(self, slow):
        super().__init__(slow)
        self.calls = []

    def _pass(self, call):
        self.calls.append((call.name, call.keys and list(call.keys)))
        return call.on(self._below())

    _ask_key = _ask_keys = _ask_all = _change = _care = _pass


class WithDeadlines(Counting):
    def _with_deadlines(self, keys):
        self.calls.append(("_with_deadlines", list(keys)))
        return [(self.slow[key], self.slow.ttl(key)) if key in self.slow else (MISSING, None) for key in keys]


def three(bottom):
    return d43.cascade(d43.MemoryStore(), d43.cascade(d43.MemoryStore(), bottom))


def test_each_layer_is_asked_once_for_what_is_missing():
    bottom = WithDeadlines(d43.MemoryStore())
    for key in "abcdef":
        bottom.slow[key] = key.upper()
    with three(bottom) as store:
        assert store.slow.get_many(["a", "b"]) == ["A", "B"]
        assert store.get_many(["a", "c"]) == ["A", "C"]
        bottom.calls.clear()
        assert store.get_many(["a", "b", "x", "c", "d", "a"], "-") == ["A", "B", "-", "C", "D", "A"]
        assert bottom.calls == [("_with_deadlines", ["x", "d"])]
        bottom.calls.clear()
        assert store.get_many(["d", "c", "b", "a"]) == ["D", "C", "B", "A"] and bottom.calls == []
        assert sorted(store.fast) == ["a", "b", "c", "d"]


def test_what_cannot_tell_its_deadlines_does_not_go_up_in_a_batch():
    bottom = Counting(d43.MemoryStore())
    bottom.slow["a"] = 1
    with three(bottom) as store:
        assert store.get_many(["a"]) == [1] and len(store.fast) == 0
        assert store.get("a") == 1 and "a" in store.fast


def test_whether_keys_are_there_is_asked_of_the_upper_layers_first():
    bottom = WithDeadlines(d43.MemoryStore())
    bottom.slow.update(a=1, b=2)
    with three(bottom) as store:
        store.get_many(["a"])
        bottom.calls.clear()
        assert store.contains_many(["a", "b", "c"]) == [True, True, False]
        assert bottom.calls == [("contains_many", ["b", "c"])]
        assert store.fast.stats()["hits"] == 0          # it is no read


def test_packed_values_come_from_memory_where_the_layer_below_is_in_python():
    bottom = WithDeadlines(d43.MemoryStore())
    bottom.slow.update(a=b"1", b=b"22", s="text")
    with three(bottom) as store:
        assert list(store.get_packed(["a", "no", "b"])) == [b"1", None, b"22"]
        bottom.calls.clear()
        assert list(store.get_packed(["b", "a"])) == [b"22", b"1"] and bottom.calls == []
        with pytest.raises(TypeError, match="'s'"):
            store.get_packed(["s"])


def test_a_store_that_packs_nothing_says_so_through_the_tiers():
    class Flat(WithDeadlines):
        capabilities = d43.MemoryStore().capabilities._replace(packed=False)

        def get_packed(self, keys, *, out=None):
            raise d43.UnsupportedError("Flat packs no batches")
    with three(Flat(d43.MemoryStore())) as store, pytest.raises(d43.UnsupportedError, match="Flat"):
        store.get_packed(["a"])


def test_the_keys_of_a_batch_may_be_of_any_kind(tmp_path):
    import numpy

    bottom = d43.LmdbStore(tmp_path / "s", keys="int", durability="none")
    with three(bottom) as store:
        store.set_many({i: i * 10 for i in range(10)})
        for _ in range(2):
            assert store.get_many(numpy.arange(4)) == [0, 10, 20, 30]
            assert store.contains_many([5, 50]) == [True, False] and store.get_many((3, 4)) == [30, 40]
        assert "4" not in store.fast and 4 in store.fast


@pytest.mark.parametrize("policy", ["none", "lru"])
def test_a_full_tier_takes_what_fits_and_refuses_nothing(policy):
    bottom = WithDeadlines(d43.MemoryStore())
    bottom.slow.update({f"k{i}": i for i in range(10)})
    with d43.cascade(d43.MemoryStore(max_entries=3, policy=policy), bottom) as store:
        assert store.get_many([f"k{i}" for i in range(10)]) == list(range(10)) and len(store.fast) == 3
        assert [store.get(f"k{i}") for i in range(10)] == list(range(10)) and len(store.fast) == 3
        store["new"] = 1
        assert store["new"] == 1 and store.delete("new") and store.get("new") is None and len(store.fast) <= 3

"""Keys of every kind side by side: those that the index marks as ASCII, and those that only look alike."""

import numpy as np
import pytest

import door43fast as d43


class Name(str):
    pass


KEYS = ["a", "abc", "é", "日本", "x" * 70, b"a", b"abc", 1, 10**30, 2.5, ("a",), None, frozenset("ab")]


@pytest.mark.parametrize("bound", [None, 5, 13])
def test_every_kind_of_key_is_found_by_its_equals(bound):
    store = d43.MemoryStore(max_entries=bound)
    for turn in range(40):
        for key in KEYS:
            store[key] = turn, key
            assert store[key] == (turn, key)
            store[f"{key}{turn}"] = 0       # evicts, so that entries change hands between kinds
    assert store.verify()["errors"] == []
    again = ["".join(list(key)) if type(key) is str else key for key in KEYS]
    for keys in (KEYS, again, tuple(again)):
        assert store.get_many(keys) == [store.get(key) for key in keys]
    for text in ("a", "abc"):
        assert store.get_many(np.array([text])) == [store.get(text)]
        assert store.get_many(np.array([text.encode()])) == [store.get(text.encode())]


def test_a_subclass_of_str_is_one_key_with_its_equal():
    store = d43.MemoryStore()
    store[Name("abc")] = 1
    store["abc"] = 2
    store[Name("abc")] = 3
    assert len(store) == 1 and store.get("abc") == store.get(Name("abc")) == 3
    store["xyz"] = 1
    store[Name("xyz")] = 2
    assert len(store) == 2 and store.get_many(["xyz", Name("xyz"), "abc"]) == [2, 2, 3]
    assert store.delete("abc") and store.delete(Name("xyz")) and len(store) == 0

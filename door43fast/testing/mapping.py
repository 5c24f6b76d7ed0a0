"""Conformance: a store as a mapping, and its methods for single keys."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import pytest

from door43fast.contracts import Store
from door43fast.testing.basis import Basis, needs

VALUES = [
    None, True, False, 0, -1, 2**62, -(2**62), 1.5, -0.0, math.inf, "", "text", "наро́д \x00 \U0001f4d6",
    b"", b"\x00\xff" * 9,
    [], [1, "a", None, [2.5]], {}, {"a": {"b": [1, 2]}, "c": None}, datetime(2026, 7, 1, 12, 30, tzinfo=UTC),
]
KEYS = ["a", "A", "\x00", "a\x00b", "\uffff", "\U0001f4d6", "ключ", "k" * 300, " ", "a/b@1:2#x", "_",
        "k" * 600, "k" * 599 + "l", "é" * 2000]


@needs("writes")
class MappingTests(Basis):
    @needs("listing")
    def test_is_a_mutable_mapping(self, store: Any) -> None:
        assert isinstance(store, MutableMapping) and isinstance(store, Store)
        assert len(store) == 0 and list(store) == [] and "a" not in store
        store["a"] = 1
        store["b"] = 2
        assert len(store) == 2 and sorted(store) == ["a", "b"] and "a" in store
        assert dict(store) == {"a": 1, "b": 2}
        assert sorted(store.items()) == [("a", 1), ("b", 2)] and sorted(store.values()) == [1, 2]
        del store["a"]
        assert dict(store.items()) == {"b": 2}

    @pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
    def test_a_value_comes_back_as_it_was_set(self, store: Any, value: Any) -> None:
        store["k"] = value
        got = store["k"]
        assert got == value and type(got) is type(value)
        if isinstance(value, float):
            assert math.copysign(1, got) == math.copysign(1, value)

    def test_an_array_comes_back_as_it_was_set(self, store: Any) -> None:
        import numpy
        for array in (numpy.arange(12, dtype="<i4").reshape(3, 4), numpy.zeros((0, 2)), numpy.float64([1.5])):
            store["k"] = array
            got = store["k"]
            assert got.dtype == array.dtype and got.shape == array.shape and (got == array).all()

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    def test_any_text_is_a_key(self, store: Any, key: str) -> None:
        assert store.get(key) is None
        store[key] = "v"
        assert store[key] == "v" and key in store and store.get_many([key]) == ["v"]
        assert store.delete(key) and key not in store

    @needs("listing")
    def test_any_text_is_listed(self, store: Any) -> None:
        for key in KEYS:
            store[key] = "v"
            assert list(store) == [key] == list(store.keys())
            assert store.delete(key) and len(store) == 0

    @pytest.mark.parametrize("key", ["", "\ud800", "a\udfffb"], ids=ascii)
    def test_what_is_no_text_is_refused(self, store: Any, key: str) -> None:
        for call in (lambda: store.set(key, 1), lambda: store.get(key), lambda: store.delete(key),
                     lambda: key in store, lambda: store.set_many({"a": 1, key: 2}), lambda: store.incr(key),
                     lambda: store.get_many(["a", key])):
            with pytest.raises(ValueError, match="."):
                call()
        assert "a" not in store

    def test_an_unhashable_key_is_refused_with_a_sentence(self, store: Any) -> None:
        for call in (lambda: store.set([1], 1), lambda: store.get([1]), lambda: store.delete([1])):
            with pytest.raises(TypeError, match="key"):
                call()

    def test_a_missing_key_is_told_from_a_stored_none(self, store: Any) -> None:
        missing = object()
        store["none"] = None
        assert store["none"] is None and store.get("none", missing) is None
        assert store.get("other", missing) is missing and store.get("other") is None
        with pytest.raises(KeyError) as error:
            store["other"]
        assert error.value.args == ("other",)
        with pytest.raises(KeyError):
            del store["other"]

    def test_set_overwrites(self, store: Any) -> None:
        for value in (1, "two", b"3" * 5000, [4]):
            store.set("k", value)
            assert store["k"] == value

    @needs("listing")
    def test_its_length_is_the_number_of_keys(self, store: Any) -> None:
        for value in range(3):
            store["k"] = value
            store[f"k{value}"] = value
        store.delete("k0")
        assert len(store) == 3 == store.count() and store.count("k1") == 1

    def test_delete_says_if_it_was_there(self, store: Any) -> None:
        assert store.delete("a") is False
        store["a"] = 1
        assert store.delete("a") is True and store.delete("a") is False

    def test_pop(self, store: Any) -> None:
        store["a"] = None
        assert store.pop("a") is None and "a" not in store
        assert store.pop("a", 5) == 5 and store.pop("a", None) is None
        with pytest.raises(KeyError):
            store.pop("a")

    @needs("listing")
    def test_popitem(self, store: Any) -> None:
        store.set_many({"a": 1, "b": 2})
        assert {store.popitem(), store.popitem()} == {("a", 1), ("b", 2)}
        with pytest.raises(KeyError, match="empty"):
            store.popitem()

    def test_setdefault(self, store: Any) -> None:
        assert store.setdefault("a", 1) == 1 and store.setdefault("a", 2) == 1
        assert store.setdefault("n") is None and store.setdefault("n", 3) is None

    def test_update(self, store: Any) -> None:
        store.update({"a": 1}, b=2)
        store.update([("c", 3)])
        store.update(a=9)
        assert store.get_many(["a", "b", "c"]) == [9, 2, 3]

    def test_add(self, store: Any) -> None:
        assert store.add("a", 1) is True and store.add("a", 2) is False
        assert store["a"] == 1
        store["n"] = None
        assert store.add("n", 2) is False

    def test_replace(self, store: Any) -> None:
        assert store.replace("a", None, 1) is False and "a" not in store
        store["a"] = {"x": [1]}
        assert store.replace("a", {"x": [2]}, 2) is False
        assert store.replace("a", {"x": [1]}, 2) is True and store["a"] == 2

    def test_incr(self, store: Any) -> None:
        assert store.incr("n") == 1 and store.incr("n", 41) == 42 and store.incr("n", -50) == -8
        assert store["n"] == -8
        assert store.incr("zero", 0) == 0 and store["zero"] == 0

    @pytest.mark.parametrize("value", ["1", 1.0, True, None, b"1"], ids=repr)
    def test_incr_refuses_what_is_no_whole_number(self, store: Any, value: Any) -> None:
        store["n"] = value
        with pytest.raises(TypeError, match="'n'"):
            store.incr("n")
        assert store["n"] == value
        with pytest.raises(TypeError):
            store.incr("m", value)
        assert "m" not in store

    @needs("listing")
    def test_iteration_survives_changes(self, store: Any) -> None:
        store.set_many({f"k{i:03}": i for i in range(300)})
        seen = []
        for i, key in enumerate(store):
            seen.append(key)
            store.delete(f"k{i:03}")
            store[f"new{i}"] = i
            if i == 299:
                break
        assert len(set(seen)) == len(seen)

    def test_compares_by_identity(self, store: Any) -> None:
        with self.make_store() as other:
            assert store == store and store != other and len({store, other, store}) == 2

    @needs("tags")
    def test_a_tag_of_the_wrong_type_is_refused(self, store: Any) -> None:
        for tags in ("abc", (1,)):
            with pytest.raises(TypeError):
                store.set("a", 1, tags=tags)
        assert "a" not in store

    @needs("ttl")
    def test_a_span_of_the_wrong_type_is_refused(self, store: Any) -> None:
        for ttl in ("1", True):
            with pytest.raises(TypeError):
                store.set("a", 1, ttl=ttl)
        for ttl in (-1, -0.001, math.nan, math.inf):
            with pytest.raises(ValueError, match="ttl"):
                store.set("a", 1, ttl=ttl)
        assert "a" not in store

    def test_stats_count(self, store: Any) -> None:
        before = store.stats()
        for name in ("entries", "hits", "misses", "sets", "deletes", "evictions", "expirations", "bytes"):
            assert name in before
        store["a"] = 1
        store.get("a")
        store.get("b")
        "a" in store  # noqa: B015 - it must not count
        store.delete("a")
        after = store.stats()
        assert after["hits"] - before["hits"] == 1 and after["sets"] - before["sets"] == 1
        assert after["misses"] > before["misses"] and after["deletes"] - before["deletes"] == 1
        assert after["entries"] == (0 if self.capabilities.listing else None)

    @needs("listing")
    def test_verify_finds_it_sound(self, store: Any) -> None:
        store.set_many({f"k{i}": i for i in range(50)})
        assert store.verify() == {"checked": 50, "errors": []} or (
            store.verify()["checked"] >= 50 and store.verify()["errors"] == [])

    @needs("listing")
    def test_verify_tells_how_far_it_is(self, store: Any) -> None:
        store.set_many({f"k{i}": i for i in range(50)})
        told: list[Any] = []
        store.verify(progress=lambda *one: told.append(one))
        assert told[-1][0] == told[-1][1] >= 50 and all(done <= total for done, total, _ in told)
        assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)

"""Conformance: batches, packed or not."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast.testing.basis import Basis, needs


@needs("writes")
class BatchTests(Basis):
    def test_get_many_is_get_for_each_in_order(self, store: Any) -> None:
        store.set_many({"a": 1, "n": None})
        missing = object()
        assert store.get_many(["n", "x", "a", "a"], missing) == [None, missing, 1, 1]
        assert store.get_many(iter(["x", "a"])) == [None, 1] and store.get_many([]) == []
        assert store.get_many(("a",)) == [1]

    def test_set_many_takes_mappings_and_pairs_and_the_last_wins(self, store: Any) -> None:
        store.set_many({"a": 1})
        store.set_many([("b", 2), ("c", 3), ("b", 4)])
        store.set_many((k, 0) for k in ("d", "e"))
        store.set_many({})
        assert store.get_many(["a", "b", "c", "d", "e"]) == [1, 4, 3, 0, 0]

    @pytest.mark.parametrize("bad", [[("a", 1), "x"], [("a", 1), ("b",)], [("a", 1), ("b", 2, 3)], [("a", 1), 7],
                                     [("a", 1), ("", 2)], [("a", 1), ("\ud800", 2)], [("a", 1), ([], 2)]], ids=repr)
    def test_set_many_writes_nothing_if_something_is_wrong(self, store: Any, bad: Any) -> None:
        with pytest.raises((TypeError, ValueError)):
            store.set_many(bad)
        assert "a" not in store

    @needs("ttl")
    def test_set_many_writes_nothing_if_its_span_is_wrong(self, store: Any) -> None:
        with pytest.raises(ValueError):
            store.set_many({"a": 1}, ttl=-1)
        assert "a" not in store

    def test_set_many_writes_nothing_if_its_input_fails(self, store: Any) -> None:
        def items() -> Any:
            yield "a", 1
            raise LookupError("gone")
        with pytest.raises(LookupError):
            store.set_many(items())
        assert "a" not in store

    def test_delete_many_counts_what_was_there(self, store: Any) -> None:
        store.set_many({"a": 1, "b": 2, "c": 3})
        assert store.delete_many(["a", "x", "b", "a"]) == 2
        assert store.contains_many(["a", "b", "c"]) == [False, False, True] and store.delete_many([]) == 0

    def test_contains_many(self, store: Any) -> None:
        store.set_many({"a": None, "b": 2})
        got = store.contains_many(["a", "x", "b", "b"])
        assert got == [True, False, True, True] and all(type(one) is bool for one in got)

    def test_many_keys(self, store: Any) -> None:
        items = {f"key/{i * 7919 % 5000:05}": i for i in range(5000)}
        store.set_many(items)
        keys = list(items)[::-1] + ["nothing"]
        assert store.get_many(keys) == [*list(items.values())[::-1], None]
        assert store.delete_many(keys[:2500]) == 2500
        assert store.contains_many(keys) == [False] * 2500 + [True] * 2500 + [False]

    @needs("listing")
    def test_many_keys_are_listed(self, store: Any) -> None:
        store.set_many({f"key/{i}": i for i in range(5000)})
        store.delete_many([f"key/{i}" for i in range(1000)])
        assert len(store) == 4000 and set(store) == {f"key/{i}" for i in range(1000, 5000)}

    @needs("packed")
    def test_packed(self, store: Any) -> None:
        store.set_many({"a": b"one", "b": b"", "c": b"\x00\xff"})
        packed = store.get_packed(["c", "x", "a", "b", "a"])
        assert list(packed.found) == [True, False, True, True, True]
        assert packed.offsets.dtype == "int64" and packed.data.dtype == "uint8" and len(packed.offsets) == 6
        assert [packed[i] for i in (0, 2, 3, 4)] == [b"\x00\xff", b"one", b"", b"one"]
        assert len(store.get_packed([])) == 0

    @needs("packed")
    def test_packed_into_a_callers_array(self, store: Any) -> None:
        import numpy
        store.set_many({"a": b"aaaa", "b": b"bbbb"})
        out = numpy.zeros((3, 4), numpy.uint8)
        packed = store.get_packed(["b", "x", "a"], out=out)
        assert out[0].tobytes() == b"bbbb" and out[2].tobytes() == b"aaaa"
        assert list(packed.found) == [True, False, True]
        store["b"] = b"longer"
        with pytest.raises(ValueError, match="."):
            store.get_packed(["b"], out=out[:1])

    @needs("packed")
    def test_packed_refuses_what_is_not_bytes(self, store: Any) -> None:
        store["list"] = [1]
        with pytest.raises(TypeError, match="list"):
            store.get_packed(["list"])

    @needs("packed")
    def test_set_packed(self, store: Any) -> None:
        import numpy
        store.set_packed(["a", "b", "c"], b"onetwo", numpy.array([0, 3, 3, 6]))
        assert store.get_many(["a", "b", "c"]) == [b"one", b"", b"two"]
        for keys, offsets in ((["x"], [0, 3, 6]), (["x", "y"], [0, 9, 9]), (["x", "y"], [3, 0, 6])):
            with pytest.raises(ValueError):
                store.set_packed(keys, b"onetwo", numpy.array(offsets))
        assert store.contains_many(["a", "b", "c", "x", "y"]) == [True, True, True, False, False]

    @needs("packed", "ordered")
    def test_scan_packed(self, store: Any) -> None:
        store.set_many({f"k{i}": b"v%d" % i for i in range(9)} | {"z": b"no"})
        chunks = list(store.scan_packed("k", 4))
        assert max(len(keys) for keys, _ in chunks) <= 4
        assert [bytes(k).decode() for keys, _ in chunks for k in keys] == [f"k{i}" for i in range(9)]
        assert [bytes(v) for _, values in chunks for v in values] == [b"v%d" % i for i in range(9)]

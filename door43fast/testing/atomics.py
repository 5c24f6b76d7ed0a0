"""Conformance: transactions."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast.errors import ClosedError, ConflictError, UnsupportedError
from door43fast.testing.basis import Basis, needs


@needs("writes", "transactions")
class TransactionTests(Basis):
    @pytest.fixture
    def s(self, store: Any) -> Any:
        store.set_many({"a": 1, "b": 2, "n": 10})
        return store

    def test_all_is_written_at_the_end(self, s: Any) -> None:
        with s.transaction() as t:
            t["x"] = 1
            t.set("y", None)
            del t["a"]
            t.set_many({"z": 3, "b": 4})
            assert t.incr("n", 5) == 15
            assert s.get_many(["x", "a", "b", "n"]) == [None, 1, 2, 10] and "y" not in s
        assert s.get_many(["x", "y", "z", "b", "n"]) == [1, None, 3, 4, 15] and "y" in s and "a" not in s

    @needs("tags")
    def test_its_tags_are_those_of_set(self, s: Any) -> None:
        with s.transaction() as t:
            t.set("x", 1)
            t.set("y", None, tags=("tag",))
        assert s.contains_many(["x", "y"]) == [True, True]
        s.invalidate("tag")
        assert s.contains_many(["x", "y"]) == [True, False]

    def test_it_reads_its_own_writes(self, s: Any) -> None:
        with s.transaction() as t:
            assert t["a"] == 1 and t.get("x", 7) == 7 and "b" in t
            t["x"] = 9
            assert t.delete("a") is True and t.delete("a") is False
            assert t["x"] == 9 and "a" not in t and t.get("a") is None
            with pytest.raises(KeyError):
                t["a"]
            with pytest.raises(KeyError):
                del t["a"]
            assert t.add("x", 1) is False and t.add("a", 2) is True and t.replace("a", 2, 3) is True
            assert t.replace("a", 2, 4) is False and t.setdefault("a", 5) == 3 and t.setdefault("w", 6) == 6
            assert t.get_many(["a", "x", "?"]) == [3, 9, None] and t.contains_many(["a", "?"]) == [True, False]
            assert t.pop("b") == 2 and t.pop("b", None) is None and t.delete_many(["n", "n", "q"]) == 1
        assert s.get_many(["a", "x", "w", "b", "n"]) == [3, 9, 6, None, None]

    @needs("ordered")
    def test_scans_see_its_own_writes(self, s: Any) -> None:
        with s.transaction() as t:
            assert len(t) == 3
            t["aa"] = 5
            t["b"] = 6
            del t["n"]
            assert list(t.scan()) == [("a", 1), ("aa", 5), ("b", 6)] == list(t.items())
            assert list(t.scan("a")) == [("a", 1), ("aa", 5)] and list(t.keys()) == ["a", "aa", "b"] == list(t)
            assert list(t.scan(start="aa", reverse=True)) == [("b", 6), ("aa", 5)]
            assert list(t.scan(stop="b", limit=1)) == [("a", 1)] and t.count("a") == 2 and list(t.values()) == [1, 5, 6]

    def test_nothing_is_written_after_an_exception(self, s: Any) -> None:
        with pytest.raises(LookupError), s.transaction() as t:
            t["a"] = 100
            t["x"] = 1
            raise LookupError
        assert s.get_many(["a", "b", "n", "x"]) == [1, 2, 10, None]

    @pytest.mark.parametrize("change", ["set", "delete", "incr"])
    def test_a_conflict_writes_nothing(self, s: Any, change: str) -> None:
        with pytest.raises(ConflictError, match="run it again"), s.transaction() as t:
            assert t["n"] == 10
            t["x"] = 1
            {"set": lambda: s.set("n", 11), "delete": lambda: s.delete("n"),
             "incr": lambda: s.incr("n")}[change]()
        assert "x" not in s and s.get("n") != 12

    def test_a_missing_key_conflicts_when_it_appears(self, s: Any) -> None:
        with pytest.raises(ConflictError), s.transaction() as t:
            assert "new" not in t
            t["x"] = 1
            s["new"] = 1
        assert "x" not in s

    @needs("ordered")
    def test_a_range_conflicts_when_it_changes(self, s: Any) -> None:
        for change in (lambda: s.set("ab", 1), lambda: s.set("a", 3), lambda: s.delete("a")):
            with pytest.raises(ConflictError), s.transaction() as t:
                list(t.scan("a"))
                t["x"] = 1
                change()
            assert "x" not in s
        with s.transaction() as t:
            list(t.scan("a"))
            s["b"] = 100
            t["x"] = 1
        assert s["x"] == 1 and s["b"] == 100

    def test_writes_alone_do_not_conflict(self, s: Any) -> None:
        with s.transaction() as t:
            t["a"] = 5
            s["a"] = 4
        assert s["a"] == 5

    def test_two_are_independent(self, s: Any) -> None:
        with pytest.raises(ConflictError), s.transaction() as outer:
            outer.incr("n")
            with s.transaction() as inner:
                assert inner.incr("n") == 11
        assert s["n"] == 11

    def test_it_cannot_be_used_outside_its_block(self, s: Any) -> None:
        t = s.transaction()
        for call in (lambda: t.get("a"), lambda: t.set("a", 1), lambda: t.scan()):
            with pytest.raises(ClosedError, match="transaction"):
                call()
        with t:
            with pytest.raises(ClosedError):
                t.__enter__()
            with pytest.raises(UnsupportedError, match="store"):
                t.touch("a", 1)
        for call in (lambda: t.get("a"), lambda: t.set("a", 1), lambda: t.delete("a"), lambda: t.__enter__()):
            with pytest.raises(ClosedError):
                call()

    def test_options_are_checked_at_the_call(self, s: Any) -> None:
        with s.transaction() as t:
            for options, error in (({"ttl": -1}, ValueError), ({"tags": "abc"}, TypeError), ({"ttl": "1"}, TypeError)):
                with pytest.raises(error):
                    t.set("a", 5, **options)
            for by in (True, 1.0):
                with pytest.raises(TypeError):
                    t.incr("n", by)
        assert s["a"] == 1 and s["n"] == 10

    @needs("ttl")
    def test_what_ends_at_once_in_a_transaction(self, s: Any) -> None:
        with s.transaction() as t:
            t.set("a", 1, ttl=0)
            t.set("gone", 1, ttl=0)
            assert "gone" not in t and "a" not in t
        assert s.contains_many(["a", "gone"]) == [False, False]

    @needs("ttl")
    def test_ttl_in_a_transaction(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        s.set("n", 1, ttl=2.025)
        clock.advance(1.0)
        with s.transaction() as t:
            t.set("a", 1, ttl=1.025)
            t.incr("n")
        clock.advance(1.0)
        assert s["a"] == 1 and s["n"] == 2
        clock.advance(0.05)
        assert s.contains_many(["a", "n"]) == [False, False]

    @needs("ttl")
    def test_expiry_conflicts(self, timed_store: Any, clock: Any) -> None:
        timed_store.set("a", 1, ttl=1.025)
        with pytest.raises(ConflictError), timed_store.transaction() as t:
            assert t["a"] == 1
            clock.advance(1.05)
            t["b"] = 1
        assert "b" not in timed_store

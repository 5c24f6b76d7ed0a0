"""Conformance: time to live, by a clock that is stepped, and tags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from door43fast.tagged import tags_of
from door43fast.testing.basis import Basis, needs

# Deadlines are rounded up to some milliseconds: so they lie between the steps of the clock.
TTL = 1.025


@needs("writes", "ttl")
class ExpiryTests(Basis):
    def test_a_key_expires_when_its_time_has_passed_and_not_before(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        s.set("a", 1, ttl=TTL)
        s.set("d", 1, ttl=timedelta(seconds=TTL))
        s.set("for ever", 1)
        clock.advance(1.0)
        assert s["a"] == s["d"] == 1 and 0 < s.ttl("a") < 0.05 and s.ttl("for ever") is None
        clock.advance(0.05)
        for key in ("a", "d"):
            assert key not in s and s.get(key) is None and s.get_many([key]) == [None]
            assert s.contains_many([key]) == [False]
            with pytest.raises(KeyError):
                s.ttl(key)
            with pytest.raises(KeyError):
                s[key]
            assert s.touch(key, 5) is False
        assert s.delete("a") is False and s["for ever"] == 1

    @needs("listing")
    def test_what_has_expired_is_not_listed(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        s.set_many({"a": 1, "d": 1}, ttl=TTL)
        s.set("for ever", 1)
        s.set("at once", 1, ttl=0)
        assert len(s) == 3
        clock.advance(1.05)
        assert list(s) == ["for ever"] == list(s.keys()) and list(s.items()) == [("for ever", 1)] and s.count() == 1

    def test_what_has_expired_can_be_set_again(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        for write in (lambda: s.add("a", 2), lambda: s.set("a", 2), lambda: s.set_many({"a": 2}),
                      lambda: s.incr("a", 2), lambda: s.setdefault("a", 2)):
            s.set("a", 1, ttl=TTL)
            clock.advance(1.05)
            write()
            clock.advance(100)
            assert s["a"] == 2 and s.ttl("a") is None
        s.set("a", 1, ttl=TTL)
        clock.advance(1.05)
        assert s.replace("a", 1, 2) is False and s.pop("a", "no") == "no"

    def test_a_span_is_told_and_changed(self, store: Any) -> None:
        """Without a clock of the test: also for stores whose clock is another's."""
        s = store
        s.set("a", 1, ttl=50)
        s.set("for ever", 1)
        assert 49 < s.ttl("a") <= 50.01 and s.ttl("for ever") is None
        assert s.touch("for ever", timedelta(seconds=90)) is True and 89 < s.ttl("for ever") <= 90.01
        assert s.touch("a", None) is True and s.ttl("a") is None
        s.set_many({"b": 1, "c": 2}, ttl=70)
        assert s.add("d", 1, ttl=70) is True and s.add("b", 2, ttl=5) is False
        assert all(69 < s.ttl(key) <= 70.01 for key in "bcd")
        with pytest.raises(KeyError):
            s.ttl("missing")

    def test_zero_is_expired_at_once(self, store: Any) -> None:
        s = store
        s.set("a", 1, ttl=0)
        assert "a" not in s and s.get_many(["a"]) == [None]
        s["a"] = 1
        s.set("a", 2, ttl=0)
        assert s.get("a") is None and "a" not in s
        s["a"] = 1
        assert s.touch("a", 0) is True and "a" not in s
        s.set_many({"a": 1, "b": 2}, ttl=0.0)
        assert s.contains_many(["a", "b"]) == [False, False]

    def test_touch(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        assert s.touch("a", 1) is False
        s.set("a", 1, ttl=TTL)
        clock.advance(1.0)
        assert s.touch("a", 2.025) is True
        clock.advance(2.0)
        assert s["a"] == 1
        assert s.touch("a", None) is True and s.ttl("a") is None
        clock.advance(1e6)
        assert s["a"] == 1
        for ttl in (-1, float("nan")):
            with pytest.raises(ValueError):
                s.touch("a", ttl)

    def test_overwriting_drops_the_old_deadline(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        for write in (lambda: s.set("a", 1), lambda: s.set_many([("a", 1)]), lambda: s.replace("a", 1, 1)):
            s.set("a", 1, ttl=TTL)
            write()
            assert s.ttl("a") is None
            clock.advance(2)
            assert s["a"] == 1

    def test_incr_keeps_the_deadline(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        s.set("n", 1, ttl=TTL)
        clock.advance(1.0)
        assert s.incr("n") == 2 and s.ttl("n") < 0.05
        clock.advance(0.05)
        assert "n" not in s and s.incr("n") == 1

    def test_the_stores_own_ttl(self, clock: Any) -> None:
        with self.make_store(clock=clock, ttl=TTL) as s:
            s["a"] = 1
            s.add("b", 1)
            s.set_many({"c": 1})
            s.incr("d")
            s.set("own", 1, ttl=5.025)
            clock.advance(1.0)
            assert s.contains_many(["a", "b", "c", "d", "own"]) == [True] * 5
            clock.advance(0.05)
            assert s.contains_many(["a", "b", "c", "d", "own"]) == [False] * 4 + [True]

    @needs("listing")
    def test_expire_reaps_and_counts(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        s.set_many({f"k{i}": i for i in range(20)}, ttl=TTL)
        s.set("later", 1, ttl=9.025)
        assert s.expire() == 0
        clock.advance(1.05)
        assert s.count() == 1 and len(s) >= 1
        assert s.expire() == 20 and len(s) == 1 and s.expire() == 0
        assert s.stats()["expirations"] >= 20

    @needs("listing")
    def test_many_deadlines(self, timed_store: Any, clock: Any) -> None:
        s = timed_store
        spans = [0.025 + 0.05 * (i * i % 977) for i in range(300)] + [1000.025, 86400.025, 3e7 + 0.025]
        for i, span in enumerate(spans):
            s.set(f"k{i}", span, ttl=span)
        now = 0.0
        for step in (0.05, 1, 5.05, 20, 30, 950, 90000, 4e7):
            clock.advance(step)
            now += step
            assert sorted(s.values()) == sorted(span for span in spans if span > now)
            s.expire()
            assert len(s) == sum(span > now for span in spans)


@needs("writes", "tags")
class TagTests(Basis):
    def test_invalidate_makes_what_carries_the_tag_missing(self, store: Any) -> None:
        store.set("a", 1, tags=("x",))
        store.set("b", 1, tags=["x", "y"])
        store.set("c", 1, tags=("y",))
        store.set("d", 1)
        assert store.invalidate("x") is None
        assert store.get_many(["a", "b", "c"]) == [None, None, 1] and store.get("b") is None
        assert store.contains_many(["a", "c", "d"]) == [False, True, True] and "a" not in store
        assert store.delete("a") is False and store.pop("b", None) is None
        with pytest.raises(KeyError):
            store.ttl("a")
        store.invalidate("nothing carries it")
        assert store["c"] == 1

    @needs("listing")
    def test_what_was_invalidated_is_not_listed(self, store: Any) -> None:
        store.set("a", 1, tags=("x",))
        store.set_many({"c": 1, "d": 1})
        store.invalidate("x")
        assert sorted(store) == ["c", "d"] == sorted(store.keys()) and store.count() == 2
        assert dict(store.items()) == {"c": 1, "d": 1}

    @needs("ttl")
    def test_what_was_invalidated_is_not_touched(self, store: Any) -> None:
        store.set("b", 1, tags=("x",))
        store.invalidate("x")
        assert store.touch("b", 1) is False and "b" not in store

    def test_what_is_set_after_is_not_invalidated(self, store: Any) -> None:
        for _ in range(3):
            store.set("a", 1, tags=("x",))
            assert store["a"] == 1
            store.invalidate("x")
            assert "a" not in store
        store.set("a", 2, tags=("x",))
        store.set("a", 3)
        store.invalidate("x")
        assert store["a"] == 3      # the tag went with the value that carried it
        assert store.add("b", 1) is True

    def test_incr_keeps_the_tags(self, store: Any) -> None:
        store.set("n", 1, tags=("x", "y"))
        assert store.incr("n") == 2 and store.incr("n") == 3
        store.invalidate("y")
        assert "n" not in store and store.incr("n") == 1
        store.invalidate("x")       # of the entry that is gone: the new one has no tags
        assert store["n"] == 1

    @needs("ttl")
    def test_incr_keeps_the_tags_and_the_deadline(self, store: Any) -> None:
        store.set("n", 1, ttl=50, tags=("x",))
        assert store.incr("n") == 2 and store.ttl("n") is not None
        store.invalidate("x")
        assert store.get("n") is None

    def test_the_tags_of_entries_are_told(self, store: Any) -> None:
        store.set("a", 1, tags=("x", "\u05d0\u0000y", ""))
        store.set("b", 2, tags=["y", "y", "\u00ff"])
        store.set_many({"c": 3, "d": b"4"})
        assert tags_of(store, ["a", "none", "b", "c", "a"]) == [
            ("x", "\u05d0\u0000y", ""), (), ("y", "\u00ff"), (), ("x", "\u05d0\u0000y", "")]
        store["a"] = 5
        store.set("c", 6, tags=(tag for tag in "zx"))
        store.delete("b")
        assert tags_of(store, list("abcd")) == [(), (), ("z", "x"), ()] and tags_of(store, []) == []
        assert store.incr("c") == 7
        assert tags_of(store, ["c"]) == [("z", "x")]
        store.invalidate("x")
        assert tags_of(store, ["c"]) == [()]
        store.set("c", 8, tags=("x",))
        assert tags_of(store, ["c"]) == [("x",)]

    @needs("transactions")
    def test_the_tags_of_a_transaction_are_told(self, store: Any) -> None:
        with store.transaction() as t:
            t.set("a", 1, tags=("x", "y"))
            t["b"] = 2
        assert tags_of(store, ["a", "b"]) == [("x", "y"), ()]

    @needs("ttl")
    def test_touch_keeps_the_tags(self, timed_store: Any, clock: Any) -> None:
        timed_store.set("a", b"1", ttl=5, tags=("x", "y"))
        assert timed_store.touch("a", 50) and tags_of(timed_store, ["a"]) == [("x", "y")]
        assert timed_store["a"] == b"1" and timed_store.touch("a", None)
        assert tags_of(timed_store, ["a"]) == [("x", "y")] and timed_store.touch("a", 5)
        clock.advance(6)
        assert tags_of(timed_store, ["a"]) == [()]

    def test_a_tag_is_text(self, store: Any) -> None:
        for tag in (1, None, ("x",)):
            with pytest.raises(TypeError):
                store.invalidate(tag)

    def test_a_tag_with_a_lone_surrogate_is_taken_or_refused_in_words(self, store: Any) -> None:
        try:
            store.set("a", 1, tags=("x\udcff",))
        except ValueError as error:
            assert not isinstance(error, UnicodeError) and "surrogate" in str(error)
            assert store.get("a") is None
            return
        store.set("b", 1, tags=("x",))
        store.invalidate("x\udcff")
        assert store.get_many(["a", "b"]) == [None, 1]

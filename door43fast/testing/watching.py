"""Conformance: events."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from door43fast.contracts import Event
from door43fast.testing.basis import Basis, needs


@needs("writes", "events")
class EventTests(Basis):
    @pytest.fixture
    def seen(self, store: Any) -> list[Event]:
        events: list[Event] = []
        store.subscribe("*", events.append, values=True)
        return events

    @staticmethod
    def brief(events: list[Event]) -> list[tuple[str, Any, str]]:
        return [(event.op, event.key, event.reason) for event in events]

    def test_every_change_is_told_in_order(self, store: Any, seen: list[Event]) -> None:
        store["a"] = 1
        store.add("b", 2)
        store.replace("b", 2, 3)
        store.incr("n")
        store.set_many([("c", 4), ("d", 5)])
        store.delete("a")
        store.pop("b")
        store.delete_many(["c", "x"])
        store.clear("d")
        store.flush()
        assert self.brief(seen) == [
            ("set", "a", "user"), ("set", "b", "user"), ("set", "b", "user"), ("set", "n", "user"),
            ("set", "c", "user"), ("set", "d", "user"), ("delete", "a", "user"), ("delete", "b", "user"),
            ("delete", "c", "user"), ("clear", "d", "user")]
        assert [event.seq for event in seen] == list(range(seen[0].seq, seen[0].seq + len(seen)))
        assert [event.value for event in seen][:4] == [1, 2, 3, 1]
        assert all(event.time > 1.6e9 and event.origin for event in seen)

    def test_what_changes_nothing_is_not_told(self, store: Any, seen: list[Event]) -> None:
        store.get("a")
        store.delete("a")
        store.set_many({})
        "a" in store  # noqa: B015
        store.flush()
        assert seen == []

    @needs("ttl")
    def test_what_ends_at_once_is_not_told(self, store: Any, seen: list[Event]) -> None:
        store.set("a", 1, ttl=0)
        store.flush()
        assert seen == []

    @needs("ttl")
    def test_expiry_is_told_when_it_is_reaped(self, timed_store: Any, clock: Any) -> None:
        seen: list[Event] = []
        timed_store.set("a", 1, ttl=1.025)
        timed_store["b"] = 1
        timed_store.subscribe("*", seen.append)
        clock.advance(1.05)
        assert timed_store.expire() == 1
        timed_store.set("b", 1, ttl=0)
        timed_store.flush()
        assert self.brief(seen) == [("delete", "a", "expire"), ("delete", "b", "expire")]
        assert seen[0].value is None

    def test_patterns(self, store: Any) -> None:
        got: dict[str, list[Any]] = {pattern: [] for pattern in ("*", "a/*", "a/?", "[ab]", "a", "A")}
        for pattern, keys in got.items():
            store.subscribe(pattern, lambda event, keys=keys: keys.append(event.key))
        store.set_many([(key, 1) for key in ("a", "a/1", "a/22", "b", "a/\n")])
        store.flush()
        assert got == {"*": ["a", "a/1", "a/22", "b", "a/\n"], "a/*": ["a/1", "a/22", "a/\n"],
                       "a/?": ["a/1", "a/\n"], "[ab]": ["a", "b"], "a": ["a"], "A": []}
        with pytest.raises(TypeError):
            store.subscribe(7, print)
        with pytest.raises(TypeError):
            store.subscribe("*", None)

    @pytest.fixture
    def of_tag(self, store: Any) -> list[Event]:
        events: list[Event] = []
        store.subscribe(tag="t", callback=events.append, values=True)
        return events

    @needs("tags")
    def test_a_tag_is_told_of_what_carries_it_before_or_after(self, store: Any, of_tag: list[Event]) -> None:
        store.set("a", 1, tags=("x", "t"))
        store.set("a", 2, tags=("x",))              # it carried the tag before
        store.set("a", 3, tags=("x",))
        store.set("b", 4, tags=("t", "y"))
        store.set("b", 5, tags=("y", "t"))
        store.set("c", 6)
        store.set("d", 7, tags=("tt",))
        store.delete("a")
        store.delete("b")
        store.flush()
        assert self.brief(of_tag) == [("set", "a", "user"), ("set", "a", "user"), ("set", "b", "user"),
                                      ("set", "b", "user"), ("delete", "b", "user")]
        assert [event.value for event in of_tag[:4]] == [1, 2, 4, 5]

    @needs("tags")
    def test_a_tag_is_told_of_every_way_to_write(self, store: Any, of_tag: list[Event]) -> None:
        calls = {"[]=": lambda key: store.__setitem__(key, 2), "set_many": lambda key: store.set_many({key: 2}),
                 "replace": lambda key: store.replace(key, 1, 2), "incr": store.incr, "delete": store.delete,
                 "del": store.__delitem__, "pop": store.pop, "delete_many": lambda key: store.delete_many([key]),
                 "update": lambda key: store.update({key: 2})}
        for key, call in calls.items():
            store.set(key, 1, tags=("t",))
            call(key)
            store.delete(key)
        store.flush()
        after = {"[]=": "set", "set_many": "set", "replace": "set", "incr": "set", "update": "set"}
        kept = [("set", "incr"), ("set", "incr"), ("delete", "incr")]       # it keeps the tags of its entry
        assert [(event.op, event.key) for event in of_tag] == [pair for key in calls for pair in (
            kept if key == "incr" else [("set", key), (after.get(key, "delete"), key)])]

    @needs("tags", "packed")
    def test_a_tag_is_told_of_packed_batches(self, store: Any, of_tag: list[Event]) -> None:
        import numpy as np

        store.set("b", b"1", tags=("t",))
        store.set("d", b"1", tags=("t",))
        store.set_packed(["d", "c", "b", "a"], np.frombuffer(b"5678", np.uint8), np.arange(5))
        store.flush()
        assert self.brief(of_tag) == [("set", key, "user") for key in "bddb"]

    @needs("tags", "transactions")
    def test_a_tag_is_told_of_transactions(self, store: Any, of_tag: list[Event]) -> None:
        for key in "abc":
            store.set(key, 1, tags=("t",))
        with store.transaction() as t:
            t.set("d", 1, tags=("t",))
            t.set("c", 2)
            t.set("e", 2)
            t.delete("a")
        store.flush()
        assert self.brief(of_tag)[3:] == [("set", "d", "user"), ("set", "c", "user"), ("delete", "a", "user")]

    @needs("tags", "streams")
    def test_a_tag_is_told_of_what_is_written_as_a_file(self, store: Any, of_tag: list[Event]) -> None:
        for tags in (("t",), ()):
            with store.writer("a", tags=tags) as file:
                file.write(b"1")
        store.flush()
        assert self.brief(of_tag) == [("set", "a", "user"), ("set", "a", "user")]

    @needs("tags", "ttl")
    def test_a_tag_is_told_of_expiry(self, timed_store: Any, clock: Any) -> None:
        seen: list[Event] = []
        timed_store.set("a", 1, ttl=1.0, tags=("t", "x"))
        timed_store.set("b", 1, ttl=1.0, tags=("x",))
        timed_store.set("c", 1, tags=("t",))
        timed_store.subscribe(tag="t", callback=seen.append)
        clock.advance(1.05)
        assert timed_store.expire() == 2
        timed_store.set("c", 1, ttl=0)
        timed_store.set("d", 1, tags=("t",), ttl=1.0)
        timed_store.touch("d", 0)
        timed_store.flush()
        assert self.brief(seen) == [("delete", "a", "expire"), ("delete", "c", "expire"), ("set", "d", "user"),
                                    ("delete", "d", "expire")]

    @needs("tags")
    def test_a_tag_is_told_of_its_end_and_of_clear(self, store: Any, of_tag: list[Event]) -> None:
        every: list[Event] = []
        store.set("a", 1, tags=("t",))
        store.invalidate("t")
        store.invalidate("x")
        store.clear("z")
        other = store.subscribe(tag="x", callback=every.append)
        store.set("b", 1, tags=("x",))
        other.cancel()
        store.set("b", 1, tags=("x",))
        store.set("b", 1, tags=("t",))
        store.flush()
        assert self.brief(of_tag) == [("set", "a", "user"), ("invalidate", "t", "user"), ("clear", "z", "user"),
                                      ("set", "b", "user")]
        assert self.brief(every) == [("set", "b", "user")]

    def test_cancel_and_context(self, store: Any) -> None:
        seen: list[Any] = []
        with store.subscribe("*", seen.append):
            store["a"] = 1
            store.flush()
        store["b"] = 1
        subscription = store.subscribe("*", seen.append)
        subscription.cancel()
        subscription.cancel()
        store["c"] = 1
        store.flush()
        assert [event.key for event in seen] == ["a"] and seen[0].value is None

    def test_a_listener_may_use_the_store(self, store: Any) -> None:
        seen: list[str] = []

        def listen(event: Event) -> None:
            seen.append(event.key)
            store.flush()
            if len(event.key) < 4:
                store[event.key + "x"] = store.get(event.key)
                store.delete("nothing")
        store.subscribe("*", listen)
        store["a"] = 1
        store.flush()
        assert seen == ["a", "ax", "axx", "axxx"] and store["axxx"] == 1

    def test_a_listener_that_raises_stops_nobody(self, store: Any, monkeypatch: Any) -> None:
        seen: list[Any] = []
        shown: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", shown.append)
        store.subscribe("*", lambda event: 1 / 0)
        store.subscribe("*", seen.append)
        store["a"] = 1
        store.flush()
        assert store["a"] == 1 and [event.key for event in seen] == ["a"]
        assert [one.exc_type for one in shown] == [ZeroDivisionError]

"""Conformance: the journal."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast.contracts import Change
from door43fast.testing.basis import Basis, needs


def told(changes: Any) -> list[tuple[str, Any]]:
    """What was done to which key; within one step of several keys, sorted."""
    return [(change.op, change.key) for change in changes]


@needs("writes", "journal")
class JournalTests(Basis):
    @pytest.fixture
    def logged(self, store: Any) -> Any:
        return store

    @needs("ttl", "compute")
    def test_every_way_to_write_is_noted(self, logged: Any) -> None:
        logged["a"] = 1
        logged.set("b", 2, ttl=50)
        logged.add("c", 3)
        logged.replace("c", 3, 4)
        logged.incr("n", 2)
        logged.touch("b", 60)
        logged.setdefault("d", 5)
        logged.get_or_compute("e", lambda: 6)
        del logged["a"]
        logged.pop("c")
        logged.set("d", 0, ttl=0)
        assert told(logged.changes()) == [
            ("set", "a"), ("set", "b"), ("set", "c"), ("set", "c"), ("set", "n"), ("set", "b"), ("set", "d"),
            ("set", "e"), ("delete", "a"), ("delete", "c"), ("delete", "d")]

    @needs("transactions", "packed")
    def test_many_at_once_are_noted_one_by_one(self, logged: Any) -> None:
        logged.set_many({f"k{i:03}": i for i in range(500)})
        logged.delete_many(["k001", "k002", "nothing"])
        logged.set_packed(["p", "q"], b"12", [0, 1, 2])
        with logged.transaction() as t:
            t["x"] = 1
            t.delete("k003")
            t.delete("nothing")
        changes = list(logged.changes())
        assert [change.seq for change in changes] == list(range(1, 507))
        assert told(changes[:500]) == [("set", f"k{i:03}") for i in range(500)]
        assert sorted(told(changes[500:502])) == [("delete", "k001"), ("delete", "k002")]
        assert sorted(told(changes[502:504])) == [("set", "p"), ("set", "q")]
        assert sorted(told(changes[504:])) == [("delete", "k003"), ("set", "x")]

    @needs("tags")
    def test_what_concerns_many_keys_is_one_change(self, logged: Any) -> None:
        logged.set("a/1", 1, tags=("t",))
        logged["b"] = 1
        logged.clear("a/")
        logged.invalidate("t")
        logged.clear()
        assert told(logged.changes(2)) == [("clear", "a/"), ("invalidate", "t"), ("clear", "")]

    @needs("ttl", "transactions")
    def test_what_changes_nothing_is_not_noted(self, logged: Any) -> None:
        logged["a"] = 1
        logged.add("a", 2)
        logged.replace("a", 7, 8)
        logged.delete("nothing")
        logged.delete_many(["nothing"])
        logged.touch("nothing", 5)
        logged.set_many({})
        logged.get("a")
        logged.expire()
        with pytest.raises(LookupError), logged.transaction() as t:
            t["a"] = 3
            raise LookupError
        assert told(logged.changes()) == [("set", "a")]

    @needs("ttl")
    def test_an_expiry_is_noted_when_the_record_goes(self, clock: Any) -> None:
        s = self.make_store(clock=clock)
        s.set("a", 1, ttl=1.025)
        s.set("b", 1, ttl=1.025)
        clock.advance(2)
        assert told(s.changes(2)) == [] and "a" not in s
        assert s.delete("a") is False       # it had ended, and nobody had taken it out yet
        s.expire()
        assert sorted(told(s.changes(2))) == [("expire", "a"), ("expire", "b")]
        s.close()

    def test_each_change_tells_what_it_replaced(self, logged: Any) -> None:
        for value in range(3):
            logged["a"] = value
        del logged["a"]
        logged.set_many({"a": 4})
        logged["a"] = 5
        changes = list(logged.changes())
        assert all(type(change) is Change for change in changes)
        assert [change.base for change in changes] == [0, *(change.hash for change in changes[:3]), 0, changes[4].hash]
        assert changes[3].hash == 0 and len({change.hash for change in changes}) == 6
        assert len({change.origin for change in changes}) == 1
        assert all(1.6e9 < a.time <= b.time for a, b in zip(changes, changes[1:], strict=False))

    def test_since_goes_on_where_it_was(self, logged: Any) -> None:
        logged.set_many({f"k{i:04}": i for i in range(3000)})
        last = 0
        while last < 3000:
            for change, _ in zip(logged.changes(last), range(777), strict=False):
                assert change == Change(last + 1, "set", f"k{last:04}", *change[3:])
                last = change.seq
        assert list(logged.changes(3000)) == []
        logged["more"] = 1
        assert told(logged.changes(last)) == [("set", "more")]

    def test_what_comes_while_it_is_read_is_read_too(self, logged: Any) -> None:
        logged["a"] = 1
        changes = logged.changes()
        assert next(changes).key == "a"
        logged["b"] = 2
        assert [change.key for change in changes] == ["b"]

    def test_a_number_that_cannot_be_is_refused(self, logged: Any) -> None:
        logged["a"] = 1
        for wrong in (2, -1):
            with pytest.raises(ValueError, match="last is 1"):
                logged.changes(wrong)
        for wrong in (None, 1.0, "1", True):
            with pytest.raises(TypeError):
                logged.changes(wrong)

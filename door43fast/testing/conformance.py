"""The conformance suite: one class that the author of a store inherits, and the table of capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from door43fast.contracts import Capabilities
from door43fast.errors import BudgetError, UnsupportedError
from door43fast.testing.atomics import TransactionTests
from door43fast.testing.awaiting import AsyncTests
from door43fast.testing.basis import Basis
from door43fast.testing.batches import BatchTests
from door43fast.testing.caring import CareTests
from door43fast.testing.computing import ComputeTests
from door43fast.testing.expiry import ExpiryTests, TagTests
from door43fast.testing.journals import JournalTests
from door43fast.testing.mapping import MappingTests
from door43fast.testing.ordering import OrderTests
from door43fast.testing.reading import ReadTests
from door43fast.testing.recording import RecordingTests
from door43fast.testing.refusing import RefusalTests
from door43fast.testing.streaming import StreamTests
from door43fast.testing.watching import EventTests


class StoreConformance(ReadTests, MappingTests, BatchTests, ExpiryTests, TagTests, OrderTests, EventTests,
                       TransactionTests, ComputeTests, AsyncTests, JournalTests, RecordingTests, StreamTests, CareTests,
                       RefusalTests):
    """Every method of the contract, with its meanings.

    Inherit it, say in ``capabilities`` what the store can do, and define ``make_store``.
    """


class BudgetConformance(Basis):
    """Budgets of stores that evict. ``make_store`` takes the options of ``MemoryStore``."""

    def test_strict_lru(self) -> None:
        with self.make_store(max_entries=3) as s:
            s.set_many([("a", 1), ("b", 2), ("c", 3)])
            s.get("a")
            s["d"] = 4
            assert sorted(s) == ["a", "c", "d"]     # b was the oldest
            s["c"] = 5
            s.get_many(["a"])
            s["e"] = 6
            assert sorted(s) == ["a", "c", "e"]
            "c" in s, s.ttl("c"), s.touch("c", None), list(s.scan()), s.count(), s.contains_many(["c"])  # noqa: B018
            s["f"] = 7
            assert sorted(s) == ["a", "e", "f"] and len(s) == 3 and s.stats()["evictions"] == 3

    def test_evictions_are_told(self) -> None:
        with self.make_store(max_entries=1) as s:
            events: list[Any] = []
            s.subscribe("*", events.append)
            s["a"] = 1
            s["b"] = 2
            s.flush()
            assert sorted((e.op, e.key, e.reason) for e in events) == [
                ("delete", "a", "evict"), ("set", "a", "user"), ("set", "b", "user")]

    def test_pinned_entries_stay(self) -> None:
        with self.make_store(max_entries=2) as s:
            s.set("p", 1, pin=True)
            for i in range(10):
                s[f"k{i}"] = i
            assert sorted(s) == ["k9", "p"]
            s.set("q", 1, pin=True)
            with pytest.raises(BudgetError, match="'r'"):
                s["r"] = 1
            assert sorted(s) == ["p", "q"]
            s["p"] = 2      # no longer pinned
            s["r"] = 1
            assert sorted(s) == ["q", "r"]

    def test_bytes_by_a_weigher(self) -> None:
        with self.make_store(max_bytes=100, weigher=lambda key, value: value) as s:
            s.set_many({"a": 40, "b": 40})
            assert s.stats()["bytes"] == 80
            s["c"] = 30
            assert sorted(s) == ["b", "c"] and s.stats()["bytes"] == 70
            s["zero"] = 0
            with pytest.raises(BudgetError, match="'b'"):
                s["b"] = 101
            assert s["b"] == 40 and s.stats()["bytes"] == 70
            with pytest.raises(BudgetError):
                s.set_many({"d": 1, "e": 101})
            assert "d" not in s
            s["b"] = 100
            assert s["b"] == 100 and sorted(s) in (["b", "zero"], ["b"])
            for weight in (-1, 1.5, None):
                with pytest.raises((ValueError, TypeError)):
                    s["x"] = weight

    def test_bytes_of_what_is_held(self) -> None:
        with self.make_store(max_bytes=1_000_000) as s:
            s["a"] = b"x" * 500_000
            assert 500_000 < s.stats()["bytes"] < 500_500
            s["b"] = "y" * 600_000
            assert list(s) == ["b"] and s.stats()["bytes"] > 600_000
            with pytest.raises(BudgetError, match="weigher"):
                s["c"] = object()
            with pytest.raises(BudgetError):
                s["b"] = b"x" * 1_000_000
            assert list(s) == ["b"]
            del s["b"]
            assert s.stats()["bytes"] == 0

    def test_without_a_policy_a_full_store_refuses(self) -> None:
        with self.make_store(max_entries=2, policy="none") as s:
            s.set_many({"a": 1, "b": 2})
            with pytest.raises(BudgetError, match="'c'"):
                s["c"] = 3
            s["a"] = 5
            s.delete("b")
            s["c"] = 3
            assert dict(s.items()) == {"a": 5, "c": 3}

    def test_what_has_expired_makes_room_first(self) -> None:
        from door43fast.testing.basis import manual_clock
        clock = manual_clock()
        with self.make_store(max_entries=3, clock=clock) as s:
            s["old"] = 1
            s.set("expired", 1, ttl=1.025)
            s["new"] = 1
            clock.advance(1.05)
            s["another"] = 1
            assert sorted(s) == ["another", "new", "old"]

    def test_idle(self) -> None:
        from door43fast.testing.basis import manual_clock
        clock = manual_clock()
        with self.make_store(idle=1.025, clock=clock) as s:
            s.set_many({"used": 1, "unused": 1})
            s.set("own", 1, ttl=5.025)
            for _ in range(4):
                clock.advance(1.0)
                assert s["used"] == 1 and s.get("own") == 1
            assert "unused" not in s
            clock.advance(1.05)
            assert s.get("used") is None and s.get("own") is None

    @pytest.mark.parametrize("options", [{"max_entries": 0}, {"max_bytes": -1}, {"max_entries": 1.5}, {"policy": "lur"},
                                         {"ttl": 0}, {"ttl": -1}, {"weigher": len}, {"ttl": 1, "idle": 1}], ids=repr)
    def test_wrong_options_are_refused(self, options: dict[str, Any]) -> None:
        from door43fast.errors import ConfigError
        with pytest.raises(ConfigError):
            self.make_store(**options)

    def test_any_hashable_is_a_key(self) -> None:
        with self.make_store() as s:
            keys = [1, (1, "a"), None, b"bytes", frozenset({1}), 1.5, type, "text"]
            s.set_many([(key, i) for i, key in enumerate(keys)])
            assert s.get_many(keys) == list(range(len(keys))) and set(s) == set(keys) and len(s) == len(keys)
            assert s[1.0] == 0 and s[True] == 0     # as in a dict
            assert sorted(s.values()) == list(range(len(keys))) and s.count() == len(keys)
            for call in (lambda: list(s.scan()), lambda: list(s.keys("t")), lambda: s.count("t")):
                with pytest.raises(UnsupportedError, match="str"):
                    call()
            value = object()
            s["object"] = value
            assert s["object"] is value

    def test_refuses_to_be_pickled(self) -> None:
        import copy
        import pickle
        with self.make_store() as s:
            for call in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="cannot be pickled"):
                    call(s)


def capability_table(backends: Mapping[str, Capabilities]) -> str:
    """The table of what each backend can do, as Markdown."""
    lines = ["| | " + " | ".join(backends) + " |", "|---|" + "---|" * len(backends)]
    for name in Capabilities._fields:
        marks = ("yes" if getattr(capabilities, name) else "-" for capabilities in backends.values())
        lines.append(f"| {name} | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"


def missing_capabilities(documented: str, backends: Mapping[str, Capabilities]) -> list[str]:
    """What ``documented``, a page that holds a table of :func:`capability_table`, promises and no backend declares."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in documented.splitlines()
            if line.startswith("|")]
    names = [line.strip() for line in next(line for line in documented.splitlines()
                                           if line.startswith("| |")).strip("|").split("|")][1:]
    lacking = []
    for row in rows:
        if row[0] in Capabilities._fields:
            for backend, mark in zip(names, row[1:], strict=True):
                if mark == "yes" and not getattr(backends[backend], row[0]):
                    lacking.append(f"{backend} declares {row[0]}=False")
    return lacking

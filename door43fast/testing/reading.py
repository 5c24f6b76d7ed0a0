"""Conformance: what reads. For every store, also one that others have filled and that takes no writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from door43fast.contracts import MISSING
from door43fast.testing.awaiting import run
from door43fast.testing.basis import Basis, needs

ITEMS = {"a": b"one", "A": b"capital", "book/TIT/1": b"\x00\xff" * 300, "empty": b"",
         "ключ": "наро́д".encode(), "a b+c%20&d?e#f": b"odd", "long" * 30: b"x" * 100_000}


class ReadTests(Basis):
    @pytest.fixture
    def filled(self) -> Iterator[Any]:
        store = self.make_filled(ITEMS)
        yield store
        store.close()

    def test_each_key_gives_its_value(self, filled: Any) -> None:
        for key, value in ITEMS.items():
            assert filled[key] == value == filled.get(key) and key in filled

    def test_what_is_missing(self, filled: Any) -> None:
        for key in ("b", "book", "book/TIT", "book/TIT/1/", "EMPTY"):
            assert filled.get(key) is None and filled.get(key, 7) == 7 and key not in filled
            with pytest.raises(KeyError) as error:
                filled[key]
            assert error.value.args == (key,)
            with pytest.raises(KeyError):
                filled.ttl(key)
        assert filled.ttl("a") is None

    def test_many_at_once_in_the_order_asked(self, filled: Any) -> None:
        keys = ["nothing", *ITEMS, "a", "nothing", *reversed(ITEMS)]
        assert filled.get_many(keys, MISSING) == [ITEMS.get(key, MISSING) for key in keys]
        assert filled.contains_many(iter(keys)) == [key in ITEMS for key in keys]
        assert filled.get_many([]) == [] == filled.contains_many([])

    def test_what_is_no_key_is_refused(self, filled: Any) -> None:
        for key in ("", "\ud800"):
            for call in (lambda: filled.get(key), lambda: filled[key], lambda: key in filled,  # noqa: B023
                         lambda: filled.get_many(["a", key])):      # noqa: B023
                with pytest.raises(ValueError):
                    call()
        with pytest.raises(TypeError):
            filled.get([1])

    def test_hits_and_misses_are_counted(self, filled: Any) -> None:
        before = filled.stats()
        filled.get("a"), filled.get("nothing"), filled.get_many(["a", "empty", "nothing"])  # noqa: B018
        after = filled.stats()
        assert after["hits"] - before["hits"] == 3 and after["misses"] - before["misses"] >= 2

    @needs("listing")
    def test_all_are_listed(self, filled: Any) -> None:
        assert dict(filled.items()) == ITEMS and set(filled) == set(ITEMS) == set(filled.keys())
        assert len(filled) == len(ITEMS) == filled.count() and sorted(filled.keys("book/")) == ["book/TIT/1"]
        assert sorted(filled.values()) == sorted(ITEMS.values()) and filled.verify()["errors"] == []

    @needs("packed")
    def test_many_packed(self, filled: Any) -> None:
        packed = filled.get_packed([*ITEMS, "nothing"])
        assert list(packed.found) == [True] * len(ITEMS) + [False]
        assert [packed[i] for i in range(len(ITEMS))] == list(ITEMS.values())

    @needs("streams")
    def test_as_a_file(self, filled: Any) -> None:
        with filled.reader("long" * 30) as file:
            assert file.size == 100_000 and file.seek(99_990) == 99_990 and file.read() == b"x" * 10
        with pytest.raises(KeyError):
            filled.reader("nothing")

    @needs("traces")
    def test_it_can_be_recorded(self, filled: Any) -> None:
        with filled.record_trace(self.folder / "trace") as recording:
            filled.get("a"), filled.get("nothing")  # noqa: B018
        assert recording.recorded == 2

    def test_reads_as_coroutines(self, filled: Any) -> None:
        async def main() -> None:
            a = filled.aio
            assert await a.get("a") == b"one" and await a.get("nothing", 7) == 7
            assert await a.get_many(["empty", "nothing"]) == [b"", None]
            assert await a.contains("a") and await a.contains_many(["a", "nothing"]) == [True, False]
            assert (await a.stats())["hits"] >= 2
        run(main())

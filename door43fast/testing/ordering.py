"""Conformance: ranges of ordered keys."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast.testing.basis import Basis

KEYS = ["\x00", "A", "a", "a/", "a/1", "a/10", "a/2", "a/\x00", "a/\uffff", "a/\U0001f4d6", "a0", "b", "\x7f", "\x80",
        "я", "\uffff", "\U0001f4d6", "\U0010ffff"]


class OrderTests(Basis):
    @pytest.fixture
    def filled(self, store: Any) -> Any:
        self.need(store, "ordered")
        store.set_many({key: f"v{key}" for key in KEYS})
        return store

    def test_order_is_that_of_code_points(self, filled: Any) -> None:
        assert [key for key, _ in filled.scan()] == sorted(KEYS) == list(filled.keys())
        assert sorted(KEYS) == sorted(KEYS, key=lambda key: key.encode())
        assert dict(filled.scan()) == {key: f"v{key}" for key in KEYS}

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/1", "a/\uffff", "\U0010ffff", "nothing", "\x00", "a/\x00"])
    def test_prefix(self, filled: Any, prefix: str) -> None:
        wanted = [key for key in sorted(KEYS) if key.startswith(prefix)]
        assert [key for key, _ in filled.scan(prefix)] == wanted == list(filled.keys(prefix))
        assert filled.count(prefix) == len(wanted)
        assert [key for key, _ in filled.scan(prefix, reverse=True)] == wanted[::-1]

    @pytest.mark.parametrize("start", [None, "a/", "a/1", "a/11", "я", "\U0010ffff\x00"])
    @pytest.mark.parametrize("stop", [None, "a/", "a/10", "b", "\x01"])
    @pytest.mark.parametrize("prefix", ["", "a"])
    def test_start_and_stop(self, filled: Any, prefix: str, start: str | None, stop: str | None) -> None:
        wanted = [key for key in sorted(KEYS) if key.startswith(prefix) and (start is None or key >= start)
                  and (stop is None or key < stop)]
        for limit in (None, 0, 1, 3, 100):
            for reverse in (False, True):
                got = [key for key, _ in filled.scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit)]
                assert got == (wanted[::-1] if reverse else wanted)[:limit]

    def test_a_wrong_limit_is_refused(self, filled: Any) -> None:
        with pytest.raises(ValueError, match="limit"):
            list(filled.scan(limit=-1))

    def test_a_scan_survives_changes(self, filled: Any) -> None:
        seen = []
        for key, value in filled.scan("a"):
            assert value == f"v{key}"
            seen.append(key)
            filled.delete_many([key, "b"])
            filled["a/new"] = f"va/new"
        assert seen == sorted(seen) and len(set(seen)) == len(seen)
        assert set(seen) >= {key for key in KEYS if key.startswith("a")}

    def test_long_scans(self, store: Any) -> None:
        self.need(store, "ordered")
        items = {f"{i:05}": i for i in range(3000)}
        store.set_many(items)
        assert list(store.scan()) == sorted(items.items())
        assert list(store.scan(reverse=True, start="00500", stop="02500")) == sorted(items.items())[500:2500][::-1]

    def test_clear_a_prefix(self, filled: Any) -> None:
        filled.clear("a/")
        assert sorted(filled) == sorted(key for key in KEYS if not key.startswith("a/"))
        filled.clear("nothing")
        assert len(filled) == len([key for key in KEYS if not key.startswith("a/")])
        filled.clear()
        assert len(filled) == 0 and list(filled) == []
        filled["a"] = 1
        assert filled["a"] == 1

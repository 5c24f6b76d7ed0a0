"""Conformance: ranges of ordered keys."""

from __future__ import annotations

from typing import Any

import pytest

from door43fast.testing.basis import Basis, needs

LONG = "a/" + "1" * 500     # what begins with it has more than 511 bytes
KEYS = ["\x00", "A", "a", "a/", "a/1", "a/10", "a/2", "a/\x00", "a/\uffff", "a/\U0001f4d6", "a0", "b", "\x7f", "\x80",
        "я", "\uffff", "\U0001f4d6", "\U0010ffff", LONG, LONG + "a" * 20, LONG + "b" * 20, LONG + "é" * 300, "b" * 900]


@needs("writes", "ordered")
class OrderTests(Basis):
    @pytest.fixture
    def ranged(self, store: Any) -> Any:
        store.set_many({key: f"v{key}" for key in KEYS})
        return store

    def test_order_is_that_of_code_points(self, ranged: Any) -> None:
        assert [key for key, _ in ranged.scan()] == sorted(KEYS) == list(ranged.keys())
        assert sorted(KEYS) == sorted(KEYS, key=lambda key: key.encode())
        assert dict(ranged.scan()) == {key: f"v{key}" for key in KEYS}

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a/1", "a/\uffff", "\U0010ffff", "nothing", "\x00", "a/\x00",
                                        LONG, LONG + "b"])
    def test_prefix(self, ranged: Any, prefix: str) -> None:
        wanted = [key for key in sorted(KEYS) if key.startswith(prefix)]
        assert [key for key, _ in ranged.scan(prefix)] == wanted == list(ranged.keys(prefix))
        assert ranged.count(prefix) == len(wanted)
        assert [key for key, _ in ranged.scan(prefix, reverse=True)] == wanted[::-1]

    @pytest.mark.parametrize("start", [None, "a/", "a/1", "a/11", "я", "\U0010ffff\x00", LONG + "a" * 21])
    @pytest.mark.parametrize("stop", [None, "a/", "a/10", "b", "\x01", LONG + "b" * 20])
    @pytest.mark.parametrize("prefix", ["", "a"])
    def test_start_and_stop(self, ranged: Any, prefix: str, start: str | None, stop: str | None) -> None:
        wanted = [key for key in sorted(KEYS) if key.startswith(prefix) and (start is None or key >= start)
                  and (stop is None or key < stop)]
        for limit in (None, 0, 1, 3, 100):
            for reverse in (False, True):
                got = [key for key, _ in ranged.scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit)]
                assert got == (wanted[::-1] if reverse else wanted)[:limit]

    def test_a_wrong_limit_is_refused(self, ranged: Any) -> None:
        with pytest.raises(ValueError, match="limit"):
            list(ranged.scan(limit=-1))

    def test_a_scan_survives_changes(self, ranged: Any) -> None:
        seen = []
        for key, value in ranged.scan("a"):
            assert value == f"v{key}"
            seen.append(key)
            ranged.delete_many([key, "b"])
            ranged["a/new"] = f"va/new"
        assert seen == sorted(seen) and len(set(seen)) == len(seen)
        assert set(seen) >= {key for key in KEYS if key.startswith("a")}

    def test_long_scans(self, store: Any) -> None:
        items = {f"{i:05}": i for i in range(3000)}
        store.set_many(items)
        assert list(store.scan()) == sorted(items.items())
        assert list(store.scan(reverse=True, start="00500", stop="02500")) == sorted(items.items())[500:2500][::-1]

    def test_clear_a_prefix(self, ranged: Any) -> None:
        ranged.clear("a/")
        assert sorted(ranged) == sorted(key for key in KEYS if not key.startswith("a/"))
        ranged.clear("nothing")
        assert len(ranged) == len([key for key in KEYS if not key.startswith("a/")])
        ranged.clear()
        assert len(ranged) == 0 and list(ranged) == []
        ranged["a"] = 1
        assert ranged["a"] == 1

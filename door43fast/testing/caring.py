"""Conformance: closing, pins, copies, and whether a store is what it declares."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from door43fast.contracts import Capabilities, Store
from door43fast.errors import ClosedError, UnsupportedError
from door43fast.testing.basis import Basis, needs
from door43fast.testing.calls import CALLS


class CareTests(Basis):
    def test_it_declares_what_its_test_class_does(self) -> None:
        with self.make_filled({"a": b"1"}) as store:
            assert type(store.capabilities) is Capabilities and store.capabilities == self.capabilities
            assert store.aio.capabilities == self.capabilities

    @pytest.mark.parametrize("method", CALLS)
    def test_after_close_every_method_says_so(self, method: str) -> None:
        store = self.make_filled({"a": b"1"})
        if method == "incr" and self.capabilities.writes:
            store["a"] = 1
        if method not in ("transaction", "enter"):
            try:
                CALLS[method](store)
            except UnsupportedError:    # that it says so only where it declares so is tested elsewhere
                assert not all(self.capabilities)
        store.close()
        store.close()
        assert store.closed and type(store).__name__ in repr(store)
        with pytest.raises(ClosedError, match="closed"):
            CALLS[method](store)
        store.__exit__(None, None, None)

    def test_no_method_is_left_out(self) -> None:
        with self.make_filled({"a": b"1"}) as store:
            wanted = {name for name in vars(Store) if inspect.isfunction(vars(Store)[name])} - {"__init__"}
            assert [name for name in sorted(wanted) if not callable(getattr(store, name, None))] == []

    def test_as_a_context(self) -> None:
        with self.make_filled({"a": b"1"}) as store:
            assert store["a"] == b"1" and not store.closed
        assert store.closed

    @needs("writes", "pins", "ttl")
    def test_pins_are_kept_but_can_expire_and_be_deleted(self, timed_store: Any, clock: Any) -> None:
        timed_store.set("a", 1, pin=True, ttl=1.025)
        timed_store.set("b", 1, pin=True)
        clock.advance(1.05)
        assert "a" not in timed_store and timed_store["b"] == 1
        assert timed_store.delete("b") is True and "b" not in timed_store

    @needs("writes", "backup", "listing")
    def test_backup_is_a_store_of_the_same_contents(self, store: Any) -> None:
        store.set_many({f"k{i}": i for i in range(100)})
        store.backup(self.folder / "copy")
        store["after"] = 1
        copy = self.open_backup(self.folder / "copy")
        assert dict(copy.items()) == {f"k{i}": i for i in range(100)}
        copy.close()

    def open_backup(self, path: Any) -> Any:
        """The store that ``backup(path)`` wrote. REQUIRES: overridden where ``capabilities.backup``."""
        raise NotImplementedError("a conformance test class of a store with backup defines open_backup(self, path)")

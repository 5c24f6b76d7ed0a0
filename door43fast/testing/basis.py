"""What every group of conformance tests stands on: a fresh store, a clock that is stepped, and what to skip."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest



def manual_clock() -> Any:
    """A clock that a test advances; the native one where there is one, which native stores ask for."""
    try:
        from door43fast.native.clock import ManualClock
    except ImportError:
        from door43fast.reference.clock import ManualClock  # type: ignore[assignment]
    return ManualClock()


class Basis:
    """Inherited by every group. A subclass says how a store is made.

    Attributes
    ----------
    folder : Path
        An empty folder of the test.
    timed : bool
        If ``make_store`` takes ``clock=``; without it nothing that needs time to pass is tested.
    """

    folder: Path
    timed = True
    _names = itertools.count()

    def make_store(self, **options: Any) -> Any:
        """A new and empty store. ``options`` are ``clock=`` and ``ttl=``."""
        raise NotImplementedError("a conformance test class defines make_store(self, **options)")

    def fresh_name(self) -> str:
        """A name that no store of this test has yet."""
        return f"store{next(self._names)}"

    @pytest.fixture(autouse=True)
    def _own_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @pytest.fixture
    def clock(self) -> Any:
        if not self.timed:
            pytest.skip("this store takes no clock=")
        return manual_clock()

    @pytest.fixture
    def store(self) -> Iterator[Any]:
        store = self.make_store()
        yield store
        store.close()
        assert store.closed

    @pytest.fixture
    def timed_store(self, clock: Any) -> Iterator[Any]:
        store = self.make_store(clock=clock)
        yield store
        store.close()

    @staticmethod
    def need(store: Any, *capabilities: str) -> None:
        """Skip the test where the store declares that it cannot; that it says so is tested elsewhere."""
        for name in capabilities:
            if not getattr(store.capabilities, name):
                pytest.skip(f"{type(store).__name__} declares {name}=False")

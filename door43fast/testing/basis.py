"""What every group of conformance tests stands on: a fresh store, a stepped clock, and which tests a store is given.

No test is skipped. A test class declares what its store can do; the tests of what it cannot do are taken out when the
class is made, and for each such capability there is one that asks for it and wants ``UnsupportedError``.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from door43fast.contracts import Capabilities

Marked = TypeVar("Marked")


def manual_clock() -> Any:
    """A clock that a test advances; the native one where there is one, which native stores ask for."""
    try:
        from door43fast.native.clock import ManualClock
    except ImportError:
        from door43fast.reference.clock import ManualClock  # type: ignore[assignment]
    return ManualClock()


def needs(*capabilities: str) -> Callable[[Marked], Marked]:
    """Mark a test, or every test of a class, as one for stores that have all of ``capabilities``."""
    return _marking("needs", capabilities)


def lacks(*capabilities: str) -> Callable[[Marked], Marked]:
    """Mark a test, or every test of a class, as one for stores that have none of ``capabilities``."""
    return _marking("lacks", capabilities)


def _marking(mark: str, capabilities: tuple[str, ...]) -> Callable[[Any], Any]:
    unknown = set(capabilities) - set(Capabilities._fields)
    if unknown:
        raise ValueError(f"{sorted(unknown)} are no capabilities: see door43fast.contracts.Capabilities")

    def marked(target: Any) -> Any:
        for test in ([test for name, test in vars(target).items() if name.startswith("test")]
                     if isinstance(target, type) else [target]):
            setattr(test, mark, (*getattr(test, mark, ()), *capabilities))
        return target
    return marked


def applies(test: Callable[..., Any], capabilities: Capabilities, timed: bool) -> bool:
    """If a test is one for a store of these capabilities."""
    if not timed and {"clock", "timed_store"} & set(inspect.signature(test).parameters):
        return False
    return (all(getattr(capabilities, name) for name in getattr(test, "needs", ()))
            and not any(getattr(capabilities, name) for name in getattr(test, "lacks", ())))


class Basis:
    """Inherited by every group. A subclass says what its store can do, and how one is made.

    Attributes
    ----------
    capabilities : Capabilities
        What the store can do. A test wants the opened store to declare the same, no less and no more.
    folder : Path
        An empty folder of the test.
    timed : bool
        If ``make_store`` takes ``clock=``; without it nothing that needs time to pass is tested.
    """

    capabilities: Capabilities = None   # type: ignore[assignment]
    folder: Path
    timed = True
    _names = itertools.count()

    def __init_subclass__(cls, **options: Any) -> None:
        """Take out the tests that are not for this store, and put back those that were taken out of a parent."""
        super().__init_subclass__(**options)
        if cls.capabilities is None:
            if cls.make_store is not Basis.make_store:
                raise TypeError(f"{cls.__name__} does not say what its store can do: write, in the class, "
                                "capabilities = MyStore.capabilities, or Capabilities(...) of door43fast.contracts")
            return
        # In one order in every process, so that several can share the tests among them.
        for name in dict.fromkeys(name for base in cls.__mro__ for name in vars(base) if name.startswith("test")):
            test = next(test for base in cls.__mro__ if (test := vars(base).get(name)) is not None)
            wanted = test if applies(test, cls.capabilities, cls.timed) else None
            if getattr(cls, name) is not wanted:
                setattr(cls, name, wanted)      # pytest collects no None

    def make_store(self, **options: Any) -> Any:
        """A new and empty store. ``options`` are ``clock=`` and ``ttl=``."""
        raise NotImplementedError("a conformance test class defines make_store(self, **options)")

    def make_filled(self, items: Mapping[str, bytes]) -> Any:
        """A store that holds ``items``. REQUIRES: overridden where ``capabilities.writes`` is False."""
        store = self.make_store()
        store.set_many(items)
        return store

    def fresh_name(self) -> str:
        """A name that no store of this test has yet."""
        return f"store{next(self._names)}"

    @pytest.fixture(autouse=True)
    def _own_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @pytest.fixture
    def clock(self) -> Any:
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

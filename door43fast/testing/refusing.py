"""Conformance: what a store declares that it cannot do, it refuses, and nothing comes of it.

One test for each capability, of which a store is given those that it lacks. A store that declares less than it can do
fails here, since it does what it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from door43fast.errors import UnsupportedError
from door43fast.testing.basis import Basis, lacks
from door43fast.testing.calls import REFUSALS


class RefusalTests(Basis):
    """``test_without_x_it_refuses`` for each capability ``x`` that has calls of its own."""

    @lacks("writes")
    def test_what_was_refused_has_changed_nothing(self) -> None:
        with self.make_filled({"a": b"1"}) as store:
            for call in REFUSALS["writes"]:
                with pytest.raises(UnsupportedError):
                    call(store)
            assert store["a"] == b"1" and "b" not in store and store.expire() == 0


def _refusal(capability: str) -> Callable[[Any], None]:
    def test(self: Any, monkeypatch: Any) -> None:
        monkeypatch.chdir(self.folder)      # a store that does what it should refuse may leave a file
        with self.make_filled({"a": b"1"}) as store:
            for call in REFUSALS[capability]:
                with pytest.raises(UnsupportedError) as error:
                    call(store)
                assert len(str(error.value)) > 20, "an error says what happened and what to do"
            assert store["a"] == b"1" and "b" not in store
    test.__name__ = f"test_without_{capability}_it_refuses"
    test.__qualname__ = f"RefusalTests.{test.__name__}"
    return lacks(capability)(test)


for _capability in REFUSALS:
    setattr(RefusalTests, f"test_without_{_capability}_it_refuses", _refusal(_capability))

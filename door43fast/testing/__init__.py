"""Tests that the author of a store or plugin inherits, and the model that any store can be run against.

::

    from door43fast.testing.conformance import StoreConformance

    class TestMyStore(StoreConformance):
        capabilities = MyStore.capabilities

        def make_store(self, **options):
            return MyStore(self.folder / self.fresh_name(), **options)

Needs pytest; :mod:`door43fast.testing.machine` needs hypothesis too. :class:`Faulty`, a store that fails as it is told,
needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from door43fast.deferred import handing_on

__getattr__ = handing_on(__name__, {"Fault": "faults", "Faulty": "faults"})    # the suite itself needs no layers
__all__ = ["Fault", "Faulty"]

if TYPE_CHECKING:
    from door43fast.testing.faults import Fault, Faulty

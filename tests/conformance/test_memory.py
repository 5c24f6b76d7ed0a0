"""The native memory store conforms."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import BudgetConformance, StoreConformance


class TestMemory(StoreConformance, BudgetConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return d43.MemoryStore(**options)

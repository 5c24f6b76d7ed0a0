"""The native memory store conforms."""

import door43fast as d43
from door43fast.testing.conformance import BudgetConformance, StoreConformance


class TestMemory(StoreConformance, BudgetConformance):
    def make_store(self, **options):
        return d43.MemoryStore(**options)

"""The reference engine and the reference cascade conform: what the others are measured by."""

from door43fast import reference
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import BudgetConformance, StoreConformance


MEMORY = Capabilities(traces=True, streams=True)


class TestReference(StoreConformance, BudgetConformance):
    capabilities = MEMORY

    def make_store(self, **options):
        return reference.MemoryStore(**options)


class TestReferenceWithJournal(StoreConformance):
    capabilities = MEMORY._replace(journal=True)

    def make_store(self, **options):
        return reference.MemoryStore(journal=True, **options)


class TestReferenceCascade(StoreConformance):
    capabilities = MEMORY

    def make_store(self, **options):
        clock = {"clock": options["clock"]} if "clock" in options else {}
        return reference.Cascade(reference.MemoryStore(**clock), reference.MemoryStore(**options))

"""A replicated store is a store: the whole contract, over memory and over LMDB with a journal."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import StoreConformance

MEMORY = Capabilities(traces=True, streams=True, pins=False)


class TestMemoryTwice(StoreConformance):
    capabilities = MEMORY

    def make_store(self, **options):
        clock = {"clock": options["clock"]} if "clock" in options else {}
        return d43.replicated(d43.MemoryStore(**options), [d43.MemoryStore(**clock)])


class TestLmdbTwice(StoreConformance):
    capabilities = MEMORY._replace(persistent=True, backup=True, shared=True, journal=True)
    consistency, read = "strong", "primary"

    def make_store(self, **options):
        clock = {"clock": options["clock"]} if "clock" in options else {}
        name = self.fresh_name()
        return d43.replicated(
            d43.LmdbStore(self.folder / f"{name}-p", journal=True, durability="none", **options),
            [d43.LmdbStore(self.folder / f"{name}-r", durability="none", **clock)], self.consistency,
            read=self.read)

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestLmdbEventually(TestLmdbTwice):
    capabilities = TestLmdbTwice.capabilities
    consistency = "eventual"


class TestLmdbReadFromAny(TestLmdbTwice):
    """Under ``strong`` each member gives what was written last."""

    capabilities = TestLmdbTwice.capabilities._replace(traces=False)
    read = "any"

"""The cascades conform: memory over LMDB, as ``open(path)`` makes it, and memory over memory."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import StoreConformance


DISK = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)


class TestMemoryOverLmdb(StoreConformance):
    capabilities = DISK

    def make_store(self, **options):
        return d43.open(self.folder / self.fresh_name(), **options)

    def open_backup(self, path):
        return d43.open(path)


class TestMemoryOverLmdbWithJournal(TestMemoryOverLmdb):
    capabilities = DISK._replace(journal=True)

    def make_store(self, **options):
        return super().make_store(journal=True, **options)


class TestMemoryOverMemory(StoreConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        clock = {"clock": options["clock"]} if "clock" in options else {}
        return d43.cascade(d43.MemoryStore(**clock), d43.MemoryStore(**options))

"""The LMDB store conforms."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.testing.conformance import StoreConformance


DISK = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)


class TestLmdb(StoreConformance):
    capabilities = DISK

    def make_store(self, **options):
        return d43.LmdbStore(self.folder / self.fresh_name(), durability="none", **options)

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestLmdbWithJournal(TestLmdb):
    capabilities = DISK._replace(journal=True)

    def make_store(self, **options):
        return super().make_store(journal=True, **options)


class TestLmdbWithBudget(TestLmdb):
    def make_store(self, **options):
        return super().make_store(max_bytes=64 << 20, **options)

"""The SQLite store conforms, alone and under a memory tier."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.plugins.sqlite import SqliteStore
from door43fast.testing.conformance import StoreConformance


class TestSqlite(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)

    def make_store(self, **options):
        return SqliteStore(path=self.folder / self.fresh_name(), durability="none", **options)

    def open_backup(self, path):
        return SqliteStore(path=path)


class TestMemoryOverSqlite(TestSqlite):
    def make_store(self, **options):
        return d43.open(f"sqlite:///{self.folder}/{self.fresh_name()}", durability="none", memory="1MB", **options)

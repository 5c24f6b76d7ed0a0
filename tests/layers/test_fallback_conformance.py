"""A primary with a fallback keeps the whole contract, whatever the fallback is."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.layers import Guard, PrimaryFallback
from door43fast.plugins import registry
from door43fast.testing.conformance import StoreConformance


class TestLmdbWithMemory(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, streams=True)

    def make_store(self, **options):
        return PrimaryFallback(d43.LmdbStore(self.folder / self.fresh_name(), **options), d43.MemoryStore(**options))

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestOnMiss(TestLmdbWithMemory):
    def make_store(self, **options):
        return PrimaryFallback(d43.LmdbStore(self.folder / self.fresh_name(), **options), d43.MemoryStore(**options),
                               on_miss=True)


class TestGuardedSqliteWithLmdb(StoreConformance):
    capabilities = registry.get("sqlite").capabilities._replace(traces=False, backup=True)

    def make_store(self, **options):
        name = str(self.folder / self.fresh_name())
        return PrimaryFallback(Guard(registry.open("sqlite", {"path": name, **options}), deadline=20),
                               d43.LmdbStore(name + ".l", **options), owed=name + ".owed")

    def open_backup(self, path):
        return registry.open("sqlite", {"path": str(path)})


class TestWithoutAMirror(TestLmdbWithMemory):
    def make_store(self, **options):
        return PrimaryFallback(d43.LmdbStore(self.folder / self.fresh_name(), **options), d43.MemoryStore(**options),
                               mirror=False)


class TestWithAFallbackThatTakesNoWrites(TestLmdbWithMemory):
    def make_store(self, **options):
        other = self.folder / self.fresh_name()
        d43.LmdbStore(other).close()
        return PrimaryFallback(d43.LmdbStore(self.folder / self.fresh_name(), **options),
                               d43.LmdbStore(other, readonly=True, **options), on_miss=True)

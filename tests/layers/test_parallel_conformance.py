"""Stores beside each other keep the whole contract: memory, LMDB, SQLite, behind guards, and with debts on disk."""

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.layers import Guard, Parallel
from door43fast.plugins import registry
from door43fast.testing.conformance import StoreConformance


def fast(options):
    return d43.MemoryStore(**({"clock": options["clock"]} if "clock" in options else {}))


class TestMemoryBesideMemory(StoreConformance):
    capabilities = Capabilities(streams=True)

    def make_store(self, **options):
        return Parallel(d43.MemoryStore(**options), d43.MemoryStore(**options))


class TestMemoryBesideLmdb(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, streams=True)

    def make_store(self, **options):
        return Parallel(d43.MemoryStore(**options), d43.LmdbStore(self.folder / self.fresh_name(), **options))

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestLmdbBesideMemoryWithDebtsOnDisk(TestMemoryBesideLmdb):
    def make_store(self, **options):
        name = self.fresh_name()
        return Parallel(d43.LmdbStore(self.folder / name, **options), d43.MemoryStore(**options),
                        owed=self.folder / f"{name}.owed", require="any")


class TestMemoryBesideSqlite(StoreConformance):
    capabilities = registry.get("sqlite").capabilities._replace(traces=False)

    def make_store(self, **options):
        name = str(self.folder / self.fresh_name())
        return Parallel(d43.MemoryStore(**options), registry.open("sqlite", {"path": name, **options}))

    def open_backup(self, path):
        return registry.open("sqlite", {"path": str(path)})


class TestGuardedAndRacing(TestMemoryBesideLmdb):
    def make_store(self, **options):
        return Parallel(Guard(d43.LmdbStore(self.folder / self.fresh_name(), **options), deadline=20),
                        Guard(d43.MemoryStore(**options), deadline=20), read="race", require=1)


class TestNested(TestMemoryBesideLmdb):
    def make_store(self, **options):
        return Parallel(Parallel(d43.MemoryStore(**options), d43.MemoryStore(**options)),
                        d43.cascade(fast(options), d43.LmdbStore(self.folder / self.fresh_name(), **options)))

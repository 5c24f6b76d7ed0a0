"""A disk over a network, and memory over both, keep the whole contract."""

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.layers import Guard, ReadThrough
from door43fast.plugins import registry
from door43fast.testing.conformance import StoreConformance

DISK = Capabilities(persistent=True, backup=True, shared=True, streams=True)


class TestLmdbOverSqlite(StoreConformance):
    capabilities = registry.get("sqlite").capabilities._replace(traces=False)

    def make_store(self, **options):
        name = str(self.folder / self.fresh_name())
        return ReadThrough(d43.LmdbStore(name + ".l", durability="none", **options),
                           registry.open("sqlite", {"path": name, **options}))

    def open_backup(self, path):
        return registry.open("sqlite", {"path": str(path)})


class TestGuardedMemoryOverLmdb(StoreConformance):
    capabilities = DISK

    def make_store(self, **options):
        clock = {name: options[name] for name in options if name == "clock"}
        return ReadThrough(Guard(d43.MemoryStore(**clock), deadline=20),
                           d43.LmdbStore(self.folder / self.fresh_name(), **options))

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestThreeLayers(TestLmdbOverSqlite):
    """Memory over LMDB over SQLite, as a plan makes it."""

    capabilities = registry.get("sqlite").capabilities

    def make_store(self, **options):
        name = str(self.folder / self.fresh_name())
        clock = {name: options[name] for name in options if name == "clock"}
        return d43.open({"strategy": "cascade", "layers": [
            {"type": "memory", **clock}, {"type": "lmdb", "path": name + ".l", "durability": "none", **clock},
            {"type": "sqlite", "path": name, **options}]})


class TestLmdbOverRedis(StoreConformance):
    capabilities = registry.get("redis").capabilities._replace(traces=False)

    @pytest.fixture(autouse=True)
    def _server(self, redis):
        self.url = redis.url

    def make_store(self, **options):
        return ReadThrough(d43.LmdbStore(self.folder / self.fresh_name(), durability="none", **options),
                           d43.open(self.url, namespace=self.fresh_name(), **options))

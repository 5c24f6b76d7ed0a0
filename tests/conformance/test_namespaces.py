"""A namespace conforms as a store of its own, whatever is underneath."""

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.native.keys import KeyCodec
from door43fast.plugins.sqlite import SqliteStore
from door43fast.testing.conformance import StoreConformance

from .test_lacking import DictStore


HERE = Capabilities(traces=True, streams=True)
DISK = HERE._replace(persistent=True, shared=True)


class TestNamespaceOfMemory(StoreConformance):
    capabilities = HERE

    def make_base(self):
        return d43.MemoryStore()

    def make_store(self, **options):
        base = self.make_base()
        d43.namespace(base, "other").update({"a": 1, "a/1": 2, "z": 3})
        return d43.namespace(base, "mine", **options)


class TestNamespaceOfLmdb(TestNamespaceOfMemory):
    capabilities = DISK

    def make_base(self):
        return d43.LmdbStore(self.folder / self.fresh_name(), durability="none")


class TestNamespaceOfBytes(TestNamespaceOfMemory):
    capabilities = DISK

    def make_base(self):
        return d43.LmdbStore(self.folder / self.fresh_name(), durability="none", keys="bytes")


class TestNamespaceOfSqlite(TestNamespaceOfMemory):
    capabilities = DISK

    def make_base(self):
        return SqliteStore(path=self.folder / self.fresh_name(), durability="none")


class TestNamespaceOfMemoryOverLmdb(TestNamespaceOfMemory):
    capabilities = DISK

    def make_base(self):
        return d43.open(self.folder / self.fresh_name(), durability="none")


class TestNamespaceWithQuota(TestNamespaceOfLmdb):
    def make_store(self, **options):
        return super().make_store(max_bytes="64MB", max_entries=100_000, policy="none", **options)


class TestNamespaceThatEvicts(TestNamespaceOfMemory):
    capabilities = HERE._replace(pins=False)

    def make_store(self, **options):
        return super().make_store(max_bytes="64MB", policy="fifo", **options)


class TestNamespaceOfNamespace(TestNamespaceOfMemory):
    def make_base(self):
        return d43.namespace(d43.MemoryStore(), "outer")


class TestNamespaceWithoutTransactions(TestNamespaceOfMemory):
    """Over a backend of somebody else's, which has none; a dict in this process, so nothing outlasts it."""
    capabilities = HERE._replace(transactions=False, persistent=True)

    def make_base(self):
        return DictStore(can=DictStore.capabilities._replace(transactions=False))


class TestNamespaceOfAnyKeys(TestNamespaceOfMemory):
    capabilities = HERE._replace(traces=False)

    def make_store(self, **options):
        return super().make_store(keys="any", **options)

    def test_scan_packed(self, store):
        """The keys are packed in their encoding, as a LmdbStore packs them."""
        codec = KeyCodec("any")
        store.set_many({f"k{i}": b"v%d" % i for i in range(9)} | {"z": b"no"})
        chunks = list(store.scan_packed("k", 4))
        assert [codec.decode(bytes(k)) for keys, _ in chunks for k in keys] == [f"k{i}" for i in range(9)]
        assert [bytes(v) for _, values in chunks for v in values] == [b"v%d" % i for i in range(9)]


class TestNamespaceOfRedis(TestNamespaceOfMemory):
    capabilities = DISK

    @pytest.fixture(autouse=True)
    def _server(self, redis):
        self.server = redis

    def make_base(self):
        return d43.open(self.server.url, namespace=self.fresh_name())

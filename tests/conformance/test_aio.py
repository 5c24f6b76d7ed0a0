"""Every store conforms by its ``aio`` too."""

import asyncio

import door43fast as d43
from door43fast.plugins.filesystem import FilesystemStore
from door43fast.plugins.sqlite import SqliteStore
from door43fast.testing.conformance import StoreConformance
from door43fast.testing.driven import Driven


class AwaitedConformance(StoreConformance):
    def test_waiters_share_the_exception_and_nothing_is_left(self, store):
        """As the suite's, which looks at how threads wait; here they are tasks."""
        async def main():
            async def fn():
                while next(iter(store._flights.values())).waiters < 4:
                    await asyncio.sleep(0)
                raise LookupError("no such thing")
            got = await asyncio.gather(*[store.aio.get_or_compute("k", fn) for _ in range(4)], return_exceptions=True)
            assert [type(error) for error in got] == [LookupError] * 4
        asyncio.run(asyncio.wait_for(main(), 30))
        assert "k" not in store and store.get_or_compute("k", lambda: 1) == 1


class TestMemory(AwaitedConformance):
    def make_store(self, **options):
        return Driven(d43.MemoryStore(**options))


class TestLmdb(AwaitedConformance):
    def make_store(self, **options):
        return Driven(d43.LmdbStore(self.folder / self.fresh_name(), durability="none", journal=True, **options))

    def open_backup(self, path):
        return Driven(d43.LmdbStore(path))


class TestCascade(AwaitedConformance):
    def make_store(self, **options):
        return Driven(d43.open(self.folder / self.fresh_name(), **options))

    def open_backup(self, path):
        return Driven(d43.open(path))


class TestSqlite(AwaitedConformance):
    def make_store(self, **options):
        return Driven(SqliteStore(path=self.folder / self.fresh_name(), durability="none", **options))

    def open_backup(self, path):
        return Driven(SqliteStore(path=path))


class TestFilesystem(AwaitedConformance):
    def make_store(self, **options):
        return Driven(FilesystemStore(path=self.folder / self.fresh_name(), durability="none", **options))

    def open_backup(self, path):
        return Driven(FilesystemStore(path=path))

"""Every store conforms by its ``aio`` too."""

import asyncio

import door43fast as d43
from door43fast.contracts import Capabilities
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

    def test_a_listener_may_use_the_store(self, store):
        """As the suite's; a listener in a loop awaits."""
        async def main():
            seen = asyncio.Queue()

            async def listen(event):
                if len(event.key) < 4:
                    await store.aio.set(event.key + "x", 1)
                await seen.put(event.key)
            await store.aio.subscribe("*", listen)
            await store.aio.set("a", 1)
            assert sorted([await seen.get() for _ in range(4)]) == ["a", "ax", "axx", "axxx"]
        asyncio.run(asyncio.wait_for(main(), 30))


class TestMemory(AwaitedConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return Driven(d43.MemoryStore(**options))


class OnDisk(AwaitedConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, traces=True, streams=True)

    def open_at(self, path, **options):
        raise NotImplementedError("one of these says which store it opens")

    def make_store(self, **options):
        return Driven(self.open_at(self.folder / self.fresh_name(), durability="none", **options))

    def open_backup(self, path):
        return Driven(self.open_at(path))


class TestLmdb(OnDisk):
    capabilities = OnDisk.capabilities._replace(journal=True)

    def open_at(self, path, **options):
        return d43.LmdbStore(path, journal=True, **options)


class TestCascade(OnDisk):
    def open_at(self, path, **options):
        return d43.open(path, **options)


class TestSqlite(OnDisk):
    def open_at(self, path, **options):
        return SqliteStore(path=path, **options)


class TestFilesystem(OnDisk):
    def open_at(self, path, **options):
        return FilesystemStore(path=path, **options)

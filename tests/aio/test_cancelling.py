"""A cancelled call leaves nothing half done and nothing held."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import door43fast as d43
from door43fast.plugins import Backend, BackendOptions


class HeldOptions(BackendOptions, kw_only=True):
    pass


class Held(Backend):
    """A store whose every call waits at a gate."""

    Options = HeldOptions

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.kept = {}
        self.at_gate, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def _wait(self):
        self.at_gate.set()
        assert self.gate.wait(30)

    def read(self, names):
        self._wait()
        return [self.kept.get(name) for name in names]

    def write(self, changes):
        self._wait()
        for name, data in changes.items():
            self.kept.pop(name, None) if data is None else self.kept.__setitem__(name, data)

    def names(self, prefix):
        return [name for name in list(self.kept) if name.startswith(prefix)]


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def cancelled_at_the_gate(store, coroutine):
    """Begin a call, cancel it while its thread waits, and let the thread go on."""
    store.at_gate.clear()
    store.gate.clear()
    task = asyncio.ensure_future(coroutine)
    await until(store.at_gate.is_set)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    store.gate.set()


def test_a_write_that_has_begun_is_made_as_a_whole():
    async def main():
        store = Held()
        await cancelled_at_the_gate(store, store.aio.set_many({"a": 1, "b": 2}))
        await store.aio.set("c", 3)     # nothing is locked; waits for the one before
        assert await store.aio.get_many(["a", "b"]) == [1, 2]
        assert sorted([key async for key in store.aio.keys()]) == ["a", "b", "c"]
        await store.aio.close()
    run(main())


def test_a_transaction_that_nobody_got_holds_no_snapshot(tmp_path):
    async def main():
        store = d43.LmdbStore(tmp_path / "s", durability="none")
        store["a"] = 1
        inside, go = threading.Event(), threading.Event()
        snapshots, begin = [], store._snapshot

        class Slow:
            """The store, whose snapshots take until they may."""
            capabilities = store.capabilities

            def transaction(self):
                from door43fast.transactions import Transaction
                return Transaction(self)

            def _snapshot(self):
                inside.set()
                assert go.wait(30)
                snapshots.append(begin())
                return snapshots[-1]

        from door43fast.aio import AsyncSurface
        task = asyncio.ensure_future(AsyncSurface(Slow()).transaction().__aenter__())
        await until(inside.is_set)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        go.set()
        await until(lambda: snapshots and all(one.transaction is None for one in store.readers()))
        with pytest.raises(d43.ClosedError):
            snapshots[0].read("a")
        await store.aio.close()
    run(main())


def test_a_commit_that_has_begun_is_made_as_a_whole():
    async def main():
        store = Held()

        async def commit():
            async with store.aio.transaction() as t:
                await t.set("a", 1)
                await t.set("b", 2)
        await cancelled_at_the_gate(store, commit())
        await store.aio.set("c", 3)
        assert await store.aio.get_many(["a", "b"]) == [1, 2]
        await store.aio.close()
    run(main())


def test_a_writer_that_nobody_got_is_given_up(tmp_path):
    async def main():
        store = d43.LmdbStore(tmp_path / "s", durability="none")
        inside, go, made = threading.Event(), threading.Event(), []

        class Slow:
            capabilities = store.capabilities

            def writer(self, key):
                inside.set()
                assert go.wait(30)
                made.append(store.writer(key))
                return made[-1]

        from door43fast.aio import AsyncSurface
        task = asyncio.ensure_future(AsyncSurface(Slow()).writer("k").__aenter__())
        await until(inside.is_set)
        task.cancel()
        await asyncio.wait([task])
        go.set()
        await until(lambda: made and made[0].closed)
        assert "k" not in store and task.cancelled()
        await store.aio.close()
    run(main())


def test_close_is_done_though_its_caller_is_cancelled():
    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        store = Held()
        store.gate.clear()
        store.at_gate.clear()
        writing = asyncio.ensure_future(store.aio.set("a", 1))
        await until(store.at_gate.is_set)
        closing = asyncio.ensure_future(store.aio.close())      # has no thread yet
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled() and not store.closed
        store.gate.set()
        await writing
        await until(lambda: store.closed)
    run(main())


def test_a_scan_that_is_left_early_holds_nothing(tmp_path):
    async def main():
        store = d43.LmdbStore(tmp_path / "s", durability="none")
        store.set_many({f"{i:05}": i for i in range(5000)})
        seen = []
        async for key, _ in store.aio.scan():
            seen.append(key)
            if len(seen) == 300:
                break
        assert seen == [f"{i:05}" for i in range(300)]
        assert all(one.transaction is None for one in store.readers())

        async def scan():
            async for _ in store.aio.scan():
                await asyncio.sleep(0)
        task = asyncio.ensure_future(scan())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await store.aio.close()
        assert store.closed
    run(main())


def test_what_only_some_stores_have_is_there_too(tmp_path):
    async def main():
        async with d43.LmdbStore(tmp_path / "s", durability="none", journal=True).aio as a:
            await a.set("a", 1)
            assert isinstance(await a.readers(), list) and await a.clear_readers() == 0
            assert [change.key async for change in a.changes()] == ["a"]
            with pytest.raises(AttributeError, match="has no 'nothing'"):
                a.nothing       # noqa: B018
            with pytest.raises(AttributeError):
                a.path          # noqa: B018
    run(main())

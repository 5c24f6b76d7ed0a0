"""A backend with a client of its own for event loops conforms by it: here a dict, whose every access is awaited."""

import asyncio

from door43fast.plugins import AsyncRecords, Backend
from door43fast.testing.driven import Driven

from .test_aio import AwaitedConformance


class AsyncFace(AsyncRecords):
    __slots__ = ()

    async def fetch(self, keys):
        await asyncio.sleep(0)
        return self._store._fetch(keys)

    async def change(self, keys, step, *, void=True, look=True, durable=False):
        store = self._store
        while True:     # optimistic, as over a network
            found = await self.fetch(keys) if look else [None] * len(keys)
            result, changes = step(found)
            await asyncio.sleep(0)
            with store._lock, store._writing():
                store._open()
                if look and store._fetch(keys) != found:
                    continue
                if changes:
                    store._serial += 1
                    store._apply([(change.key, change.record) for change in changes])
                store._applied(keys, changes, void)
            store._queue.drain()
            return result


class DictStore(Backend):
    """A store over a dict."""

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.kept = {}

    @property
    def aio(self):
        return AsyncFace(self)

    def read(self, names):
        return [self.kept.get(name) for name in names]

    def write(self, changes):
        for name, data in changes.items():
            self.kept.pop(name, None) if data is None else self.kept.__setitem__(name, data)

    def names(self, prefix):
        return [name for name in list(self.kept) if name.startswith(prefix)]


class TestNativeAio(AwaitedConformance):
    capabilities = DictStore.capabilities

    def make_store(self, **options):
        return Driven(DictStore(**options))

    def test_keys_and_batches_need_no_thread(self, monkeypatch):
        store = DictStore()

        async def main():
            def threads(*_):
                raise AssertionError("a thread was asked for")
            monkeypatch.setattr(asyncio, "to_thread", threads)
            a = store.aio
            await a.set("a", 1)
            await a.set_many({"b": 2}, ttl=5)
            assert await a.get_many(["a", "b", "c"]) == [1, 2, None] and await a.incr("a") == 2
            assert await a.add("a", 0) is False and await a.replace("a", 2, 3) and await a.touch("a", None)
            assert await a.pop("b") == 2 and await a.delete("a") and await a.setdefault("s", 1) == 1
            assert await a.contains("s") and await a.ttl("s") is None
            monkeypatch.undo()
            assert await a.get_or_compute("k", lambda: 1) == 1 and await a.count() == 2
        asyncio.run(main())
        store.close()

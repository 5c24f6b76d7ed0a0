"""``store.aio`` over Redis waits on the event loop itself: no thread of ours, and no other task stands still."""

import asyncio
import contextvars
import gc
import threading
import time
import warnings

import pytest

import door43fast as d43
from redis_proxy import Proxy


@pytest.fixture
def proxy(redis):
    proxy = Proxy(redis.port)
    yield proxy
    proxy.close()


@pytest.fixture(params=["one", "cluster"])
def store(redis, request):
    server = redis if request.param == "one" else request.getfixturevalue("redis_cluster")
    with d43.open(server.url, namespace="aio") as store:
        yield store
    with d43.open(server.url, namespace="aio") as again:
        again.clear()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_many_tasks_and_no_thread(store):
    async def main():
        a = store.aio
        before = threading.active_count()
        await a.set_many({f"k{i}": i for i in range(100)})
        assert await asyncio.gather(*[a.get(f"k{i}") for i in range(100)]) == list(range(100))
        await asyncio.gather(*[a.incr("n") for _ in range(50)], *[a.incr(f"k{i % 5}") for i in range(50)])
        assert await a.get("n") == 50 and await a.get_many(["k0", "k4"]) == [10, 14]
        assert sorted([key async for key in a.keys("k9")]) == ["k9", *[f"k9{i}" for i in range(10)]]
        assert await a.delete_many([f"k{i}" for i in range(100)]) == 100
        assert threading.active_count() == before
        await a.close()
    run(main())
    assert store.closed


def test_one_store_serves_threads_and_loops(store):
    async def main(me):
        for i in range(20):
            await store.aio.incr("n")
            await store.aio.set(f"{me}/{i}", i, ttl=60)
        assert await store.aio.count(f"{me}/") == 20

    def work(me):
        asyncio.run(main(me))
    threads = [threading.Thread(target=work, args=(me,)) for me in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        store.incr("n")
    for thread in threads:
        thread.join()
    assert store["n"] == 80


def test_a_function_that_blocks_stops_no_other_task(store):
    async def main():
        go = threading.Event()
        ticks = 0

        async def tick():
            nonlocal ticks
            while ticks < 20:
                ticks += 1
                await asyncio.sleep(0)
            go.set()
        value, _ = await asyncio.gather(store.aio.get_or_compute("k", lambda: go.wait(30)), tick())
        assert value is True and await store.aio.get("k") is True
    run(main())


def test_while_the_server_is_silent_other_tasks_go_on(redis, proxy):
    async def main():
        async with d43.open(proxy.url, namespace="aio", timeout=2, wait_timeout=1).aio as a:
            await a.set("k", 1)
            proxy.freeze()
            task = asyncio.create_task(a.get("k"))
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            proxy.thaw()
            assert await a.get("k") == 1        # not the answer that the cancelled one has left
            await a.set("k", 2)
            assert await asyncio.gather(a.get("k"), a.get("-"), a.get("k")) == [2, None, 2]
            proxy.freeze()
            began = time.monotonic()
            with pytest.raises(d43.BackendUnavailableError, match="did not answer"):
                await a.set("k", 3)
            assert time.monotonic() - began < 20
            proxy.thaw()
            await a.clear()
    run(main())


def test_what_is_lost_is_told_as_elsewhere(redis, proxy):
    async def main():
        async with d43.open(proxy.url, namespace="aio").aio as a:
            await a.set("k", 1)
            proxy.swallow(b"GET", 2)
            assert await a.get("k") == 1
            proxy.swallow(b"SET")
            with pytest.raises(d43.BackendUnavailableError, match="not known"):
                await a.set("k", 2)
            assert await a.get("k") == 2
            with pytest.raises(d43.ConflictError):
                async with a.transaction() as t:
                    await t.get("k")
                    await a.set("k", 3)
                    await t.set("k", 4)
            await a.clear()
    run(main())


def test_memory_over_redis_works_in_threads(redis):
    async def main():
        async with d43.open(redis.url, namespace="aio", memory="1MB").aio as a:
            await a.set("k", 1)
            assert await asyncio.gather(*[a.get("k") for _ in range(20)]) == [1] * 20
            await a.clear()
    run(main())


def test_a_loop_that_ends_closes_its_connections(redis):
    with d43.open(redis.url, namespace="aio") as store:
        async def main():
            await asyncio.gather(*[store.aio.get("k") for _ in range(5)])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _ in range(3):
                run(main())
            gc.collect()
        assert [one for one in told if issubclass(one.category, ResourceWarning)] == []
        assert store.get("k") is None


def test_a_listener_finds_the_context_of_whoever_wrote(redis):
    who = contextvars.ContextVar("who")
    seen = []

    async def write(a, name):
        who.set(name)
        await a.set("k", 1)

    async def main():
        async with d43.open(redis.url, namespace="aio").aio as a:
            a._store.subscribe("*", lambda event: seen.append(who.get(None)))
            await write(a, "first")
            await write(a, "second")
            await a.clear()
    run(main())
    assert seen[:2] == ["first", "second"]

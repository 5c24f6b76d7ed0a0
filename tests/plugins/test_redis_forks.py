"""Forks of a process that has Redis open: a child shuts down nothing of its parent and waits for none of its locks."""

import asyncio
import gc
import os
import signal
import threading
import time

import pytest

import door43fast as d43


@pytest.fixture
def store(redis):
    with d43.open(redis.url, namespace="forks", memory="1MB") as store:
        yield store
        store.clear()


def in_a_child(work, seconds=60):
    """How a child ends that does ``work``; one that waits for ever is killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < end:
        time.sleep(0.01)
    if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def hears(store):
    """Wait until memory is believed, and return the ear."""
    listener, end = store.slow._listener, time.monotonic() + 20
    while not listener.hears:
        store.get("-")
        assert time.monotonic() < end, "nobody listens"
        time.sleep(0.001)
    return next(iter(listener._ears.values()))


def clients(store):
    """The numbers of the connections that the server tells of changes."""
    listed = store.slow._link.one("CLIENT", "LIST").decode()
    return {line.split()[0] for line in listed.splitlines() if " flags=" in line
            and "t" in line.split(" flags=")[1].split()[0]}


def sockets():
    """What stands behind the descriptors of this process."""
    return {os.fstat(int(name)).st_ino for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}")}


def test_a_child_leaves_the_parents_connections(store):
    """It reads, writes, listens itself and closes; the parent's memory is vouched for by the same connection."""
    store["k"] = 1
    ear = hears(store)
    own, numbers, news = os.fstat(ear.connection._sock.fileno()).st_ino, clients(store), store.slow._listener.news
    pooled = {os.fstat(one._sock.fileno()).st_ino for pool in store.slow._link.pools._blocking.values()
              for one in pool._connections}
    assert own in sockets() and pooled <= sockets() and len(numbers) == 1

    def work():
        gc.collect()
        copies = sockets() & {own, *pooled}
        good = not copies and store["k"] == 1 and store.incr("n") == 1 and hears(store) is not ear
        others = clients(store) - numbers
        store.close()
        gc.collect()
        return good and len(others) == 1
    assert in_a_child(work) == 0
    assert store["n"] == 1 and hears(store) is ear and ear.thread.is_alive()
    assert clients(store) == numbers and store.slow._listener.news == news


@pytest.mark.parametrize("held", ["stopped", "listener", "pools", "turns"])
def test_a_child_waits_for_no_lock_of_the_parents(store, held):
    """At the moment of the fork a thread that is not in the child holds one."""
    ear = hears(store)
    locks = {"stopped": ear.stopped._cond, "listener": store.slow._listener._lock,
             "pools": store.slow._link.pools._lock, "turns": store.slow._turns._of_threads}
    lock = locks[held]
    taken, done = threading.Event(), threading.Event()

    def hold():
        every = lock if isinstance(lock, list) else [lock]
        for one in every:
            one.acquire()
        taken.set()
        done.wait(120)
        for one in every:
            one.release()
    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    try:
        assert in_a_child(lambda: store.incr("n") == 1 and hears(store) is not ear and store.close() is None) == 0
    finally:
        done.set()
        thread.join(30)
    assert store["n"] == 1 and ear.thread.is_alive()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_child_leaves_the_parents_event_loop(store):
    """The selector of a loop is shared with the child: closing a connection of it there would deafen the parent, and
    what is to be run in the loop would wake it."""
    async def main():
        aio = store.slow.aio
        await aio.set("k", 1)
        number = await store.slow._on_loop(store.slow._link.one, "CLIENT", "ID")

        loop = asyncio.get_running_loop()
        due = list(loop._ready)

        def work():
            gc.collect()
            untouched = list(loop._ready) == due
            asyncio.set_event_loop(None)

            async def other():
                await aio.set("child", 1)
                return await aio.get("k")
            good = store.slow["k"] == 1 and store.slow.incr("n") == 1
            thread_gave = []
            thread = threading.Thread(target=lambda: thread_gave.append(asyncio.run(other())))
            thread.start()
            thread.join(30)
            gc.collect()
            return untouched and good and thread_gave == [1]
        assert in_a_child(work) == 0
        assert await asyncio.wait_for(aio.get("child"), 30) == 1
        assert await asyncio.wait_for(store.slow._on_loop(store.slow._link.one, "CLIENT", "ID"), 30) == number
    asyncio.run(main())

"""One computation of a key at a time, over all processes that have the store open."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import door43fast as d43
from flight_worker import ask, ask_in_loop, loader, opened
from started import go, lines, workers

LIMIT = 60      # seconds that a process is waited for, if it is right only a fraction of one
KINDS = ("lmdb", "cascade", "sqlite", "file", "tiered")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def start(kind, path, loads):
    with workers() as begin:
        yield lambda what, *rest: begin(what, kind, path, loads, *rest)


def test_64_readers_in_8_processes_cause_one_load(start, loads):
    workers = [start("threads", 8, 0.01) for _ in range(8)]
    for worker in workers:
        go(worker)
    assert [worker.communicate(timeout=LIMIT)[0].split() for worker in workers] == [["value"] * 8] * 8
    assert lines(loads) == 1


def test_64_threads_cause_one_load(kind, path, loads):
    with opened(kind, path) as store:
        assert ask(store, 64, loader(loads, 0.01)) == ["value"] * 64
        assert lines(loads) == 1 and not store._flights


def test_threads_and_tasks_of_several_processes_cause_one_load(start, loads):
    workers = [start(what, 16, 0.01) for what in ("threads", "tasks", "threads", "tasks")]
    for worker in workers:
        go(worker)
    assert [worker.communicate(timeout=LIMIT)[0].split() for worker in workers] == [["value"] * 16] * 4
    assert lines(loads) == 1


def test_64_tasks_cause_one_load(kind, path, loads):
    with opened(kind, path) as store:
        assert asyncio.run(ask_in_loop(store, 64, loader(loads, 0.01))) == ["value"] * 64
        assert lines(loads) == 1


def in_child(store, loads, gate, answers):
    gate.wait(LIMIT)
    answers.put(ask(store, 16, loader(loads, 0.01)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_by_fork_and_by_spawn_cause_one_load(kind, path, loads, method):
    if method == "spawn" and kind == "cascade":
        path = str(path)
    context = multiprocessing.get_context(method)
    with opened(kind, path) as store:
        gate, answers = context.Barrier(5), context.Queue()
        children = [context.Process(target=in_child, args=(store, loads, gate, answers)) for _ in range(4)]
        for child in children:
            child.start()
        gate.wait(LIMIT)
        assert [answers.get(timeout=LIMIT) for _ in children] == [["value"] * 16] * 4
        for child in children:
            child.join(LIMIT)
            assert child.exitcode == 0
        assert lines(loads) == 1


def test_a_hit_asks_for_no_lock(kind, path, monkeypatch):
    with opened(kind, path) as store:
        store["k"] = 1
        monkeypatch.setattr("door43fast.claims.Claim.take", None)     # who calls it fails
        assert store.get_or_compute("k", lambda: 2) == 1
        with pytest.raises(TypeError):
            store.get_or_compute("other", lambda: 2)


def waits(thread):
    """Whether a thread is asking for its turn by now."""
    frame = sys._current_frames().get(thread.ident)
    while frame is not None:
        if frame.f_code.co_name == "_claimed":
            return True
        frame = frame.f_back
    return False


def begun(work):
    """``work`` in a thread that has been turned away at least once."""
    pool = ThreadPoolExecutor(1)
    threads = []

    def run():
        threads.append(threading.current_thread())
        return work()
    future = pool.submit(run)
    while not (threads and waits(threads[0])):
        assert not future.done()
        time.sleep(0.001)
    pool.shutdown(wait=False)
    return future


def test_who_is_killed_is_succeeded_at_once(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    with opened(kind, path) as store:
        waiter = begun(lambda: store.get_or_compute("k", loader(loads, 0, "next"), deadline=10 * LIMIT))
        os.kill(holder.pid, signal.SIGKILL)
        assert waiter.result(LIMIT) == "next" == store["k"]
    assert lines(loads) == 2


def test_who_is_stopped_costs_one_more_load_and_comes_too_late(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    os.kill(holder.pid, signal.SIGSTOP)
    with opened(kind, path) as store:
        assert ask(store, 8, loader(loads, 0.05, "next"), deadline=0.2) == ["next"] * 8
        assert lines(loads) == 2 and store["k"] == "next"
        os.kill(holder.pid, signal.SIGCONT)
        go(holder)
        assert holder.communicate(timeout=LIMIT)[0] == "late\n"     # it is its caller's, and nobody else's
        assert store["k"] == "next"


def test_of_many_processes_one_takes_over(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    os.kill(holder.pid, signal.SIGSTOP)
    context = multiprocessing.get_context("fork")
    gate, answers = context.Barrier(4), context.Queue()
    with opened(kind, path) as store:
        children = [context.Process(target=in_hurry, args=(store, loads, gate, answers)) for _ in range(4)]
        for child in children:
            child.start()
        assert [answers.get(timeout=LIMIT) for _ in children] == ["next"] * 4
        for child in children:
            child.join(LIMIT)
    assert lines(loads) == 2


def in_hurry(store, loads, gate, answers):
    gate.wait(LIMIT)
    answers.put(store.get_or_compute("k", loader(loads, 0.05, "next"), deadline=0.2))


@pytest.mark.parametrize("what", ["set", "delete", "both", "clear"])
def test_what_another_process_writes_meanwhile_keeps_the_result_from_being_stored(start, kind, path, what):
    writer = start(what, "k", "new")
    with opened(kind, path) as store:
        def fn():
            go(writer)
            writer.communicate(timeout=LIMIT)
            return "old"
        assert store.get_or_compute("k", fn) == "old"
        assert store.get("k") == ("new" if what == "set" else None)
        assert store.get_or_compute("k", lambda: "next") == ("new" if what == "set" else "next") == store["k"]


@pytest.mark.parametrize("what", ["delete_many", "transaction", "pop"])
def test_other_ways_to_delete_do_so_too(kind, path, what):
    """Through another store on the same files, which knows of none of the flights of the first."""
    with opened(kind, path) as store, opened(kind, path) as other:
        def fn():
            if what == "delete_many":
                other.delete_many(["a", "k", "z"])
            elif what == "pop":
                other.pop("k", None)
            else:
                with other.transaction() as t:
                    t["a"] = 1
                    t.delete("k")
            return "old"
        assert store.get_or_compute("k", fn) == "old" and "k" not in store
        assert store.get_or_compute("k", lambda: "next") == "next" == store["k"]


def test_what_is_done_to_other_keys_keeps_nothing_from_being_stored(kind, path):
    with opened(kind, path) as store, opened(kind, path) as other:
        def fn():
            other.delete_many([f"other {i}" for i in range(5000)])
            other["k2"] = 1
            return "value"
        assert store.get_or_compute("k", fn) == "value" == store["k"]


def test_others_get_the_stale_value_meanwhile(start, kind, path, loads):
    with opened(kind, path) as store:
        store.get_or_compute("k", lambda: "old", ttl=0.02, stale=600)
        while store.get("k") is not None:
            time.sleep(0.005)
        holder = start("hold")
        go(holder)
        assert holder.stdout.readline() == "computing\n"
        assert store.get_or_compute("k", lambda: "never", stale=600) == "old"
        assert asyncio.run(store.aio.get_or_compute("k", lambda: "never", stale=600)) == "old"
        assert lines(loads) == 1
        go(holder)
        assert holder.stdout.readline() == "late\n" and store["k"] == "late"


def test_an_event_loop_goes_on_while_it_waits_for_another_process(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"

    async def both(store):
        waiter = asyncio.ensure_future(store.aio.get_or_compute("k", lambda: "never"))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not waiter.done()
        go(holder)
        return await waiter
    with opened(kind, path) as store:
        assert asyncio.run(both(store)) == "late"


def test_a_cancelled_wait_leaves_nothing(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"

    async def given_up(store):
        waiter = asyncio.ensure_future(store.aio.get_or_compute("k", lambda: "never"))
        await asyncio.sleep(0.02)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        while store._flights:
            await asyncio.sleep(0.001)
    with opened(kind, path) as store:
        asyncio.run(given_up(store))
        from door43fast import claims
        assert not claims._files
        go(holder)
        assert holder.communicate(timeout=LIMIT)[0] == "late\n"
        assert store["k"] == "late"


def test_a_cycle_over_processes_ends(start):
    one, two = start("cycle", "a", "b", 0.3), start("cycle", "b", "a", 0.3)
    for process in (one, two):
        go(process)
        assert process.stdout.readline() == "computing\n"
    for process in (one, two):
        go(process)
    answers = [process.communicate(timeout=LIMIT)[0] for process in (one, two)]
    assert any(answer.startswith("deadlock") for answer in answers)


def test_two_stores_of_one_process_are_one(kind, path, loads):
    with opened(kind, path) as one, opened(kind, path) as two:
        first = ThreadPoolExecutor(1).submit(one.get_or_compute, "k", loader(loads, 0.05))
        while not lines(loads):
            pass
        assert two.get_or_compute("k", lambda: "never") == "value" == first.result(LIMIT)
        with pytest.raises(d43.DeadlockError):
            one.get_or_compute("x", lambda: two.get_or_compute("x", lambda: 1))


def test_a_store_that_is_only_read_computes_nothing(kind, path):
    with opened(kind, path) as store:
        store["there"] = 1
    with opened(kind, path, readonly=True) as store:
        assert store.get_or_compute("there", None) == 1
        with pytest.raises(d43.ReadOnlyError, match="nothing is computed"):
            store.get_or_compute("k", lambda: pytest.fail("called"))
        with pytest.raises(d43.ReadOnlyError):
            asyncio.run(store.aio.get_or_compute("k", lambda: pytest.fail("called")))


def test_a_wrong_deadline_is_refused(kind, path):
    with opened(kind, path) as store:
        for wrong in (-1, float("nan")):
            with pytest.raises(ValueError, match="deadline"):
                store.get_or_compute("k", lambda: 1, deadline=wrong)
        assert "k" not in store and store.get_or_compute("k", lambda: 1, deadline=0) == 1

"""A claim on a Redis server lasts as long as whoever holds it, however long the computation, and not much longer."""

import asyncio
import os
import signal
import threading
import time

import pytest

import door43fast as d43
from door43fast.plugins.redis.claims import ServerClaim
from door43fast.testing.redis_servers import RedisServer
from flight_worker import loader
from started import go, workers

LIMIT = 60
THREAD = "door43fast-redis-leases"


@pytest.fixture
def store(url, name):
    with d43.open(url, namespace=name) as store:
        yield store
        store.clear()


@pytest.fixture
def hold(url, name, loads):
    """Start a process that computes "k", with a lease of so many seconds, until it is told to end or is killed."""
    with workers() as start:
        def begin(seconds):
            process = start("hold", "redis", url, loads, seconds, NAMESPACE=name)
            go(process)
            assert process.stdout.readline() == "computing\n"
            return process
        yield begin


def claim_of(store, deadline, key="k"):
    return ServerClaim(store._leases, store._names.flight(key), deadline)


def left(store, claim):
    """Milliseconds that the server will keep a claim for; negative where there is none."""
    from door43fast.plugins.redis.link import Call
    return store._link.read([Call(claim.name, ("PTTL", claim.name))])[0]


def until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def renewed(store, *claims):
    """Wait until the server keeps each claim for longer than it has said before."""
    before = [left(store, claim) for claim in claims]
    assert min(before) > 0
    for i, claim in enumerate(claims):
        while left(store, claim) <= before[i]:
            before = [min(was, left(store, one)) for was, one in zip(before, claims, strict=True)]
            assert min(before) > 0      # it is not renewed, and was forgotten
            time.sleep(0.005)


def in_thread(fn):
    answer = []
    thread = threading.Thread(target=lambda: answer.append(fn()))
    thread.start()
    return thread, answer


def test_a_computation_that_outlasts_its_lease_is_the_only_one(store, hold, loads):
    holder = hold(3)
    waiter, answer = in_thread(lambda: store.get_or_compute("k", loader(loads, 0), deadline=10 * LIMIT))
    seen = claim_of(store, 0)
    assert 0 < left(store, seen) <= 3000
    for _ in range(4):      # a third of a lease passes between two
        renewed(store, seen)
    assert waiter.is_alive()
    go(holder)
    waiter.join(LIMIT)
    assert answer == ["late"] == [store["k"]] and loads.read_bytes().count(b"\n") == 1
    assert left(store, seen) == -2


def test_who_is_killed_is_succeeded_when_its_lease_is_over(store, hold, loads):
    holder = hold(1)
    waiter, answer = in_thread(lambda: store.get_or_compute("k", loader(loads, 0), deadline=10 * LIMIT))
    os.kill(holder.pid, signal.SIGKILL)
    waiter.join(LIMIT)
    assert answer == ["value"] and loads.read_bytes().count(b"\n") == 2


def test_who_is_stopped_is_succeeded_too_and_does_not_store_its_result(store, hold, loads):
    holder = hold(1)
    os.kill(holder.pid, signal.SIGSTOP)
    assert store.get_or_compute("k", loader(loads, 0), deadline=10 * LIMIT) == "value"
    os.kill(holder.pid, signal.SIGCONT)
    go(holder)
    assert holder.communicate(timeout=LIMIT)[0] == "late\n" and store["k"] == "value"


def test_a_lease_is_the_deadline_within_bounds(store):
    assert [claim_of(store, deadline).lease for deadline in (0, 0.5, 3, 30, float("inf"))] == [1, 1, 3, 10, 10]
    claim = claim_of(store, 0)
    assert claim.take() and 0 < left(store, claim) <= 1000
    claim.release()


def test_what_was_lost_is_not_renewed(store):
    lost, next_one = claim_of(store, 1), claim_of(store, 30)
    assert lost.take() and store._leases.holds(lost) and lost.good()
    store.delete("k")
    assert next_one.take()
    until(lambda: not store._leases.holds(lost))
    assert next_one.good() and not lost.good() and left(store, next_one) > 1000
    for claim in (lost, next_one):
        claim.release()
    assert left(store, next_one) == -2


def test_one_thread_renews_many_and_goes_when_there_are_none(store):
    claims = [claim_of(store, 3, f"key {i}") for i in range(8)]
    for claim in claims:
        assert claim.take()
    assert [thread.name for thread in threading.enumerate()].count(THREAD) == 1
    renewed(store, *claims)
    for claim in claims:
        claim.release()
    until(lambda: THREAD not in [thread.name for thread in threading.enumerate()])
    again = claim_of(store, 3)
    assert again.take()
    renewed(store, again)
    again.release()


def test_closing_the_store_ends_it(url, name):
    with d43.open(url, namespace=name) as store, d43.open(url, namespace=name) as other:
        claim = claim_of(store, 1)
        assert claim.take()
        store.close()
        assert THREAD not in [thread.name for thread in threading.enumerate()]
        until(lambda: left(other, claim) == -2)


def test_what_a_task_computes_is_renewed_too(store):
    other = claim_of(store, 60)

    async def both():
        done = asyncio.Event()

        async def fn():
            await done.wait()
            return "value"
        task = asyncio.ensure_future(store.aio.get_or_compute("k", fn, deadline=3))
        while left(store, other) < 0:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(renewed, store, other)
        assert not other.take()
        done.set()
        return await task
    assert asyncio.run(both()) == "value" == store["k"]
    other.release()


def test_a_child_neither_renews_nor_ends_what_its_parent_holds(store):
    claim = claim_of(store, 3)
    assert claim.take()
    pid = os.fork()
    if not pid:
        signal.alarm(2 * LIMIT)
        claim.release()
        os._exit(store._leases.holds(claim) or THREAD in [thread.name for thread in threading.enumerate()])
    assert os.waitpid(pid, 0)[1] == 0
    assert claim.good()
    renewed(store, claim)
    claim.release()


def test_a_server_that_was_away_ends_no_thread(tmp_path):
    server = RedisServer(tmp_path)
    with d43.open(server.url, retries=0) as store:
        claim, later = claim_of(store, 1), claim_of(store, 3, "later")
        assert claim.take()
        server.kill()
        due = store._leases._held[claim]
        until(lambda: store._leases._held[claim] > due)     # it has tried in vain, and will again
        server.start()
        until(lambda: not store._leases.holds(claim))       # the server has forgotten it
        assert later.take() and not claim.good()
        renewed(store, later)
        later.release()
    server.kill()

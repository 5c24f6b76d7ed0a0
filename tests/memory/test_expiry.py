"""Expiry by the timing wheel: from milliseconds to centuries, each found at its time."""

import random
from datetime import timedelta

import pytest

import door43fast as d43
from door43fast.native.clock import ManualClock

TICK = 2**23 / 1e9


@pytest.fixture
def clock():
    return ManualClock()


@pytest.mark.parametrize("ttl", [0.001, 1, 3, 60, 3600, 86_400, 400 * 86_400, 500 * 86_400, 2e9])
def test_an_entry_lives_its_time_and_no_tick_longer(clock, ttl):
    store = d43.MemoryStore(clock=clock)
    store.set("k", 1, ttl=ttl)
    assert ttl <= store.ttl("k") <= ttl + TICK
    clock.advance(ttl * 0.999)
    assert store["k"] == 1 and store.expire() == 0
    clock.advance(ttl * 0.001 + 1.01 * TICK)
    assert "k" not in store and len(store) == 1
    assert store.expire() == 1 and len(store) == 0
    assert store.verify()["errors"] == []


def test_many_deadlines_are_all_reaped_in_time(clock):
    rng = random.Random(2)
    store = d43.MemoryStore(clock=clock)
    due = {}
    now = 0.0
    for i in range(4000):
        due[i] = now + 10 ** rng.uniform(-1, 6)
        store.set(i, i, ttl=due[i] - now)
        if rng.random() < 0.1:
            step = 10 ** rng.uniform(-2, 4.5)
            clock.advance(step)
            now += step
    for _ in range(40):
        step = 10 ** rng.uniform(0, 5)
        clock.advance(step)
        now += step
        store.expire()
        assert {i for i in due if due[i] > now + 2 * TICK} <= set(store) <= {i for i in due if due[i] > now - 2 * TICK}
        assert store.verify()["errors"] == []


def test_writes_reap_a_few_by_the_way(clock):
    store = d43.MemoryStore(clock=clock, ttl=10)
    store.set_many({i: i for i in range(1000)})
    clock.advance(11)
    assert len(store) == 1000
    for i in range(2000, 2200):
        store[i] = i
    assert len(store) == 200


def test_expiring_entries_tell_their_reason(clock):
    store = d43.MemoryStore(clock=clock)
    heard = []
    store.subscribe("*", lambda event: heard.append((event.op, event.key, event.reason)))
    store.set("a", 1, ttl=1)
    clock.advance(2)
    store.expire()
    assert heard == [("set", "a", "user"), ("delete", "a", "expire")]


@pytest.mark.parametrize("tags", [(), ("x",)])
def test_incr_keeps_a_deadline_that_slid_and_one_that_is_long(clock, tags):
    store = d43.MemoryStore(clock=clock, idle=10)
    store.set("n", 1, tags=tags)
    store.set("far", 1, ttl=1e8, tags=tags, pin=True)
    clock.advance(8)
    assert store.get("n") == 1          # so it lives to 18
    assert store.incr("n") == 2 and store.incr("far") == 2
    assert store.ttl("n") == pytest.approx(10, abs=0.1) and store.ttl("far") == pytest.approx(1e8 - 8, abs=0.1)
    clock.advance(9)
    assert store.get("n") == 2 and store.stats()["pinned"] == 1
    clock.advance(11)
    assert "n" not in store and store.incr("far") == 3
    if tags:
        store.invalidate("x")
        assert "far" not in store
    assert store.verify()["errors"] == []


def test_idle_entries_slide_and_those_with_a_ttl_do_not(clock):
    store = d43.MemoryStore(clock=clock, idle=10)
    store["slides"] = 1
    store.set("fixed", 1, ttl=25)
    for _ in range(2):
        clock.advance(9)
        assert store.get("slides") == 1 and store.get("fixed") == 1
    clock.advance(9)
    assert store.get("slides") == 1 and store.get("fixed") is None
    clock.advance(10.1)
    assert store.get("slides") is None
    assert store.expire() == 2


def test_touch_gives_another_deadline(clock):
    store = d43.MemoryStore(clock=clock)
    store.set("k", 1, ttl=timedelta(seconds=10))
    assert store.touch("k", 100) and not store.touch("absent", 1)
    clock.advance(50)
    assert store["k"] == 1
    store.touch("k", None)
    assert store.ttl("k") is None
    clock.advance(1e6)
    assert store["k"] == 1 and store.expire() == 0
    store.touch("k", 700 * 86_400)
    clock.advance(600 * 86_400)
    assert store["k"] == 1
    store.touch("k", 0)
    assert "k" not in store and len(store) == 0


@pytest.mark.parametrize("ttl", [-1, float("nan"), float("inf"), "5", True])
def test_senseless_times_are_refused(ttl):
    store = d43.MemoryStore()
    with pytest.raises((TypeError, ValueError)):
        store.set("k", 1, ttl=ttl)
    assert len(store) == 0


def test_a_clock_that_is_set_back_expires_nothing(clock):
    store = d43.MemoryStore(clock=clock)
    store.set("k", 1, ttl=10)
    clock.advance(-1000)
    store["j"] = 1
    assert store["k"] == 1 and store.expire() == 0


def test_a_store_that_is_older_than_its_ticks_still_expires(clock):
    store = d43.MemoryStore(clock=clock)
    clock.advance(450 * 86_400)
    store.set("k", 1, ttl=5)
    assert store["k"] == 1
    clock.advance(6)
    assert "k" not in store and store.expire() == 1

"""Values past their time in the fast layer, given at once and renewed in the background."""

import os
import threading
import time

import pytest
from layering import Pair

import door43fast as d43
from door43fast.layers import Wrapper
from door43fast.native.clock import ManualClock

KINDS = ["native", "reference"]


def until(condition):
    """Wait for what another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


class Slow(Wrapper):
    """A store whose reads wait until they may go on, and are counted."""

    def __init__(self, slow):
        super().__init__(slow)
        self.gate = threading.Event()
        self.gate.set()
        self.reads = 0
        self.error = None

    def _ask_key(self, call):
        if call.name == "get":
            self.reads += 1
            assert self.gate.wait(20)
            if self.error is not None:
                raise self.error
        return call.on(self._below())


def slowly(kind, **options):
    p = Pair(kind, ttl=10, **options)
    slow = Slow(p.bottom)
    p.slow = slow
    p.store = type(p.store)(p.fast, slow, **options)
    return p


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_given_at_once_and_renewed_once(kind):
    p = slowly(kind, stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.bottom["k"] = "new"
    p.clock.advance(11)
    reads = p.slow.reads
    p.slow.gate.clear()
    for _ in range(5):
        assert p.store["k"] == "old" and p.store.get_many(["k"]) == ["old"] and p.store.find("k").state == "stale"
    until(lambda: p.slow.reads == reads + 1)
    p.slow.gate.set()
    until(lambda: p.store.stats()["refreshes"]["done"] == 1)
    assert p.store["k"] == "new" and p.store.find("k").state == "fresh" and p.slow.reads == reads + 1
    assert p.store.stats()["stale"] == 15
    p.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_beyond_its_window_it_is_waited_for(kind):
    p = slowly(kind, stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.bottom["k"] = "new"
    p.clock.advance(71)
    assert p.store["k"] == "new" and p.store.stats()["stale"] == 0
    p.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_both_windows_are_their_own(kind):
    p = slowly(kind, stale=5, stale_on_error=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.bottom["k"] = "new"
    p.clock.advance(20)
    p.slow.error = OSError("no route")
    assert p.store["k"] == "old" and p.store.find("k").state == "stale"
    p.slow.error = None
    assert p.store["k"] == "new"
    p.store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_renewal_that_fails_leaves_the_value_until_its_window_ends(kind):
    p = slowly(kind, stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.clock.advance(11)
    p.slow.error = OSError("no route")
    assert p.store["k"] == "old"
    until(lambda: p.store.stats()["refreshes"]["failed"] == 1)
    assert p.store["k"] == "old"
    until(lambda: p.store.stats()["refreshes"]["failed"] == 2)
    p.slow.error = None
    p.clock.advance(60)
    assert p.store["k"] == "old" and p.store.find("k").state == "fresh"
    p.store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [lambda s: s.delete("k"), lambda s: s.set("k", "newer"), lambda s: s.clear()])
def test_a_renewal_brings_back_nothing_that_was_changed_meanwhile(kind, change):
    """The renewal has read the old value when the change comes: its ticket is void."""
    p = slowly(kind, stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.clock.advance(11)
    read = threading.Event()
    go_on = threading.Event()
    get = type(p.slow)._ask_key

    def held(call):
        value = get(p.slow, call)
        if call.name == "get":
            read.set()
            assert go_on.wait(20)
        return value

    p.slow._ask_key = held
    assert p.store["k"] == "old"
    assert read.wait(20)
    change(p.store)
    del p.slow._ask_key
    go_on.set()
    until(lambda: p.store.stats()["refreshes"]["done"] == 1)
    assert p.store.get("k") == p.bottom.get("k") != "old"
    p.store.close()


def test_a_key_that_is_gone_below_leaves_when_it_is_renewed():
    p = slowly("native", stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.bottom.delete("k")
    p.clock.advance(11)
    assert p.store["k"] == "old"
    until(lambda: p.store.stats()["refreshes"]["done"] == 1)
    assert p.store.get("k") is None and len(p.fast) == 0
    p.store.close()


def test_two_threads_renew_whatever_is_asked_and_end_with_the_store():
    p = slowly("native", stale=60)
    p.store.set_many({f"k{i}": i for i in range(50)})
    assert [p.store[f"k{i}"] for i in range(50)] == list(range(50))
    p.clock.advance(11)
    p.slow.gate.clear()
    reads = p.slow.reads
    for i in range(50):
        assert p.store[f"k{i}"] == i
    until(lambda: p.slow.reads == reads + 2)
    workers = [one for one in threading.enumerate() if one.name == "door43fast refresh"]
    assert len(workers) == 2
    p.slow.gate.set()
    until(lambda: p.store.stats()["refreshes"]["done"] == 50)
    p.store.close()
    until(lambda: not any(one.is_alive() for one in workers))


def test_a_store_that_is_let_go_of_is_not_kept_by_its_threads():
    import gc
    import weakref

    p = slowly("native", stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.clock.advance(11)
    assert p.store["k"] == "old"
    until(lambda: p.store.stats()["refreshes"]["done"] == 1)
    gone = weakref.ref(p.store)
    del p.store
    until(lambda: gc.collect() >= 0 and gone() is None)


def test_a_child_of_a_fork_renews_by_threads_of_its_own():
    p = slowly("native", stale=60)
    p.store["k"] = "old"
    assert p.store["k"] == "old"
    p.clock.advance(11)
    p.slow.gate.clear()
    assert p.store["k"] == "old"        # its renewal is under way in the parent
    child = os.fork()
    if child == 0:
        try:
            p.slow.gate.set()
            p.bottom["k"] = "new"
            good = p.store["k"] == "old"
            until(lambda: p.store.stats()["refreshes"]["done"] == 1)
            os._exit(0 if good and p.store["k"] == "new" else 1)
        finally:
            os._exit(2)
    p.slow.gate.set()
    assert os.waitpid(child, 0)[1] == 0
    until(lambda: p.store.stats()["refreshes"]["done"] == 1)
    p.store.close()


def test_a_stale_value_of_the_middle_does_not_become_fresh_above():
    clock = ManualClock()
    slow = Slow(d43.MemoryStore(clock=clock))
    middle = d43.cascade(d43.MemoryStore(clock=clock, ttl=10), slow, stale_on_error=60)
    with d43.cascade(d43.MemoryStore(clock=clock, ttl=100), middle) as store:
        middle["k"] = "old"
        assert middle["k"] == "old"
        clock.advance(11)
        slow.error = OSError("no route")
        assert store["k"] == "old" and store.find("k").state == "stale" and "k" not in store.fast
        slow.error = None
        slow.slow["k"] = "new"
        assert store["k"] == "new" and store.find("k").state == "fresh"


def test_a_computation_gets_what_is_past_its_time_in_the_fast_layer_alone():
    p = Pair("native", ttl=10, stale=60)
    p.store["k"] = "v"
    assert p.store["k"] == "v"
    p.clock.advance(11)
    assert p.store.get_or_compute("k", lambda: "computed") == "v"
    p.store.close()

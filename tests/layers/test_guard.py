"""A guard around one layer: its deadline, its circuit, and the whole contract through it."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError
from door43fast.layers import Guard
from door43fast.layers.failures import Late, Spared
from door43fast.native.clock import ManualClock
from door43fast.testing import Faulty
from door43fast.testing.conformance import StoreConformance

LIMIT = 20


class TestGuardedMemory(StoreConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return Guard(d43.MemoryStore(**options))


class TestGuardedLmdbWithDeadline(StoreConformance):
    capabilities = Capabilities(persistent=True, backup=True, shared=True, streams=True, traces=True)

    def make_store(self, **options):
        return Guard(d43.LmdbStore(self.folder / self.fresh_name(), **options), deadline=LIMIT)

    def open_backup(self, path):
        return d43.LmdbStore(path)


def guarded(**options):
    clock = ManualClock()
    return Guard(Faulty(d43.MemoryStore()), clock=clock, **options), clock


def fails(store, key="a"):
    with pytest.raises(BackendUnavailableError) as error:
        store.get(key)
    return error.value


def test_failures_in_a_row_open_the_circuit_and_probes_close_it():
    store, clock = guarded(failures=3, reset=10, probes=2)
    with store:
        store["a"] = 1
        store.slow.fail(times=2)
        fails(store), fails(store)
        assert store.get("a") == 1 and store.state == "closed"      # a success begins the row anew
        store.slow.down()
        for _ in range(3):
            assert store.state == "closed" and not isinstance(fails(store), Spared)
        asked = store.slow.calls
        spared = fails(store)
        assert isinstance(spared, Spared) and store.state == "open" and store.slow.calls == asked
        for words in ("Faulty", "nothing was carried out", "10 seconds"):
            assert words in str(spared)
        clock.advance(9.9)
        assert isinstance(fails(store), Spared)
        clock.advance(0.2)
        assert store.state == "half-open"
        fails(store)                                                # the probe fails, and it is open again
        assert store.state == "open" and isinstance(fails(store), Spared) and store.slow.calls == asked + 1
        clock.advance(10.1)
        store.slow.up()
        assert store.get("a") == 1 and store.state == "half-open"
        assert store.get("a") == 1 and store.state == "closed"
        row = store.stats()
        assert (row["state"], row["failures"], row["rejected"], row["late"]) == ("closed", 6, 3, 0)


def test_only_so_many_probes_at_a_time():
    store, clock = guarded(failures=1, reset=1, probes=1)
    with store, ThreadPoolExecutor(1) as pool:
        store.slow.fail()
        fails(store)
        clock.advance(1.1)
        store.slow.fail("hang", "get")
        probe = pool.submit(store.get, "a")
        store.slow.wait_for_hanging()
        assert "tried now" in str(fails(store))
        store.slow.release()
        assert probe.result(LIMIT) is None and store.state == "closed"


def test_what_the_caller_caused_neither_opens_nor_closes_it():
    store, clock = guarded(failures=1, reset=1)
    with store:
        for call in (lambda: store["none"], lambda: store.get([1]), lambda: store.set("a", 1, ttl=-1),
                     lambda: list(store.scan(limit=-1))):
            with pytest.raises((KeyError, TypeError, ValueError)):
                call()
        assert store.state == "closed"
        store.slow.fail()
        fails(store)
        clock.advance(1.1)
        with pytest.raises(KeyError):
            store["none"]
        assert store.state == "half-open"       # and the place of the probe is free again
        assert store.get("a") is None and store.state == "closed"


def test_a_call_that_began_before_it_opened_says_nothing_any_more():
    store, clock = guarded(failures=1, reset=1)
    with store, ThreadPoolExecutor(1) as pool:
        store.slow.fail("hang", "get")
        slow = pool.submit(store.get, "a")
        store.slow.wait_for_hanging()
        store.slow.fail("error", "set")
        with pytest.raises(BackendUnavailableError):
            store.set("a", 1)
        store.slow.release()
        assert slow.result(LIMIT) is None and store.state == "open"


def test_a_late_call_is_left_and_its_result_dropped():
    store, _ = guarded(deadline=0.02, failures=9)
    with store:
        store["a"] = 1
        store.slow.fail("hang", "set")
        with pytest.raises(Late, match=r"Faulty has not answered set within 0\.02 seconds"):
            store.set("a", 2)
        assert store.late == 1 and store.get("a") == 1 and store.stats()["late"] == 1
        store.slow.release()
        wait(lambda: store.late == 0)
        assert store.get("a") == 2 and store.stats()["dropped"] == 1     # it was carried out all the same


def test_a_key_takes_no_write_while_a_late_one_of_it_goes_on():
    store, _ = guarded(deadline=0.02, failures=9)
    with store:
        store.set_many({"a": 1, "b": 1})
        store.slow.fail("hang", "set")
        with pytest.raises(Late):
            store.set("a", 2)
        for write in (lambda: store.set("a", 3), lambda: store.delete("a"), lambda: store.set_many({"c": 1, "a": 3}),
                      store.clear, lambda: store.incr("a")):
            with pytest.raises(Spared, match="a write of ('a'|many keys) is late and still goes on"):
                write()
        store["b"] = 2
        assert "c" not in store and store.stats()["rejected"] == 5
        store.slow.release()
        wait(lambda: store.late == 0)
        store["a"] = 4
        assert store.get_many(["a", "b"]) == [4, 2]


def test_memory_above_is_told_when_a_late_write_has_ended():
    guard, _ = guarded(deadline=0.02, failures=9)
    with d43.cascade(d43.MemoryStore(), guard) as store:
        store["a"] = 1
        guard.slow.fail("hang", "set")
        with pytest.raises(Late):
            store["a"] = 2
        assert store["a"] == 1 and store["a"] == 1      # it went up meanwhile
        guard.slow.release()
        wait(lambda: guard.late == 0)
        assert store["a"] == 2


def wait(true):
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_late_calls_are_bounded():
    store, _ = guarded(deadline=0.02, failures=99, max_late=3)
    with store:
        store.slow.down("hang")
        for _ in range(3):
            assert isinstance(fails(store), Late)
        asked = store.slow.calls
        assert isinstance(fails(store), Spared) and "max_late is 3" in str(fails(store))
        assert store.slow.calls == asked
        store.slow.calm()
        wait(lambda: store.late == 0)
        assert store.get("a") is None


def test_a_late_snapshot_is_let_go_of():
    class Held(d43.MemoryStore):
        gone = threading.Event()

        def _snapshot(self):
            inner, gone = super()._snapshot(), self.gone

            class Snapshot:
                read, scan = inner.read, inner.scan

                def close(self):
                    inner.close()
                    gone.set()
            return Snapshot()
    slow = Faulty(Held())
    with Guard(slow, deadline=0.02, failures=9) as store:
        slow.fail("late", "_snapshot")
        with pytest.raises(Late, match="transaction"), store.transaction():
            pass
        slow.release()
        assert Held.gone.wait(LIMIT)
        with store.transaction() as t:
            t["a"] = 1
        assert store["a"] == 1


def test_each_step_of_a_scan_has_a_deadline():
    store, _ = guarded(deadline=0.5, failures=9)
    with store:
        store.set_many({f"k{i:04}": i for i in range(600)})
        assert [value for _, value in store.scan()] == list(range(600)) == [store[key] for key in store.keys()]
        store.slow.fail("partial", "scan")
        with pytest.raises(BackendUnavailableError, match="'scan'"):
            list(store.scan())
        assert store.stats()["failures"] == 1

        class Slow(d43.MemoryStore):
            def scan(self, *args, **options):
                yield "a", 1
                time.sleep(0.2)
                yield "b", 2
        with Guard(Slow(), deadline=0.02) as hanging, pytest.raises(Late, match="scan"):
            list(hanging.scan())


def test_care_takes_as_long_as_it_takes():
    store = Guard(Faulty(d43.MemoryStore(), latency=1, delay=0.05, only=["verify"]), deadline=0.02)
    with store:
        assert store.verify()["errors"] == []


def test_stats_tell_of_a_store_that_fails():
    class Mute(d43.MemoryStore):
        def stats(self):
            raise OSError("no answer")
    with Guard(Mute(), failures=1) as store:
        assert "no answer" in store.stats()["error"]
        row = store.stats()
        assert row["state"] == "open" and row["failures"] == 1 and row["entries"] is None


def test_closing_does_not_wait_beyond_the_deadline():
    class Stuck(d43.MemoryStore):
        free = threading.Event()

        def close(self):
            self.free.wait(LIMIT)
            super().close()
    slow = Stuck()
    store = Guard(slow, deadline=0.02)
    with pytest.raises(BackendUnavailableError, match="has not closed"):
        store.close()
    assert store.closed
    store.close()
    Stuck.free.set()
    with pytest.raises(ClosedError):
        store.get("a")


def test_closing_in_the_middle_of_calls(tmp_path):
    """Every call ends with a value or ClosedError, and none hangs."""
    for _ in range(5):
        store = Guard(d43.LmdbStore(tmp_path / "s", durability="none"), deadline=LIMIT)
        ended = []

        def work(store=store, ended=ended):
            try:
                for i in range(100_000):
                    store.set(f"k{i % 50}", i)
                    store.get_many([f"k{j}" for j in range(10)])
            except ClosedError:
                ended.append(True)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait(lambda store=store: store.slow.stats()["sets"] > 50)
        store.close()
        for thread in threads:
            thread.join(LIMIT)
        assert len(ended) == 8


def test_many_threads_through_one_guard():
    with Guard(d43.MemoryStore(), deadline=LIMIT) as store, ThreadPoolExecutor(64) as pool:
        assert sorted(pool.map(lambda _: store.incr("n"), range(640))) == list(range(1, 641))
        assert store.late == 0 and store.state == "closed"
    assert len(store._crew._idle) == 0


def test_a_fork_begins_with_threads_of_its_own(tmp_path):
    slow = Faulty(d43.LmdbStore(tmp_path / "s", durability="none"))
    store = Guard(slow, deadline=5, failures=1)
    store["a"] = 1
    slow.fail("hang", "get")
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(store.get, "a")
        slow.wait_for_hanging()
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if store.get("a") == 1 and store.late == 0 else 1)
            finally:
                os._exit(2)
        slow.release()
        assert hung.result(LIMIT) == 1
        assert os.waitpid(child, 0)[1] == 0
    store.close()


def test_a_computation_knows_in_a_thread_of_the_guard_what_it_is_inside():
    with Guard(d43.MemoryStore(), deadline=LIMIT) as store:
        with pytest.raises(d43.DeadlockError):
            store.get_or_compute("a", lambda: store.get_or_compute("a", lambda: 1))
        assert store.get_or_compute("a", lambda: store.get_or_compute("b", lambda: 2)) == 2


@pytest.mark.parametrize("options", [
    {"deadline": 0}, {"deadline": -1}, {"deadline": "soon"}, {"failures": 0}, {"failures": 1.5}, {"probes": 0},
    {"reset": -1}, {"max_late": 0}, {"max_late": True}], ids=repr)
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        Guard(d43.MemoryStore(), **options)

"""Every kind of fault really happens, at the calls that were said, and again for the same seed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import door43fast as d43
from door43fast.contracts import Capabilities
from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError
from door43fast.testing import Faulty
from door43fast.testing.conformance import StoreConformance

LIMIT = 20  # seconds that a thread is waited for, if it is right only a fraction of one
ITEMS = {f"k{i}": i for i in range(10)}


class TestWithoutFaults(StoreConformance):
    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return Faulty(d43.MemoryStore(**options))


class TestWithLatency(StoreConformance):
    """Latency changes no meaning."""

    capabilities = Capabilities(traces=True, streams=True)

    def make_store(self, **options):
        return Faulty(d43.MemoryStore(**options), seed=3, latency=0.05, delay=(0, 0.002))


def test_an_error_before_it_leaves_the_store_as_it_was():
    with Faulty(d43.MemoryStore()) as store:
        store["a"] = 1
        for name, call in (("set", lambda: store.set("a", 2)), ("delete", lambda: store.delete("a")),
                           ("set_many", lambda: store.set_many({"a": 2, "b": 2})), ("clear", lambda: store.clear()),
                           ("get", lambda: store.get("a")), ("scan", lambda: store.scan()), ("flush", store.flush)):
            store.fail("error", name)
            with pytest.raises(BackendUnavailableError, match="nothing was carried out"):
                call()
            assert store.slow.get("a") == 1 and len(store.slow) == 1
            assert store.log[-1].name == name and store.log[-1].kind == "error" and store.log[-1].done is False


def test_an_error_after_it_is_a_lost_acknowledgement():
    with Faulty(d43.MemoryStore()) as store:
        store.fail("lost", times=None)
        for call, wanted in ((lambda: store.set("a", 1), {"a": 1}), (lambda: store.incr("a"), {"a": 2}),
                             (lambda: store.set_many({"b": 1, "c": 2}), {"a": 2, "b": 1, "c": 2}),
                             (lambda: store.delete("b"), {"a": 2, "c": 2}), (lambda: store.clear("c"), {"a": 2})):
            with pytest.raises(BackendUnavailableError, match="it was carried out"):
                call()
            assert dict(store.slow.items()) == wanted and store.log[-1].done is True
        store.up()
        store.fail("lost", "set_many")
        assert store.get("a") == 2, "a read has no acknowledgement to lose, and the next set_many is meant"
        with pytest.raises(BackendUnavailableError):
            store.set_many({"d": 1})


@pytest.mark.parametrize("seed", range(20))
def test_a_part_of_a_batch_is_carried_out(seed):
    with Faulty(d43.MemoryStore(), seed=seed) as store:
        store.fail("partial", times=None)
        with pytest.raises(BackendUnavailableError, match="of its keys"):
            store.set_many(ITEMS)
        done = store.log[-1].done
        assert 0 < len(done) < len(ITEMS) and dict(store.slow.items()) == {key: ITEMS[key] for key in done}
        store.slow.set_many(ITEMS)
        with pytest.raises(BackendUnavailableError):
            store.delete_many(list(ITEMS))
        assert set(store.slow) == set(ITEMS) - set(store.log[-1].done)
        assert 0 < len(store.slow) < len(ITEMS)
        store.slow.set_many(ITEMS)
        with pytest.raises(BackendUnavailableError):
            store.clear()
        assert set(store.slow) == set(ITEMS) - set(store.log[-1].done) and 0 < len(store.slow) < len(ITEMS)
        store.slow.clear()
        with pytest.raises(BackendUnavailableError):
            store.set_packed(["a", "b", "c"], b"xyyzzz", [0, 1, 3, 6])
        whole = {"a": b"x", "b": b"yy", "c": b"zzz"}
        assert dict(store.slow.items()) == {key: whole[key] for key in store.log[-1].done} != whole
        store.slow.set_many(ITEMS)
        for read in (store.scan, store.keys, store.__iter__):
            records = read()
            with pytest.raises(BackendUnavailableError):
                list(records)


def test_both_prefixes_and_other_parts_happen():
    prefixes = []
    for seed in range(40):
        store = Faulty(d43.MemoryStore(), seed=seed, partial=1)
        with pytest.raises(BackendUnavailableError):
            store.set_many(ITEMS)
        done = store.log[-1].done
        prefixes.append(done == list(ITEMS)[:len(done)])
    assert 5 < sum(prefixes) < 35


@pytest.mark.parametrize(("kind", "there"), [("hang", False), ("late", True)])
def test_what_hangs_goes_on_when_it_is_released(kind, there):
    with Faulty(d43.MemoryStore()) as store, ThreadPoolExecutor(2) as pool:
        store.fail(kind, "set")
        late = pool.submit(store.set, "a", 1)
        store.wait_for_hanging()
        assert store.slow.get("a") == (1 if there else None) and not late.done() and store.hanging == 1
        assert store.get("b") is None, "other calls go on"
        store.release()
        assert late.result(LIMIT) is None and store.slow["a"] == 1 and store.hanging == 0
        with pytest.raises(TimeoutError, match="0 calls hang"):
            store.wait_for_hanging(timeout=0.01)


def test_what_hangs_has_a_patience_of_its_own():
    with Faulty(d43.MemoryStore(), patience=0.01, hangs=1) as store:
        store["a"] = 1
        assert store["a"] == 1 and [fault.kind for fault in store.log] == ["hang", "hang"] and store.hanging == 0


def test_close_ends_what_hangs_and_leaves_no_thread():
    before = threading.active_count()
    store = Faulty(d43.MemoryStore(), hangs=1)
    failed = []

    def write():
        try:
            store["a"] = 1
        except ClosedError as error:
            failed.append(error)
    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    store.wait_for_hanging(3)
    store.close()
    for thread in threads:
        thread.join(LIMIT)
    assert len(failed) == 3 and store.slow.closed and threading.active_count() == before


def test_latency_waits_and_carries_out():
    with Faulty(d43.MemoryStore(), latency=1, delay=0.02) as store:
        begun = time.monotonic()
        store["a"] = 1
        assert time.monotonic() - begun >= 0.02 and store.slow["a"] == 1 and store.log[0].kind == "latency"


def test_an_outage_concerns_every_call_until_it_ends():
    with Faulty(d43.MemoryStore()) as store:
        store["a"] = 1
        store.down()
        for call in (lambda: store["a"], lambda: store.get_many(["a"]), lambda: len(store), lambda: store.delete("a"),
                     lambda: store.transaction().__enter__(), lambda: store.verify(), lambda: "a" in store):
            with pytest.raises(BackendUnavailableError):
                call()
        assert store.stats()["entries"] == 1, "counts tell of it all the same"
        store.down("lost")
        with pytest.raises(BackendUnavailableError):
            store.get("a")
        with pytest.raises(BackendUnavailableError):
            store.set("a", 2)
        store.up()
        assert store["a"] == 2


def test_scripts_count_what_fits_them():
    with Faulty(d43.MemoryStore()) as store:
        store.fail("error", "set", nth=3)
        store.fail("error", key="x", times=2)
        store["a"] = 1
        store.get("a")
        store["a"] = 2
        with pytest.raises(BackendUnavailableError):
            store["a"] = 3
        store["a"] = 4
        for call in (lambda: store.get("x"), lambda: store.set_many({"y": 1, "x": 1})):
            with pytest.raises(BackendUnavailableError):
                call()
        store["x"] = 1
        assert [(fault.call, fault.name) for fault in store.log] == [(4, "set"), (6, "get"), (7, "set_many")]


def run(seed, **shares):
    """The log of a store to which always the same is done."""
    store = Faulty(d43.MemoryStore(), seed=seed, patience=0, delay=0, error=(OSError, TimeoutError), **shares)
    raised = []
    for turn in range(60):
        for call in (lambda: store.set(f"k{turn}", turn), lambda: store.get("k1"), lambda: store.set_many(ITEMS),
                     lambda: list(store.scan()), lambda: store.delete_many(list(ITEMS)), lambda: store.clear("k")):
            try:
                call()
            except OSError as error:
                raised.append(type(error))
    return store.log, raised, dict(store.slow.items())


def test_a_seed_gives_the_same_faults_and_another_one_others():
    shares = dict.fromkeys(("errors", "lost", "partial", "hangs", "late", "latency"), 0.1)
    log, raised, held = run(1, **shares)
    assert (log, raised, held) == run(1, **shares)
    assert log != run(2, **shares)[0]
    assert {fault.kind for fault in log} == {"error", "lost", "partial", "hang", "late", "latency"}
    assert set(raised) == {OSError, TimeoutError}
    assert run(1) == ([], [], run(5)[2])


@pytest.mark.parametrize("kind", ["errors", "latency"])
def test_shares_are_kept(kind):
    log, _, _ = run(4, **{kind: 0.25})
    assert 0.2 < len(log) / 360 < 0.3
    assert len(run(4, **{kind: 1})[0]) == 360


def test_only_what_is_named_meets_chance():
    with Faulty(d43.MemoryStore(), errors=1, only=["get"], error=ConnectionResetError) as store:
        store["a"] = 1
        with pytest.raises(ConnectionResetError, match="call 2, 'get'") as failed:
            store.get("a")
        assert failed.value.errno
        store.calm()
        assert store.get("a") == 1


def test_what_it_refuses():
    for options, said in (({"errors": 1.5}, "from 0 to 1"), ({"errors": 0.6, "lost": 0.6}, "more than 1")):
        with pytest.raises(ConfigError, match=said):
            Faulty(d43.MemoryStore(), **options)
    store = Faulty(d43.MemoryStore())
    for call in (lambda: store.fail("eror"), lambda: store.down("eror")):
        with pytest.raises(ConfigError, match="did you mean 'error'"):
            call()


def test_below_a_memory_tier():
    with d43.cascade(d43.MemoryStore(), Faulty(d43.MemoryStore())) as store:
        store["a"] = 1
        assert store["a"] == 1
        store.slow.down()
        assert store["a"] == 1, "what is in memory needs no layer below"
        with pytest.raises(BackendUnavailableError):
            store["a"] = 2
        with pytest.raises(BackendUnavailableError):
            store.get("a")
        store.slow.up()
        assert store["a"] == 1


def test_a_race_in_the_order_that_is_wanted():
    with d43.cascade(d43.MemoryStore(), Faulty(d43.MemoryStore())) as store:
        for after, read in ((True, 1), (False, None)):
            store["a"] = 1
            store.slow.meanwhile(lambda: store.delete("a"), "_lookup", after=after)
            store.slow.meanwhile(lambda: store.delete("a"), "_read", after=after)
            store.slow.meanwhile(lambda: store.delete("a"), "get", after=after)
            assert store.get("a") == read and store.slow.calls
            store.slow.forget()
            assert store.get("a") is None, "what was deleted was not promoted"
    with Faulty(d43.MemoryStore()) as store:
        called = []
        store.meanwhile(lambda: called.append(store.slow.get("a")), "set", nth=2)
        store.meanwhile(lambda: called.append(store.slow.get("a")), "set", nth=2, after=False)
        for value in range(4):
            store["a"] = value
        assert called == [0, 1]
        store.meanwhile(called.clear)
        store.forget()
        store.get("a")
        assert called == [0, 1]

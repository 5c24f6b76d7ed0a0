"""A cascade whose fast layer is not in memory: promotion, tickets, failing layers, late writes, what others write."""

import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubled import LIMIT, START, held, wait
from test_parallel import READS, WRITES

import door43fast as d43
from door43fast.errors import BackendUnavailableError, ConfigError, PartialWriteError
from door43fast.layers import Guard, ReadThrough
from door43fast.layers.readthrough import ReadThrough as Class
from door43fast.native.clock import ManualClock
from door43fast.plugins import registry
from door43fast.testing import Faulty


def pair(**options):
    clock = ManualClock()
    fast, slow = Faulty(d43.MemoryStore(clock=clock)), Faulty(d43.MemoryStore(clock=clock))
    slow.slow.set_many(START)
    return ReadThrough(fast, slow, repair="manual", clock=clock, **options), fast, slow, clock


def test_what_is_read_goes_up_and_what_is_written_goes_out():
    store, fast, slow, _ = pair()
    with store:
        assert store["a"] == 1 and held(fast) == {"a": 1}
        assert store.get_many(["a", "b", "none", "p/1"]) == [1, 2, None, 3]
        assert held(fast) == {"a": 1, "b": 2, "p/1": 3}
        before = slow.calls
        assert store["a"] == 1 and store.get_many(["b", "a"]) == [2, 1] and "a" in store and slow.calls == before
        store["a"] = 9
        store.delete("b")
        assert held(fast) == {"p/1": 3} and held(slow) == {"a": 9, "p/1": 3, "p/2": 4}
        assert store["a"] == 9 and "b" not in store
        store.clear("p/")
        assert held(fast) == held(slow) == {"a": 9}


def test_batches_are_one_call_a_layer(tmp_path):
    fast, slow = (Faulty(registry.open("sqlite", {"path": str(tmp_path / name)})) for name in ("fast", "slow"))
    slow.slow.set_many(START)
    with ReadThrough(fast, slow) as store:
        store.get_many(["a", "b"])
        calls = [fast.calls, slow.calls]
        assert store.get_many(["a", "b", "p/1", "p/2"]) == [1, 2, 3, 4]
        assert [fast.calls - calls[0], slow.calls - calls[1]] == [2, 1]     # one to read, one to promote


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_fast_layer_that_fails_fails_nothing(name, kind, warm):
    call, gives, holds = WRITES[name]
    store, fast, slow, clock = pair()
    with store:
        if warm:
            assert dict(zip(START, store.get_many(START), strict=True)) == START == held(fast)
        fast.down(kind)
        assert call(store) == gives and held(slow) == holds
        assert [store.get(key) for key in START] == [holds.get(key) for key in START]
        fast.up()
        clock.advance(11)
        assert [store.get(key) for key in START] == [holds.get(key) for key in START]
        store.repair()
        assert held(fast).items() <= holds.items() and store.stats()["owed"] == 0
        assert [store.get(key) for key in START] == [holds.get(key) for key in START]


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("kind", ["error", "lost"])
def test_what_the_slow_layer_does_holds(name, kind):
    call, _, holds = WRITES[name]
    store, fast, slow, _ = pair()
    with store:
        store.get_many(START)
        for method in ("set", "delete", "set_many", "delete_many", "pop", "add", "replace", "incr", "clear", "_commit",
                       "_publish", "set_packed"):
            slow.fail(kind, method)
        with pytest.raises(BackendUnavailableError):
            call(store)
        slow.up()
        assert held(slow) == (holds if kind == "lost" else START)
        assert [store.get(key) for key in START] == [held(slow).get(key) for key in START]
        assert held(fast).items() <= held(slow).items()


@pytest.mark.parametrize("name", READS)
def test_reads_though_the_fast_layer_fails(name):
    call, gives = READS[name]
    store, fast, _, _ = pair()
    with store:
        assert call(store) == gives
        fast.down()
        for _ in range(7):
            assert call(store) == gives


def test_what_is_above_is_read_though_the_slow_layer_fails():
    store, _, slow, _ = pair()
    with store:
        store.get_many(["a", "b"])
        slow.down()
        assert store["a"] == 1 and store.get_many(["a", "b"]) == [1, 2] and "a" in store
        for call in (lambda: store["p/1"], lambda: store.get_many(["a", "p/1"]), lambda: len(store),
                     lambda: store.set("a", 2)):
            with pytest.raises(BackendUnavailableError):
                call()
        slow.up()
        assert store["a"] == 1


def promotion_against_delete(written):
    """A reader has fetched the old value; before it promotes it, a writer comes."""
    store, fast, slow, _ = pair()
    with store, ThreadPoolExecutor(1) as pool:
        slow.fail("late", "get")
        slow.fail("late", "_with_deadlines")
        reader = pool.submit(store.get, "a")
        slow.wait_for_hanging()
        written(store)
        slow.release()
        assert reader.result(LIMIT) == 1        # it began before
        return store.get("a"), held(fast).get("a")


WRITERS = {"delete": (lambda s: s.delete("a"), None), "set": (lambda s: s.set("a", 9), 9),
           "incr": (lambda s: s.incr("a"), 2), "clear": (lambda s: s.clear("a"), None),
           "commit": (lambda s: s._commit({}, {"a": None}), None)}


@pytest.mark.parametrize("name", WRITERS)
def test_a_promotion_under_way_brings_nothing_back(name, monkeypatch):
    write, after = WRITERS[name]
    assert promotion_against_delete(write)[0] == after
    # and without the ticket it does
    monkeypatch.setattr(Class, "_void_tickets", lambda self, keys: None)
    assert promotion_against_delete(write) == (1, 1)


def late_write(promotes_in_doubt=False):
    slow = Faulty(d43.MemoryStore())
    slow.slow["a"] = "old"
    with ReadThrough(d43.MemoryStore(), Guard(slow, deadline=0.02, failures=99), repair="manual") as store:
        assert store["a"] == "old"
        slow.fail("hang", "set")
        with pytest.raises(BackendUnavailableError, match="has not answered"):
            store["a"] = "new"
        if promotes_in_doubt:
            store._unsure.clear()
        assert store["a"] == "old"              # not there yet
        slow.release()
        wait(lambda: store.slow.late == 0)
        return store["a"]


def test_while_a_late_write_may_land_nothing_is_promoted():
    assert late_write() == "new"
    assert late_write(promotes_in_doubt=True) == "old"      # for ever


def test_a_promotion_that_hangs_lands_on_nothing_newer():
    fast = Faulty(d43.MemoryStore())
    with ReadThrough(Guard(fast, deadline=0.02, failures=99), d43.MemoryStore(), repair="manual") as store:
        store["a"] = "old"
        fast.fail("hang", "set_many")
        assert store["a"] == "old" and store.stats()["owed"] == 1
        store["a"] = "new"
        fast.release()
        wait(lambda: store.fast.late == 0)
        assert held(fast) == {"a": "old"} and store["a"] == "new"
        assert store.repair()["fast"] == 0 and store["a"] == "new"


def test_threads_that_read_write_and_delete(tmp_path):
    """What was overwritten or deleted is never given after that, by any thread."""
    layers = (d43.LmdbStore(tmp_path / "fast", durability="none"),
              Faulty(d43.MemoryStore(), latency=0.2, delay=(0, 0.0005)))
    with ReadThrough(*layers) as store:
        stop = threading.Event()
        wrong = []

        def write(number):
            for i in range(150):
                key = f"k{number}"
                store.set(key, i)
                if store.get(key) != i:
                    wrong.append((key, i))
                store.delete(key)
                if store.get(key) is not None or store.get_many([key]) != [None]:
                    wrong.append((key, "deleted", i))

        def read():
            while not stop.is_set():
                store.get_many([f"k{number}" for number in range(4)])
                store.get("k1")
        readers = [threading.Thread(target=read) for _ in range(4)]
        for thread in readers:
            thread.start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        stop.set()
        for thread in readers:
            thread.join(LIMIT)
        assert wrong == [] and len(store) == 0 == len(store.fast)


def test_64_readers_of_one_key():
    store, fast, slow, _ = pair()
    with store, ThreadPoolExecutor(64) as pool:
        assert set(pool.map(lambda _: store["a"], range(640))) == {1} and held(fast) == {"a": 1}


def test_times_to_live_differ():
    clock = ManualClock()
    fast, slow = d43.MemoryStore(clock=clock, ttl=10), d43.MemoryStore(clock=clock)
    with ReadThrough(fast, slow, fast_ttl=5, clock=clock) as store:
        store["endless"] = 1
        store.set("short", 2, ttl=2)
        assert store.get_many(["endless", "short"]) == [1, 2] and store["endless"] == 1
        assert fast.ttl("endless") == pytest.approx(5, abs=0.1) and fast.ttl("short") == pytest.approx(2, abs=0.1)
        clock.advance(2.1)
        assert store.get("short") is None and "short" not in store
        clock.advance(3)
        assert "endless" not in fast and store["endless"] == 1
    with ReadThrough(d43.MemoryStore(clock=clock, ttl=1), Guard(d43.MemoryStore(clock=clock))) as store:
        store["a"] = 1
        assert store["a"] == 1
        clock.advance(1.1)
        assert "a" not in store.fast.slow


@pytest.mark.parametrize("fast_ttl", [None, 30])
def test_what_a_batch_finds_goes_up_in_few_batches(fast_ttl, tmp_path):
    """A set for each key that has a deadline cost a disk a sync each."""
    clock = ManualClock()
    slow, fast = d43.MemoryStore(clock=clock), d43.LmdbStore(tmp_path, durability="none", clock=clock)
    for number in range(1000):
        slow.set(f"k{number}", number, ttl=(None, 60, 60 + number / 1000, 3600)[number % 4])
    with ReadThrough(fast, slow, fast_ttl=fast_ttl, clock=clock) as store:
        before = fast.stats()["transactions"]
        assert store.get_many([f"k{n}" for n in range(1000)]) == list(range(1000)) and len(fast) == 1000
        assert fast.stats()["transactions"] - before < 10
        for key in slow:
            least = min(one for one in (slow.ttl(key), fast_ttl, 1e9) if one is not None)
            assert fast_ttl is None and slow.ttl(key) is None is fast.ttl(key) or (
                0.97 * least < fast.ttl(key) <= least + 0.001)


@pytest.mark.parametrize(("promote", "after"), [("always", [1, 1, 1]), ("second", [0, 1, 1]), ("never", [0, 0, 0])])
def test_when_it_is_promoted(promote, after):
    store, fast, _, _ = pair(promote=promote)
    with store:
        assert [(store["a"], len(fast.slow)) for _ in range(3)] == [(1, one) for one in after]
        assert store.stats()["promotions"] == max(after)


def test_a_value_that_could_be_changed_is_not_kept_as_an_object():
    store, fast, slow, _ = pair()
    with store:
        store["list"] = [1]
        store["list"].append(2)
        slow.slow["list"] = [1]
        assert store["list"] == [1] and "list" not in held(fast)


def test_tags():
    store, fast, slow, _ = pair()
    with store:
        store.set("t", 1, tags=("tag",))
        assert store["t"] == 1 == held(fast)["t"]
        store.invalidate("tag")
        assert "t" not in store and held(fast) == {} and "a" in store


def test_closing_tells_what_the_fast_layer_has_still_to_lose(tmp_path):
    fast = Faulty(d43.LmdbStore(tmp_path / "fast"))
    store = ReadThrough(fast, d43.MemoryStore(), repair="manual")
    store["a"] = 1
    assert store["a"] == 1
    fast.down()
    store.delete("a")
    assert "a" not in store
    with pytest.raises(PartialWriteError, match="fast: it owes 1 keys"):
        store.close()


def test_a_process_that_is_killed_in_a_write_leaves_nothing_old_above(tmp_path):
    child = os.fork()
    if child == 0:
        try:
            slow = Faulty(d43.LmdbStore(tmp_path / "slow"))
            store = ReadThrough(d43.LmdbStore(tmp_path / "fast"), slow)
            store["a"] = "old"
            assert store["a"] == "old" == store.fast["a"]
            slow.fail("late", "set")
            threading.Thread(target=lambda: store.set("a", "new"), daemon=True).start()
            slow.wait_for_hanging()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with ReadThrough(d43.LmdbStore(tmp_path / "fast"), d43.LmdbStore(tmp_path / "slow")) as store:
        assert store["a"] == "new"


def test_what_others_write_to_redis_leaves_the_layer_above(redis, tmp_path):
    place = {"type": "redis", "url": redis.url, "namespace": "through"}
    plan = {"strategy": "cascade", "layers": [{"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "l")}, place]}
    with d43.open(plan) as store, d43.open(place) as other:
        store.set_many({"a": 1, "b": 2})
        assert store.get_many(["a", "b"]) == [1, 2]
        wait(lambda: store.slow.get_many(["a", "b"]) == [1, 2] and store.slow.fast.get("a") == 1)
        assert pickle.loads(pickle.dumps(store))["a"] == 1
        other["a"] = 9
        other.delete("b")
        wait(lambda: store["a"] == 9 and "b" not in store)
        wait(lambda: store.slow.fast.get("a") in (None, 9) and "b" not in store.slow.fast)


def test_three_layers_by_a_plan(tmp_path):
    plan = {"strategy": "cascade", "layers": [
        {"type": "memory"}, {"type": "lmdb", "path": str(tmp_path / "l")},
        {"type": "sqlite", "path": str(tmp_path / "s"), "guard": {"deadline": "20s"}}]}
    with d43.open(plan) as store:
        assert isinstance(store, d43.Cascade) and isinstance(store.slow, ReadThrough)
        store["a"] = {"x": [1]}
        assert store["a"] == {"x": [1]} == store.slow.fast["a"] == store.slow.slow["a"]
        assert [row.get("state") for row in store.stats()["layers"]][-2:]
        again = pickle.dumps(store)
    with pickle.loads(again) as store:
        assert store["a"] == {"x": [1]} and store.delete("a") and "a" not in store.slow.fast
    with pytest.raises(ConfigError, match="share= has no effect"):
        d43.open({**plan, "layers": plan["layers"][1:], "share": True})


def test_a_call_chooses_by_the_fast_layer(tmp_path):
    with d43.cascade(d43.LmdbStore(tmp_path / "l"), d43.MemoryStore()) as store:
        assert isinstance(store, ReadThrough)
    with d43.cascade(d43.MemoryStore(), d43.MemoryStore()) as store:
        assert isinstance(store, d43.Cascade)


@pytest.mark.parametrize(("options", "words"), [
    ({"promote": "sometimes"}, "promote="), ({"fast_ttl": 0}, "fast_ttl=0"), ({"fast_ttl": -1}, "fast_ttl"),
    ({"max_owed": -1}, "max_owed")], ids=repr)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        ReadThrough(d43.MemoryStore(), d43.MemoryStore(), **options)


def test_a_fast_layer_must_take_writes(tmp_path):
    d43.LmdbStore(tmp_path / "s").close()
    with pytest.raises(ConfigError, match="must take writes"):
        ReadThrough(d43.LmdbStore(tmp_path / "s", readonly=True), d43.MemoryStore())


def test_it_takes_time_only_once_to_find_out_that_a_fast_layer_hangs():
    fast = Faulty(d43.MemoryStore())
    with ReadThrough(Guard(fast, deadline=0.05, failures=2, reset=60), d43.MemoryStore()) as store:
        store["a"] = 1
        fast.down("hang")
        begun = time.monotonic()
        assert [store["a"] for _ in range(50)] == [1] * 50 and time.monotonic() - begun < LIMIT
        assert fast.calls < 10
        fast.calm()


def test_what_others_write_is_heard_also_where_the_fast_layer_was_closed_apart():
    """Who tells of it is a thread that others listen to as well: it must not end."""
    store, fast, _, _ = pair()
    fast.close()
    store._evicted(["a"])
    with pytest.raises(d43.ClosedError):
        store["a"]
    store.close()

"""What layers beside each other owe: nothing old is read, nothing deleted comes back, and in the end they agree."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubled import LIMIT, START, held, two, wait

import door43fast as d43
from door43fast.errors import BackendUnavailableError, PartialWriteError
from door43fast.layers import Guard, Parallel
from door43fast.native.clock import ManualClock
from door43fast.testing import Faulty


def test_a_key_is_not_read_where_it_is_owed():
    """The only layer that knows is down: what the other one holds is old, and is not given."""
    store, layers, _ = two()
    with store:
        layers[0].fail("error", "set")
        store["a"] = 9
        layers[1].down()
        for call in (lambda: store.get("a"), lambda: store.get_many(["b", "a"]),
                     lambda: dict(store.items())):
            with pytest.raises(BackendUnavailableError, match="brought up to date"):
                call()
        assert store["b"] == 2
        store["a"] = 10                     # a write that says all ends the debt
        assert store["a"] == 10 == held(layers[0])["a"]
        layers[1].up()
        store.repair()
        assert held(layers[1])["a"] == 10


def test_the_layer_that_lacks_least_is_right_where_all_lack_something():
    store, layers, _ = two()
    with store:
        layers[0].fail("error", "set")
        store["a"] = "acknowledged"         # layer 0 does not have it
        layers[1].fail("lost", "set")
        layers[0].fail("error", "set")
        with pytest.raises(PartialWriteError, match="no layer for certain"):
            store["a"] = "newer"
        for layer in layers:
            layer.up()
        store.repair()
        assert held(layers[0])["a"] == held(layers[1])["a"] == store["a"] == "newer"


@pytest.mark.parametrize("kind", ["hang", "late"])
def test_a_late_write_cannot_undo_a_later_one(kind):
    clock = ManualClock()
    slow = Faulty(d43.MemoryStore())
    with Parallel(d43.MemoryStore(), Guard(slow, deadline=0.02, failures=99, clock=clock), require="any",
                  repair="manual") as store:
        slow.fail(kind, "set")
        store["a"] = "old"                  # hangs in the second layer
        store["a"] = "new"                  # must not go there before the late one has ended
        store.delete("b")
        assert store.repair() == {"layers[0]": 0, "layers[1]": 1}
        slow.release()
        wait(lambda: store.layers[1].late == 0)
        assert store["a"] == "new"
        store.repair()
        assert held(slow) == {"a": "new"}


def test_clear_waits_for_late_writes():
    slow = Faulty(d43.MemoryStore())
    with Parallel(d43.MemoryStore(), Guard(slow, deadline=0.02, failures=99), require="any", repair="manual") as store:
        slow.fail("hang", "set")
        store["a"] = 1
        store.clear()
        slow.release()
        wait(lambda: store.layers[1].late == 0)
        store["c"] = 2
        assert dict(store.items()) == {"c": 2}
        store.repair()
        assert held(slow) == {"c": 2}


def test_a_deleted_key_stays_so_when_its_layer_is_back():
    """Without the debt the first layer would give it again."""
    store, layers, clock = two()
    with store:
        layers[0].down()
        for _ in range(6):
            store.delete("a")
        assert "a" not in store and "a" in held(layers[0])
        layers[0].up()
        clock.advance(11)
        assert "a" not in store and store.get("a") is None and store.get_many(["a", "b"]) == [None, 2]
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
        assert "a" not in held(layers[0]) and store.layers[0].state == "closed"


def test_in_the_background_it_happens_by_itself():
    layers = [Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore())]
    with Parallel(*(Guard(layer, failures=1, reset=0.01) for layer in layers), require="any") as store:
        store.set_many({f"k{i}": i for i in range(600)})
        assert store._repayer is None
        layers[1].down()
        store.set_many({f"k{i}": -i for i in range(600)})
        thread = store._repayer
        assert thread is not None and thread.daemon
        layers[1].up()
        wait(lambda: store.stats()["owed"] == 0)
        assert held(layers[0]) == held(layers[1])
        thread.join(LIMIT)
        assert store._repayer is None
        layers[0].fail()
        store["again"] = 1
        wait(lambda: held(layers[0]).get("again") == 1)
    assert not any(one.name == "door43fast repair" and one.is_alive() and one is store._repayer
                   for one in threading.enumerate())


def test_beyond_its_bound_a_layer_lapses_and_is_copied_anew():
    store, layers, _ = two(max_owed=3)
    with store:
        layers[0].down()
        store.set_many({"x": 1, "y": 2})
        assert store.stats()["layers"][0]["owed"] == 2 and not store.stats()["layers"][0]["lapsed"]
        store.delete_many(["a", "b"])
        row = store.stats()["layers"][0]
        assert row["lapsed"] and row["owed"] == 0
        layers[0].up()
        store.layers[0].breaker.answered(~store.layers[0].breaker._turn)
        layers[0].slow["stranger"] = 1          # whatever it holds by now
        before = layers[0].calls
        assert store["x"] == 1 and "a" not in store and layers[0].calls == before
        store["z"] = 3
        assert layers[0].calls == before, "nothing goes to a layer that waits to be copied anew"
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
        assert held(layers[0]) == held(layers[1]) == {"x": 1, "y": 2, "z": 3, "p/1": 3, "p/2": 4}


def test_what_is_written_while_a_layer_is_copied_goes_there_too():
    store, layers, _ = two(max_owed=0)
    with store:
        store.set_many({f"k{i:04}": i for i in range(2000)})
        layers[1].down()
        store["lapse"] = 1
        layers[1].up()
        layers[1].fail("hang", "set_many", nth=3)       # in the middle of the copy
        with ThreadPoolExecutor(2) as pool:
            repaired = pool.submit(store.repair)
            layers[1].wait_for_hanging()
            written = pool.submit(lambda: (store.set("k1999", "new"), store.delete("k1998"), store.set("k9999", 1)))
            time.sleep(0.02)
            layers[1].release()
            written.result(LIMIT)
            assert set(repaired.result(LIMIT).values()) == {0}
        assert held(layers[0]) == held(layers[1]) and held(layers[1])["k1999"] == "new"
        assert "k1998" not in held(layers[1])


def test_an_empty_layer_is_filled_and_a_full_one_is_not_emptied(tmp_path):
    with d43.LmdbStore(tmp_path / "s") as before:
        before.set_many({f"k{i}": i for i in range(700)})
    with Parallel(d43.MemoryStore(), d43.LmdbStore(tmp_path / "s"), repair="manual") as store:
        assert store["k5"] == 5 and len(store) == 700     # from disk, while memory has still to be filled
        store["new"] = 1
        assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
        assert len(store.layers[0]) == 701
        store.layers[1].breaker.trip("away")
        assert store["k699"] == 699 and store["new"] == 1


def test_expiry_and_tags_survive_a_debt():
    clock = ManualClock()
    layers = [Faulty(d43.MemoryStore(clock=clock)), Faulty(d43.MemoryStore(clock=clock))]
    with Parallel(*layers, require="any", repair="manual") as store:
        layers[1].fail("error", "set", times=3)
        store.set("tagged", 1, tags=("t",))
        store.set("short", 2, ttl=5)
        store.set("pinned", 3, pin=True)
        assert store.repair()["layers[1]"] == 0 and held(layers[1]) == {"tagged": 1, "short": 2, "pinned": 3}
        store.invalidate("t")
        clock.advance(5.1)
        assert held(layers[0]) == held(layers[1]) == {"pinned": 3}


def test_closing_pays_what_can_be_paid_and_tells_the_rest(tmp_path):
    for paid in (True, False):
        slow = Faulty(d43.LmdbStore(tmp_path / f"{paid}"))
        store = Parallel(d43.MemoryStore(), slow, require="any", repair="manual")
        slow.down()
        store["a"] = 1
        if paid:
            slow.up()
            store.close()
        else:
            with pytest.raises(PartialWriteError, match=r"layers\[1\].*owes 1 keys"):
                store.close()
        assert store.closed and slow.closed
        with d43.LmdbStore(tmp_path / f"{paid}") as after:
            assert ("a" in after) is paid
    store = Parallel(Faulty(d43.MemoryStore()), other := Faulty(d43.MemoryStore()), require="any", repair="manual")
    other.down()
    store["a"] = 1
    store.close()       # what is in memory ends with the process in any case


def test_debts_on_disk_outlast_the_process(tmp_path):
    def opened():
        layers = [Faulty(d43.LmdbStore(tmp_path / name)) for name in ("one", "two")]
        return Parallel(*layers, require="any", owed=tmp_path / "owed", repair="manual"), layers
    store, layers = opened()
    store.set_many({"a": 1, "b": 2})
    layers[0].down()
    store.delete("a")
    store.set("c", 3, tags=("t",))
    store.close()
    store, layers = opened()
    assert store.stats()["layers"][0]["owed"] == 2 and "a" not in store and store["c"] == 3
    assert "a" in layers[0].slow
    store.repair()
    assert dict(layers[0].slow.items()) == {"b": 2, "c": 3}
    store.invalidate("t")
    assert "c" not in layers[0].slow
    store.close()
    with opened()[0] as store:
        assert store.stats()["owed"] == 0


def test_what_a_killed_process_was_writing_is_owed_by_all_but_one(tmp_path):
    child = os.fork()
    if child == 0:
        try:
            layers = [Faulty(d43.LmdbStore(tmp_path / name)) for name in ("one", "two")]
            store = Parallel(*layers, owed=tmp_path / "owed")
            store["a"] = "old"
            layers[1].fail("hang", "set")
            threading.Thread(target=lambda: store.set("a", "new"), daemon=True).start()
            layers[1].wait_for_hanging()
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    layers = [d43.LmdbStore(tmp_path / name) for name in ("one", "two")]
    assert [layer["a"] for layer in layers] == ["new", "old"]
    with Parallel(*layers, owed=tmp_path / "owed", repair="manual") as store:
        assert store["a"] == "new" and store.stats()["layers"][1]["owed"] == 1
        store.repair()
        assert layers[1]["a"] == "new"


def test_the_child_of_a_fork_in_the_middle_of_a_write(tmp_path):
    """The other thread holds the section, and is not in the child: nothing hangs there, and the layers agree again."""
    first, second = d43.LmdbStore(tmp_path / "one"), Faulty(d43.LmdbStore(tmp_path / "two"))
    store = Parallel(first, second, require="any", repair="manual")
    store["a"] = "old"
    second.fail("hang", "set")
    with ThreadPoolExecutor(1) as pool:
        write = pool.submit(store.set, "a", "new")
        second.wait_for_hanging()
        child = os.fork()
        if child == 0:
            code = 2
            try:
                second._state = threading.Condition()       # of the tool of this test
                good = store["a"] == "new" and store.stats()["layers"][1]["owed"] == 1
                store["b"] = 1
                good = good and store.repair() == {"layers[0]": 0, "layers[1]": 0}
                code = 0 if good and second.slow["a"] == "new" else 1
            finally:
                os._exit(code)
        second.release()
        write.result(LIMIT)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.close()


def test_64_threads_and_a_layer_that_comes_and_goes():
    """Each thread has keys of its own and knows what they hold; in the end every layer holds just that."""
    failing = ["set", "delete", "set_many", "delete_many", "get_many"]
    layers = [Faulty(d43.MemoryStore(), seed=n, errors=0.05, lost=0.05, only=failing) for n in (1, 2)]
    with Parallel(*(Guard(layer, failures=3, reset=0.001) for layer in layers), require="any") as store:
        def work(number):
            model = {}
            for i in range(60):
                key = f"t{number}/{i % 5}"
                try:
                    if i % 3 == 0:
                        store.delete(key)
                        model.pop(key, None)
                    else:
                        store.set(key, i)
                        model[key] = i
                except d43.Error:               # it may have taken effect: write it again until it is known
                    for _ in range(2000):
                        try:
                            store.set(key, -i)
                            model[key] = -i
                            break
                        except d43.Error:
                            time.sleep(0.001)
                try:
                    assert store.get(key) == model.get(key)
                except BackendUnavailableError:
                    pass                        # nothing is given rather than something old
            return model
        with ThreadPoolExecutor(64) as pool:
            wanted = {key: value for model in pool.map(work, range(64)) for key, value in model.items()}
        for layer in layers:
            layer.calm()
        wait(lambda: (store.repair(), store.stats()["owed"] == 0)[1])
        assert dict(store.items()) == wanted == held(layers[0]) == held(layers[1])


def test_layers_see_writes_of_one_key_in_the_same_order():
    """Without the section two writers of a key would leave two layers different."""
    layers = [d43.MemoryStore(), Faulty(d43.MemoryStore(), latency=0.5, delay=(0, 0.0005))]
    with Parallel(*layers) as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.set("k", i), range(400)))
        assert layers[0]["k"] == held(layers[1])["k"]


def test_closing_in_the_middle_of_writes(tmp_path):
    for _ in range(3):
        store = Parallel(d43.MemoryStore(), Guard(d43.LmdbStore(tmp_path / "s", durability="none"), deadline=LIMIT))
        ended = []

        def work(number, store=store, ended=ended):
            try:
                for i in range(100_000):
                    store.set(f"k{number}", i)
            except d43.ClosedError:
                ended.append(number)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        wait(lambda store=store: store.stats()["sets"] > 50)
        store.close()
        for thread in threads:
            thread.join(LIMIT)
        assert sorted(ended) == list(range(8))


@pytest.mark.parametrize("repair", ["manual", "background"])
def test_what_a_layer_has_no_room_for_stays_owed_alone(repair):
    small = d43.MemoryStore(max_bytes=20_000, policy="none")
    second = Faulty(small)
    with d43.parallel(d43.MemoryStore(), second, require="any", max_owed=3, repair=repair) as store:
        second.down()
        store.set_many({f"k{number}": b"x" * 100 for number in range(20)})
        store["large"] = b"x" * 50_000
        assert store.stats()["layers"][1]["lapsed"]
        second.up()
        if repair == "manual":
            store.repair()
        end = time.monotonic() + 20
        while store.stats()["layers"][1]["lapsed"] or store.stats()["layers"][1]["owed"] != 1:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert len(small) == 20 and store["large"] == b"x" * 50_000 and "large" not in small
        store.delete("large")
        end = time.monotonic() + 20
        while not store.repair() or store.stats()["layers"][1]["owed"]:
            assert time.monotonic() < end
            time.sleep(0.02)

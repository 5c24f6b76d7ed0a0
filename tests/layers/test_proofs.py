"""The guards of layered stores are needed: without each of them something that the tests rule out happens."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from doubled import LIMIT, held, two, wait

import door43fast as d43
from door43fast.contracts import MISSING
from door43fast.layers import Guard, Parallel, repair
from door43fast.layers.debts import Ledger
from door43fast.layers.lagging import Lagging
from door43fast.layers.several import Layer, Several
from door43fast.layers.stripes import Stripes
from door43fast.testing import Faulty


def a_delete_that_a_layer_misses():
    store, layers, _ = two()
    layers[0].fail("error", "delete")
    store.delete("a")
    found = "a" in store
    store.repair()
    return found, "a" in held(layers[0])


def test_without_debts_a_deleted_key_comes_back(monkeypatch):
    assert a_delete_that_a_layer_misses() == (False, False)
    monkeypatch.setattr(Ledger, "add", lambda *args, **options: None)
    assert a_delete_that_a_layer_misses() == (True, True)


def what_two_writers_leave():
    """The first one is held up in the second layer while the other one comes."""
    layers = [d43.MemoryStore(), Faulty(d43.MemoryStore())]
    with Parallel(*layers) as store, ThreadPoolExecutor(2) as pool:
        layers[1].fail("hang", "set")
        first = pool.submit(store.set, "k", 1)
        layers[1].wait_for_hanging()
        second = pool.submit(store.set, "k", 2)
        time.sleep(0.05)        # long enough for it to get through, if nothing holds it back
        layers[1].release()
        first.result(LIMIT), second.result(LIMIT)
        return layers[0]["k"], held(layers[1])["k"]


def test_without_sections_two_layers_stay_different(monkeypatch):
    assert what_two_writers_leave() == (2, 2)

    @contextmanager
    def none(self, keys):
        yield
    monkeypatch.setattr(Stripes, "section", none)
    assert what_two_writers_leave() == (2, 1)


def what_an_old_layer_answers():
    store, layers, _ = two()
    layers[0].fail("error", "set")
    store["a"] = 9
    layers[1].down()
    try:
        return store.get("a")
    except d43.BackendUnavailableError:
        return "nothing"
    finally:
        layers[1].up()


def test_without_the_rule_of_who_knows_an_old_value_is_given(monkeypatch):
    assert what_an_old_layer_answers() == "nothing"
    monkeypatch.setattr(Several, "_readers", lambda self, key: self._layers)
    assert what_an_old_layer_answers() == 1


def what_a_late_write_leaves():
    slow = Faulty(d43.MemoryStore())
    with Parallel(d43.MemoryStore(), Guard(slow, deadline=0.02, failures=99), require="any", repair="manual") as store:
        slow.fail("hang", "set")
        store["a"] = "old"
        store["a"] = "new"
        store.repair()
        slow.release()
        wait(lambda: store.layers[1].late == 0)
        store.repair()
        return held(slow)["a"]


def test_without_waiting_for_late_calls_an_old_value_lands_on_a_new_one(monkeypatch):
    assert what_a_late_write_leaves() == "new"
    monkeypatch.setattr(Layer, "late", 0)
    assert what_a_late_write_leaves() == "new"      # its guard takes no write of the key
    monkeypatch.setattr(Lagging, "in_the_way", lambda self, keys: MISSING)
    assert what_a_late_write_leaves() == "old"


def what_lacks_most():
    """Both layers owe the key, the first one since a write that the second has acknowledged."""
    layers = [Faulty(d43.MemoryStore()), Faulty(d43.MemoryStore())]
    with Parallel(layers[0], Guard(layers[1], deadline=0.02), require="any", repair="manual") as store:
        layers[0].fail("error", "set", times=2)
        store["a"] = "acknowledged"
        layers[1].fail("late", "set")
        try:
            store["a"] = "late"
        except d43.PartialWriteError:
            pass
        layers[1].release()
        wait(lambda: store.layers[1].late == 0)
        store.repair()
        return store.get("a")


def test_without_the_order_of_debts_an_acknowledged_value_is_lost(monkeypatch):
    assert what_lacks_most() == "late"
    monkeypatch.setattr(Several, "_latest", lambda self, key: self._layers[:1])
    assert what_lacks_most() is None


def what_a_copy_keeps_after_an_invalidation():
    store, layers, _ = two(max_owed=0)
    with store:
        store.set("tagged", 1, tags=("t",))
        layers[1].fail("error", "set")
        store["lapse"] = 1
        store.repair()
        store.invalidate("t")
        return "tagged" in held(layers[1])


def test_without_its_tags_a_copy_outlasts_them(monkeypatch):
    assert what_a_copy_keeps_after_an_invalidation() is False
    monkeypatch.setattr(repair, "tags_of", lambda store, keys: [()] * len(keys))
    assert what_a_copy_keeps_after_an_invalidation() is True

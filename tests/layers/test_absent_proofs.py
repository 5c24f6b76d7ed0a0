"""What keeps a layer that was not there from being believed is needed: without each part something wrong is read."""

import os
import signal

import pytest
from failing_layer import wait_for

import door43fast as d43
from door43fast.layers import Guard, Parallel, ReadThrough, Wrapper, WriteBuffer
from door43fast.layers.absentee import Absentee
from door43fast.layers.arrival import Told
from door43fast.layers.debts import Ledger
from door43fast.layers.repair import Repairs
from door43fast.layers.several import Several
from door43fast.testing import Faulty


class Place:
    """A store that is there or not, and outlives what stands above it."""

    def __init__(self, **items):
        self.real, self.there = d43.MemoryStore(), False
        self.real.set_many(items)

    def guard(self):
        one = Absentee(self._open, self.real.capabilities, name="far")
        guard = Guard(one, reset=0, name="far")
        guard.expect(one)
        return guard

    def _open(self):
        if not self.there:
            raise d43.BackendUnavailableError("it is not there")
        return Kept(self.real)

    def holds(self):
        return dict(self.real.items())


class Kept(Wrapper):
    def close(self):
        self._shut = True


def two(far, near, tmp_path=None, **options):
    return Parallel(far.guard(), Kept(near), require="any", repair="manual", owed=tmp_path, **options)


def near(**items):
    store = d43.MemoryStore()
    store.set_many(items)
    return store


def what_an_old_layer_brings_back():
    far = Place(deleted=1, k="old")
    with two(far, near(k="new")) as store:
        far.there = True
        store.repair()
        return "deleted" in store, store["k"]


def test_without_looking_a_deleted_key_comes_back(monkeypatch):
    assert what_an_old_layer_brings_back() == (False, "new")
    monkeypatch.setattr(Several, "_to_be_seen", lambda self, layer: False)
    assert what_an_old_layer_brings_back() == (True, "old")


def what_is_written_meanwhile(tmp_path):
    far = Place(k="old")
    with two(far, near(k="old"), tmp_path) as store:
        store["k"] = "new"
        assert store["k"] == "new"
        far.there = True
        store.repair()
        return store["k"]


def test_without_debts_of_who_was_not_there_a_write_is_lost(monkeypatch, tmp_path):
    assert what_is_written_meanwhile(tmp_path / "1") == "new"
    add = Ledger.add
    monkeypatch.setattr(Ledger, "add", lambda self, *args, **options: None if self.unseen else add(
        self, *args, **options))
    assert what_is_written_meanwhile(tmp_path / "2") == "old"


def what_is_known_of_a_key_that_only_the_other_knows(tmp_path):
    far, here = Place(k="old"), near(k="old")
    far.there = True
    faulty = Faulty(Kept(here))
    with Parallel(far.guard(), faulty, require="any", repair="manual", owed=tmp_path) as store:
        faulty.down("error")
        store["k"] = "new"
    far.there = False
    with two(far, here, tmp_path) as store:
        try:
            return store["k"]
        except d43.BackendUnavailableError:
            return None


def test_without_asking_who_may_know_an_old_value_is_read(monkeypatch, tmp_path):
    assert what_is_known_of_a_key_that_only_the_other_knows(tmp_path / "1") is None

    def latest(self, key):
        return [layer for layer in self._layers if not layer.ledger.unseen]
    monkeypatch.setattr(Several, "_latest", latest)
    assert what_is_known_of_a_key_that_only_the_other_knows(tmp_path / "2") == "old"


def what_becomes_of_the_only_copy():
    far = Place(k=1)
    with two(far, near()) as store:
        far.there = True
        store.repair()
        store.repair()
        return store.get("k"), far.holds()


def test_without_waiting_for_who_may_hold_everything_it_is_emptied(monkeypatch):
    assert what_becomes_of_the_only_copy() == (1, {"k": 1})
    monkeypatch.setattr(Repairs, "_fill", lambda self: None)
    assert what_becomes_of_the_only_copy() == (None, {})


def what_a_fast_layer_gives_that_missed_a_write(tmp_path):
    far, slow = Place(k="old"), near(k="old")
    with ReadThrough(far.guard(), Kept(slow), owed=tmp_path, repair="manual") as store:
        store["k"] = "new"
        far.there = True
        store.repair()
        return store["k"]


def test_a_fast_layer_loses_what_it_missed(monkeypatch, tmp_path):
    assert what_a_fast_layer_gives_that_missed_a_write(tmp_path / "1") == "new"
    monkeypatch.setattr(Ledger, "add", lambda self, *args, **options: None)
    assert what_a_fast_layer_gives_that_missed_a_write(tmp_path / "2") == "old"


def what_memory_gives_when_others_wrote_before_it_was_there(through):
    far = Place(k=1)
    with d43.cascade(d43.MemoryStore(), through(far)) as store:
        with pytest.raises(d43.BackendUnavailableError):
            store.get("k")
        store.fast["k"] = "of nobody"       # what it may hold by way of a layer between
        far.there = True
        store.slow.get("k")
        return store["k"]


def test_memory_above_is_told_that_it_has_arrived(monkeypatch):
    for through in (Place.guard, lambda far: WriteBuffer(far.guard())):
        assert what_memory_gives_when_others_wrote_before_it_was_there(through) == 1
    monkeypatch.setattr(Told, "_epoch", lambda self: 0)
    assert what_memory_gives_when_others_wrote_before_it_was_there(Place.guard) == "of nobody"


def what_is_left_where_the_source_fails():
    layers = [Faulty(near(k=1)), Faulty(near(k=1))]
    with Parallel(*layers, require="any", repair="manual") as store:
        layers[0].fail("error", "clear")
        with pytest.raises(d43.BackendUnavailableError):
            layers[0].clear()
        store._layers[0].ledger.lapse(1)
        layers[1].fail("error", "keys", nth=1)
        store.repair()
        return dict(layers[0].slow.items())


def test_a_layer_is_not_emptied_where_nobody_can_fill_it():
    """Else nothing is left where the other fails for good: a plan of layers in layers lost all it had."""
    assert what_is_left_where_the_source_fails() == {"k": 1}


def test_one_that_comes_back_empty_may_be_right(tmp_path):
    """It alone knew that the last key was deleted; the other one owes that. Seed 800 of the plans with ``away=1``."""
    far, here = Place(k="old"), near(k="old")
    far.there = True
    faulty = Faulty(Kept(here))
    with Parallel(far.guard(), faulty, require="any", repair="manual", owed=tmp_path) as store:
        faulty.down("error")
        assert store.delete("k")
    far.there = False
    with two(far, here, tmp_path) as store:
        far.there = True
        store.repair()
        store.repair()
        assert "k" not in store and far.holds() == {} == dict(here.items())


@pytest.mark.parametrize("write", [lambda store: store.delete("k"), lambda store: store.clear(),
                                   lambda store: store.pop("k"), lambda store: store.set("k", "new")])
def test_a_write_of_which_nobody_knows_whether_it_was_made(write, tmp_path):
    """What the one that was there holds is what holds, and the other one is given it. Seed 1533, with ``away=1``."""
    far, here = Place(k="old", other=1), near(k="old", other=1)
    faulty = Faulty(Kept(here))
    with Parallel(far.guard(), faulty, require="any", repair="manual", owed=tmp_path) as store:
        faulty.down("lost")
        with pytest.raises(d43.Error):
            write(store)
        faulty.up()
        assert store.get("k") == here.get("k") != "old"
        far.there = True
        store.repair()
        store.repair()
        assert store.get("k") == here.get("k") and far.holds() == dict(here.items())


# -- processes -----------------------------------------------------------------------------------------------


def test_a_child_opens_it_by_itself():
    far = Place(k=1)
    guard = far.guard()
    with guard as store:
        one = store.slow
        assert one._opening.acquire(blocking=False)     # as if another thread were opening it at this moment
        pid = os.fork()
        if pid == 0:
            far.there = True
            os._exit(0 if store["k"] == 1 else 1)
        one._opening.release()
        assert os.waitpid(pid, 0)[1] == 0
        assert not one.arrived
        far.there = True
        assert store["k"] == 1


def test_a_child_of_a_store_of_several_repairs_it():
    far = Place(k="old")
    with Parallel(far.guard(), Kept(near(k="new")), require="any") as store:
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            far.there = True
            wait_for(lambda: store._layers[0].ledger.clean)
            os._exit(0 if far.holds() == {"k": "new"} else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert store._layers[0].ledger.unseen and store["k"] == "new"

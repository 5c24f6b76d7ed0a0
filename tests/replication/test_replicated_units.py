"""A batch that is written while a portion is read arrives whole, or the replica says that it is between two states."""

import threading

import pytest

import door43fast as d43
from door43fast.layers import Wrapper
from door43fast.replication.head import Place
from replication_sets import held, members, until


class Meddled(Wrapper):
    """A primary in which a batch is written just after its first key was read for a replica."""

    def __init__(self, slow):
        super().__init__(slow)
        self.meddle = None

    def _meddled(self, key):
        if key == "a" and self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            thread = threading.Thread(target=meddle)
            thread.start()
            thread.join(10)

    def _ask_key(self, call):
        found = super()._ask_key(call)
        if call.name == "_read":
            self._meddled(call.keys[0])
        return found

    def _snapshot(self):
        return View(self, self.slow._snapshot())


class View:
    def __init__(self, store, snapshot):
        self.store, self.snapshot = store, snapshot
        self.scan, self.close = snapshot.scan, snapshot.close

    def read(self, key):
        found = self.snapshot.read(key)
        self.store._meddled(key)
        return found


class Watched(Wrapper):
    """A replica that is looked at after each write."""

    def __init__(self, slow):
        super().__init__(slow)
        self.place, self.states = Place(slow), []

    def _change(self, call):
        done = super()._change(call)
        head = self.place.read()[1]
        self.states.append((head.whole, self.slow.get("a"), self.slow.get("b")))
        return done


@pytest.mark.parametrize("kind", ["memory", "lmdb"])
@pytest.mark.parametrize("how", ["batch", "transaction"])
def test_both_keys_are_of_one_batch(tmp_path, kind, how):
    primary, below = members(kind, tmp_path, 2)
    primary, below = Meddled(primary), Watched(below)
    with d43.replicated(primary, [below], "eventual", poll=0.01) as store:
        def write(value):
            if how == "batch":
                store.set_many({"a": value, "b": value})
            else:
                with store.transaction() as t:
                    t.set_many({"a": value, "b": value})
        write(0)
        store.wait_for()
        for value in range(1, 40, 2):
            primary.meddle = lambda value=value: write(value + 1)
            write(value)
            store.wait_for()
        until(lambda: held(below) == {"a": 40, "b": 40})
    mixed = [state for state in below.states if state[0] and state[1] != state[2]]
    assert mixed == [] and len(below.states) > 20

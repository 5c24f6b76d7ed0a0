"""Two layers that can fail, as one store: what the tests of strategies share."""

import time

import door43fast as d43
from door43fast.layers import Parallel
from door43fast.native.clock import ManualClock
from door43fast.testing import Faulty

LIMIT = 20
START = {"a": 1, "b": 2, "p/1": 3, "p/2": 4}


class Silent(Faulty):
    """A store that does not say which tags its entries carry."""

    def _tags_of(self, keys):
        return [None] * len(keys)


def two(require="any", kind=Faulty, **options):
    """Two layers that can fail, filled, and the clock of their circuits."""
    clock = ManualClock()
    layers = [kind(d43.MemoryStore()), kind(d43.MemoryStore())]
    store = Parallel(*layers, require=require, repair="manual", clock=clock, **options)
    store.set_many(START)
    return store, layers, clock


def held(layer):
    return dict(layer.slow.items())


def wait(true):
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)

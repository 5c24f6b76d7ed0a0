"""A layer is copied anew by two threads at once: it is taken for whole only when it is."""

import threading

import pytest

import door43fast as d43
from door43fast.layers import Wrapper
from door43fast.layers.repair import BATCH
from door43fast.testing import Faulty

LONGEST = 10    # seconds
HELD = {f"key {i}": i for i in range(BATCH - 1)}       # with another one they are given at once, before the walk ends


class Listed(Wrapper):
    """``at`` is called before the walk over keys of each number, ``after`` when it has come to its end."""

    def __init__(self, store):
        super().__init__(store)
        self.walks, self.at, self.after = 0, {}, {}

    def keys(self, prefix="", **bounds):
        self.walks += 1
        number = self.walks
        self.at.get(number, lambda: None)()
        yield from self.slow.keys(prefix, **bounds)
        self.after.get(number, lambda: None)()


@pytest.fixture
def layers():
    """A store of two layers, of which the second owes more than it may; the first, and the second."""
    first, second = Listed(d43.MemoryStore()), Faulty(d43.MemoryStore())
    store = d43.parallel(first, second, require="any", repair="manual", max_owed=0)
    store.set_many(HELD)
    lapse(store, second)
    first.walks = 0
    yield store, first, second
    store.close()


def lapse(store, second):
    second.fail("error", "set")
    store["x"] = 1
    assert store._layers[1].ledger.lapsed is not None


def repairing(store):
    thread = threading.Thread(target=store.repair, daemon=True)
    thread.start()
    return thread


def test_what_another_thread_has_emptied_is_no_copy(layers):
    store, first, second = layers
    given, begun, threads = threading.Event(), threading.Event(), []

    def look_only():        # the first thread has seen that nobody copies, and not emptied it yet
        threads.append(repairing(store))
        assert given.wait(LONGEST)

    def wait_for_the_first():
        given.set()
        assert begun.wait(LONGEST)

    def let_the_second_end():
        begun.set()
        threads[0].join(LONGEST)
    first.at[1], first.after[3], first.at[4] = look_only, wait_for_the_first, let_the_second_end
    store.repair()
    assert not threads[0].is_alive()
    assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
    assert dict(second.slow.scan()) == {**HELD, "x": 1}

"""Runs that a model found and that the code could do, each one forced to happen."""

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError, PartialWriteError
from door43fast.layers import Parallel, WriteBuffer
from door43fast.layers.failures import Spared
from door43fast.layers.forwarding import Wrapper


class Between:
    """A lock after whose first release something else happens, as if another thread had come first."""

    def __init__(self, lock, act):
        self.lock, self.act, self.waiting = lock, act, True

    def __enter__(self):
        return self.lock.__enter__()

    def __exit__(self, *error):
        self.lock.__exit__(*error)
        if self.waiting:
            self.waiting = False
            self.act()


def test_a_delete_of_what_is_flushed_just_then():
    """It looked at what is dirty, then again, and took what had been flushed in between for not there: it was kept."""
    below = d43.MemoryStore()
    with WriteBuffer(below, delay=1000) as buffer:
        buffer.set("k", 1)
        lock = buffer._backlog.lock
        buffer._backlog.lock = Between(lock, buffer.flush)
        assert buffer.delete("k") is True
        buffer._backlog.lock = lock
        assert buffer.get("k") is None and "k" not in buffer
        buffer.set_many({"k": 2, "l": 3})
        buffer._backlog.lock = Between(lock, buffer.flush)
        assert buffer.delete_many(["k", "l", "m"]) == 2
        buffer._backlog.lock = lock
        buffer.flush()
        assert below.get_many(["k", "l"]) == [None, None]


class Layer(Wrapper):
    """A layer that fails as it is told to, and in the middle of whose calls something else happens."""

    fails, meanwhile = None, {}

    def _call(self, name, *args, **options):
        self.meanwhile.pop(name, lambda: None)()
        if self.fails == "spared":
            raise Spared("it is not asked")
        if self.fails == "down":
            raise BackendUnavailableError("it does not answer")
        result = getattr(self.slow, name)(*args, **options)
        self.meanwhile.pop(f"after {name}", lambda: None)()
        if self.fails == "lost":
            raise BackendUnavailableError("its answer was lost")
        return result

    def get(self, key, default=None):
        return self._call("get", key, default)

    def set(self, key, value, **options):
        self._call("set", key, value, **options)

    def set_many(self, items, **options):
        self._call("set_many", items, **options)

    def clear(self, prefix=""):
        self._call("clear", prefix)

    def keys(self, prefix=""):
        yield from self.slow.keys(prefix)
        self.meanwhile.pop("after keys", lambda: None)()


def two_layers():
    first, second = Layer(d43.MemoryStore()), Layer(d43.MemoryStore())
    first.meanwhile, second.meanwhile = {}, {}
    return first, second, Parallel(first, second, require="any", max_owed=0, repair="manual")


@pytest.mark.parametrize("copied", [False, True])
def test_a_read_of_a_layer_that_is_emptied_just_then(copied):
    """It had been chosen before it lapsed, and answered when it had been emptied; also if it is whole again since."""
    first, second, store = two_layers()
    store.set("k", "old")

    def lapse():
        first.fails = "down"
        store.set("k", "new")
        first.fails = None
        second.fails = "down"       # so that nothing can be copied yet
        store.repair()
        second.fails = None
        assert first.slow.get("k") is None
    first.meanwhile["get"] = lapse
    if copied:
        first.meanwhile["after get"] = store.repair
    assert store.get("k") == "new"
    store.close()


@pytest.mark.parametrize("fails", [("lost", "spared"), ("spared", "lost")])
def test_a_write_that_nobody_acknowledged_while_a_layer_is_copied(fails):
    """The key had been copied: then one layer has the write, the other not, and neither knew that it owed anything."""
    first, second, store = two_layers()
    store.set("k", "old")
    store.set_many({f"z{number}": number for number in range(300)})     # so that it is copied in two batches
    first.fails = "down"
    store.set("z0", 0)
    first.fails = None

    def write():
        first.fails, second.fails = fails
        with pytest.raises(PartialWriteError):
            store.set("k", "new")
        first.fails = second.fails = None
    second.meanwhile["after keys"] = write
    for _ in range(3):
        store.repair()
    assert store.repair() == {"layers[0]": 0, "layers[1]": 0}
    assert first.slow.get("k") == second.slow.get("k") == store.get("k")
    store.close()

"""Run in a process of its own: ``count`` writes until it is killed, ``fork`` shares what is dirty, ``exit`` just ends.

``count``: key ``k<i>`` gets ``i``, in order, and what was flushed is told on standard output.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import door43fast as d43
from door43fast.layers import WriteBuffer
from failing_layer import FailingLayer


def count(store, every):
    i = 0
    while True:
        store[f"k{i:07}"] = i
        store["last"] = i
        if i % every == every - 1:
            store.flush()
            print(i, flush=True)
        i += 1


def fork(store):
    """Both go on writing; each writes its own, once."""
    store["both"] = "parent's"
    store.set_many({f"p{i}": i for i in range(100)})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert store["both"] == "parent's" and store.dirty() == []
            store["both"] = "child's"
            store["c"] = 1
            store.flush()
            status = 0
        finally:
            os._exit(status)
    store["after"] = 1
    _, status = os.waitpid(child, 0)
    assert status == 0
    store.close()


def fork_while_failing(store):
    """What could not be flushed before the fork is the parent's, and is written once: when the layer is well again."""
    below = FailingLayer(store.slow)
    store = WriteBuffer(below, delay=1000)
    below.down = "before"
    store["p"] = 1
    child = os.fork()
    if child == 0:
        status = 1
        try:
            below.down = None
            assert store.dirty() == [] and "p" not in store
            store["c"] = 1
            store.close()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0 and store["p"] == 1 and store["c"] == 1 and below.calls == []
    below.down = None
    store.close()


if __name__ == "__main__":
    what, folder = sys.argv[1:3]
    buffer = WriteBuffer(d43.LmdbStore(folder, durability="none", journal=True), delay=0.003, max_dirty=500)
    if what == "count":
        count(buffer, int(sys.argv[3]))
    elif what == "exit":
        buffer.delay = buffer._flusher.delay = 1000
        buffer.set_many({f"k{i}": i for i in range(400)})
    else:
        buffer._flusher.delay = 1000
        globals()[what](buffer)

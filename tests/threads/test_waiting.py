"""Waiting for another's computation can be interrupted, and a fork leaves nobody waiting for the dead."""

import os
import signal
import threading

import pytest

import door43fast as d43


@pytest.fixture(params=["memory", "lmdb", "cascade"])
def store(request, tmp_path):
    opened = {"memory": d43.MemoryStore, "lmdb": lambda: d43.LmdbStore(tmp_path),
              "cascade": lambda: d43.open(tmp_path)}[request.param]()
    yield opened
    opened.close()


@pytest.fixture
def held(store):
    """A computation of the key "k" in another thread, which ends with the test."""
    begun, go = threading.Event(), threading.Event()

    def fn():
        begun.set()
        go.wait(60)
        return "computed"
    thread = threading.Thread(target=store.get_or_compute, args=("k", fn))
    thread.start()
    assert begun.wait(20)
    yield
    go.set()
    thread.join()
    assert store["k"] in ("computed", "child's")


class Interrupted(BaseException):
    pass


def test_a_signal_ends_the_wait(store, held):
    def interrupt(*_):
        raise Interrupted
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Interrupted):
            store.get_or_compute("k", lambda: "mine")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupted_computation_is_taken_over(store):
    def interrupted():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        store.get_or_compute("k", interrupted)
    assert not store._flights and store.get_or_compute("k", lambda: 5) == 5


def test_a_child_does_not_wait_for_a_computation_of_its_parent(store, held):
    """Where processes share the store the parent is another one, which is waited for until its deadline."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)
            found = store.get_or_compute("k", lambda: "child's", deadline=0.2)
            status = 0 if found == store["k"] == "child's" else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0
    # The parent's result comes too late then, and must not be stored over the child's.
    assert store.get("k") == ("child's" if store.capabilities.shared else None)


def test_a_child_does_not_wait_for_a_listener_of_its_parent(store):
    """Whoever delivered events when the process was forked is not there in the child."""
    begun, go = threading.Event(), threading.Event()
    heard = []

    def listen(event):
        heard.append(event.key)
        if event.key == "slow":
            begun.set()
            go.wait(60)
    store.subscribe("*", listen)
    thread = threading.Thread(target=store.set, args=("slow", 1))
    thread.start()
    assert begun.wait(20)
    store["due"] = 1
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)
            store["child's"] = 1
            store.flush()
            status = 0 if heard == ["slow", "child's"] else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    go.set()
    thread.join()
    store.flush()
    assert status == 0
    assert heard == ["slow", "due"]

"""The event queue's own promises, as far as they show without a store: subscriptions and flush."""

import pytest

from door43fast.native.core import EventQueue


def test_a_new_queue_has_told_nothing():
    queue = EventQueue("here")
    assert queue.sequence == 0
    queue.flush()
    queue.drain()
    assert queue.sequence == 0


def test_a_listener_must_be_callable():
    with pytest.raises(TypeError, match="not int"):
        EventQueue().subscribe("*", 3)


def test_a_subscription_ends_with_its_block():
    queue = EventQueue()
    with queue.subscribe("a*", print, values=True) as subscription:
        assert subscription.pattern == "a*"
        assert subscription.values
    subscription.cancel()


def test_a_child_forked_while_another_thread_delivers_still_hears():
    import os
    import threading

    import door43fast as d43

    store = d43.MemoryStore()
    inside, leave = threading.Event(), threading.Event()
    heard = []

    def listen(event):
        heard.append(event.key)
        if event.key == "slow":
            inside.set()
            leave.wait(30)

    store.subscribe("*", listen)
    thread = threading.Thread(target=store.set, args=("slow", 1))
    thread.start()
    inside.wait(30)
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(20)
        store["fast"] = 1
        store.flush()
        os._exit(0 if heard[-1] == "fast" else 1)
    status = os.waitpid(child, 0)[1]
    leave.set()
    thread.join()
    assert status == 0

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

"""The clocks: what kinds there are, that they go forward, and the one that only tests move."""

import time

import pytest

from door43fast.native.clock import Clock, ManualClock


def test_monotonic_goes_forward():
    clock = Clock()
    readings = [clock.seconds for _ in range(1000)]
    assert readings == sorted(readings)
    time.sleep(0.02)
    assert clock.seconds > readings[-1]


def test_wall_is_the_time_of_day():
    assert abs(Clock("wall").seconds - time.time()) < 1


def test_manual_moves_only_by_advance():
    clock = ManualClock()
    before = clock.seconds
    time.sleep(0.01)
    assert clock.seconds == before
    clock.advance(2.5)
    assert clock.seconds - before == 2.5
    clock.advance(-2.5)
    assert clock.seconds == before


def test_unknown_kind_is_refused_by_name():
    with pytest.raises(ValueError, match="'sundial'"):
        Clock("sundial")

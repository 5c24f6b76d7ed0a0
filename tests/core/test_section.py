"""The section of the engine in plain Python holds back the collector of garbage, and gives it back as it was."""

import gc

import pytest

from door43fast.reference.section import Section


def test_one_within_another_does_not_leave_the_collector_off():
    with Section():
        with Section():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with Section(), Section():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_after_an_exception():
    with pytest.raises(KeyError), Section(), Section():
        raise KeyError
    assert gc.isenabled()

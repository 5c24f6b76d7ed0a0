"""Which errors a layer is to blame for, and what a partial write tells."""

import pickle

import pytest

import door43fast as d43
from door43fast import errors
from door43fast.errors import blames_layer


@pytest.mark.parametrize("error", [
    OSError("disk"), TimeoutError("late"), ConnectionError("gone"), RuntimeError("odd"), MemoryError(),
    errors.CorruptError("x"), errors.BackendUnavailableError("x"), errors.MapFullError("x"), errors.FormatError("x"),
    errors.PartialWriteError("set of 'k'", ["a"], {"b": OSError("x")})], ids=repr)
def test_the_layer_failed(error):
    assert blames_layer(error)


@pytest.mark.parametrize("error", [
    TypeError(), ValueError(), KeyError("k"), errors.ConfigError("x"), errors.KeyTooLongError("x"),
    errors.UnsupportedError("x"), errors.ReadOnlyError("x"), errors.BudgetError("x"),
    errors.QuotaError("n", "max_bytes", 1, 1, 2), errors.RateError("n", 1.0, 1.0), errors.ConflictError("x"),
    errors.DeadlockError("x"), errors.PrunedError("x"), errors.ClosedError("x"), KeyboardInterrupt(), SystemExit()],
    ids=repr)
def test_the_caller_or_a_rule_is_why(error):
    assert not blames_layer(error)


def test_a_partial_write_says_who_has_it():
    error = d43.PartialWriteError("the set of key 'k'", ["layers[0]"], {"layers[1]": OSError("no space left")})
    assert error.done == ("layers[0]",) and list(error.failed) == ["layers[1]"]
    text = str(error)
    assert "'k'" in text and "layers[0]" in text and "no space left" in text and "may still take effect" in text
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == text and again.done == error.done and repr(again.failed) == repr(error.failed)

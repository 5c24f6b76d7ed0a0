"""Write buffers that are full, over layers that fail, and at their end."""

import pickle
import threading

import pytest
from failing_layer import LIMIT, FailingLayer, wait_for

import door43fast as d43
from door43fast import errors
from door43fast.layers import Guard, Unflushed, WriteBuffer


# -- bounds --------------------------------------------------------------------------------------------------


def test_a_full_buffer_waits_for_the_flusher(make_buffer):
    buffer, below = make_buffer(max_dirty=50, delay=0.001)
    for i in range(500):
        buffer[f"k{i}"] = i
        assert buffer.stats()["buffer"]["dirty"] <= 50
    buffer.set_many({f"m{i}": i for i in range(500)})       # more than fits goes straight below
    assert below.slow["m499"] == 499
    assert len(buffer) == 1000


def test_bytes_are_bounded(make_buffer):
    buffer, below = make_buffer(max_bytes=1_000_000, delay=0.001)
    for i in range(100):
        buffer[f"k{i}"] = bytes(100_000)
        assert buffer.stats()["buffer"]["bytes"] <= 1_200_000
    assert len(buffer) == 100


def test_a_full_buffer_over_a_layer_that_fails_refuses_and_loses_nothing(make_buffer):
    buffer, below = make_buffer(max_dirty=3, patience=0.05)
    buffer.set_many({"a": 1, "b": 2, "c": 3})
    below.down = "before"
    for call in (lambda: buffer.set("d", 4), lambda: buffer.set_many({"d": 4, "e": 5})):
        with pytest.raises(errors.BudgetError, match="'d'.*not taken"):
            call()
    buffer["a"] = 9     # it is dirty, and needs no room
    assert buffer.get_many(list("abcd")) == [9, 2, 3, None]
    below.down = None
    wait_for(lambda: below.slow.get_many(["a", "b", "c"]) == [9, 2, 3])
    buffer["d"] = 4
    assert buffer["d"] == 4


# -- a layer that fails --------------------------------------------------------------------------------------


def test_the_flusher_tries_again(make_buffer):
    buffer, below = make_buffer(delay=0.001)
    below.down = "before"
    buffer["a"] = 1
    wait_for(lambda: buffer.stats()["buffer"]["failures"] >= 2)
    assert buffer["a"] == 1 and "down" in buffer.stats()["buffer"]["error"]
    with pytest.raises(OSError, match="down"):
        buffer.flush()
    below.down = None
    wait_for(lambda: buffer.stats()["buffer"]["dirty"] == 0)
    assert below.slow["a"] == 1 and buffer.stats()["buffer"]["error"] is None


def test_lost_answers_do_no_harm(make_buffer):
    buffer, below = make_buffer()
    below.slow.set_many({"a": "old", "b": "old"})
    buffer["a"] = 1
    buffer.delete("b")
    below.down = "after"
    for _ in range(3):
        with pytest.raises(OSError, match="lost"):
            buffer.flush()
    assert buffer["a"] == 1 and "b" not in buffer
    below.down = None
    buffer.flush()
    assert dict(below.slow.items()) == {"a": 1}


def test_one_entry_that_is_refused_holds_up_nothing(make_buffer):
    buffer, below = make_buffer(d43.MemoryStore(max_bytes=10_000, policy="none"))
    buffer.set_many({"a": b"1", "big": bytes(20_000), "b": b"2"})
    with pytest.raises(errors.BudgetError):
        buffer.flush()
    assert below.slow.get_many(["a", "b", "big"]) == [b"1", b"2", None] and len(buffer["big"]) == 20_000
    assert [one.key for one in buffer.dirty()] == ["big"] and buffer.stats()["buffer"]["failures"] > 0
    buffer["big"] = b"small"
    buffer.flush()
    assert below.slow["big"] == b"small"


def test_a_late_write_does_not_end_after_a_newer_one():
    """A guard gives up a call, which goes on: until it has ended nothing else is flushed."""
    below = FailingLayer(d43.MemoryStore())
    guard = Guard(below, deadline=0.05, reset=0.01)
    buffer = WriteBuffer(guard, delay=1000, patience=LIMIT)
    buffer["a"] = "old"
    below.gate = gate = threading.Event()
    with pytest.raises(errors.BackendUnavailableError, match="within"):
        buffer.flush()
    below.gate = None
    buffer["a"] = "new"
    for _ in range(3):
        with pytest.raises(errors.BackendUnavailableError):
            buffer.flush()
    assert buffer["a"] == "new" and below.calls == []
    gate.set()
    wait_for(lambda: guard.late == 0)
    buffer.close()
    assert [call.args[1] for call in below.calls] == ["old", "new"]


def test_a_close_that_fails_says_what_is_not_below(make_buffer, tmp_path):
    buffer, below = make_buffer(patience=0.1)
    buffer.set("a", [1], ttl=50, tags=("t",))
    buffer.set_many({f"k{i}": i for i in range(5)})
    below.slow["gone"] = 1
    buffer.delete("gone")
    below.down = "before"
    with pytest.raises(errors.BackendUnavailableError, match=r"7 writes.*'a', 'k0', 'k1', \.\.\..*down"):
        buffer.close()
    assert buffer.closed and below.closed
    buffer.close()
    kept = buffer.dirty()
    assert kept[0]._replace(ttl=None) == Unflushed("set", "a", [1], None, ("t",)) and 49 < kept[0].ttl <= 50.01
    assert kept[1:] == [*(Unflushed("set", f"k{i}", i) for i in range(5)), Unflushed("delete", "gone")]
    with pytest.raises(errors.ClosedError):
        buffer.get("a")
    with pytest.raises(errors.ClosedError):
        buffer.set("a", 1)


def test_a_close_waits_for_a_layer_that_comes_back(make_buffer):
    buffer, below = make_buffer(patience=LIMIT)
    buffer["a"] = 1
    below.down = "before"
    threading.Timer(0.05, lambda: setattr(below, "down", None)).start()
    path = below.slow.path
    buffer.close()
    with d43.LmdbStore(path) as store:
        assert store["a"] == 1


# -- as an object --------------------------------------------------------------------------------------------


def test_wrong_options_are_refused():
    with d43.MemoryStore() as below:
        for options in ({"max_dirty": 0}, {"max_dirty": 1.5}, {"max_bytes": -1}, {"delay": -1}, {"patience": "1"},
                        {"delay": float("nan")}):
            with pytest.raises(errors.ConfigError, match=next(iter(options))):
                WriteBuffer(below, **options)


def test_a_store_for_event_loops_only_is_refused():
    class Awaited(d43.MemoryStore):
        asynchronous = True

    with pytest.raises(errors.UnsupportedError, match="event loops"):
        WriteBuffer(Awaited())


def test_a_listener_of_a_clear_may_write_into_a_full_buffer():
    """Nothing can be flushed before the clear has ended, so it is not waited for."""
    below = d43.MemoryStore()
    with WriteBuffer(below, max_dirty=2, delay=1000, patience=0) as buffer:
        buffer.set_many({"a": 1, "b": 2})
        buffer.subscribe("*", lambda event: buffer.set("heard", event.op) if event.op == "clear" else None)
        buffer.clear()
        assert buffer["heard"] == "clear" and "a" not in buffer
        buffer.flush()
        assert dict(below.items()) == {"heard": "clear"}


def test_it_is_pickled_when_all_is_below(tmp_path):
    with WriteBuffer(d43.LmdbStore(tmp_path / "s"), delay=1000, max_dirty=7) as buffer:
        buffer["a"] = 1
        with pickle.loads(pickle.dumps(buffer)) as other:
            assert other["a"] == 1 and other.max_dirty == 7


def test_a_store_that_is_dropped_is_flushed(tmp_path):
    buffer = WriteBuffer(d43.LmdbStore(tmp_path / "s"), delay=0.01)
    buffer["a"] = 1
    del buffer
    with d43.LmdbStore(tmp_path / "s") as store:
        wait_for(lambda: store.get("a") == 1)


def test_the_thread_ends_where_nothing_is_dirty(make_buffer, monkeypatch):
    from door43fast.layers import flusher

    monkeypatch.setattr(flusher, "IDLE", 0.01)
    buffer, below = make_buffer(delay=0.001)
    for value in range(2):
        buffer["a"] = value
        wait_for(lambda: buffer._flusher._thread is None)
        assert below.slow["a"] == value

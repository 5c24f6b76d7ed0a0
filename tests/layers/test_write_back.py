"""What a write buffer keeps, in which order it flushes, and what it does when the layer below fails."""

from datetime import timedelta

import pytest

import door43fast as d43
from door43fast import errors
from door43fast.layers import WriteBuffer
from door43fast.layers.flusher import Flusher


# -- reads ---------------------------------------------------------------------------------------------------


def test_what_was_set_is_read_and_not_yet_below(make_buffer):
    buffer, below = make_buffer()
    buffer["a"] = {"text": ["x"]}
    buffer.set_many({"b": 1, "c": None})
    buffer.delete("b")
    assert buffer["a"] == {"text": ["x"]} and buffer.get_many(["a", "b", "c", "d"], 7) == [{"text": ["x"]}, 7, None, 7]
    assert buffer.contains_many(["a", "b", "c", "d"]) == [True, False, True, False] and "b" not in buffer
    assert below.calls == [] and below.slow.get_many(["a", "b", "c"]) == [None] * 3
    buffer.flush()
    assert dict(below.slow.items()) == {"a": {"text": ["x"]}, "c": None}
    assert buffer.stats()["buffer"]["dirty"] == 0


def test_nobody_changes_what_was_set(make_buffer):
    buffer, below = make_buffer()
    value, raw = ["x"], bytearray(b"abc")
    buffer["list"], buffer["raw"] = value, raw
    value.append("changed")
    raw[0] = 0
    buffer["list"].append("changed too")
    assert buffer["list"] == ["x"] and buffer["raw"] == b"abc" and type(buffer["raw"]) is bytes
    buffer.flush()
    assert buffer["list"] == ["x"] and buffer["raw"] == b"abc"


def test_what_cannot_be_stored_is_refused_at_once(make_buffer, tmp_path):
    buffer, below = make_buffer()
    below.slow["a"] = "before"
    for key, value, error in (("a", object(), TypeError), ("a", "\ud800", ValueError),
                              ("", 1, ValueError), (7, 1, TypeError), ("\ud800", 1, ValueError),
                              ("k" * 70_000, 1, errors.KeyTooLongError)):
        with pytest.raises((error, TypeError)):
            buffer[key] = value
        with pytest.raises((error, TypeError)):
            buffer.set_many({"b": 1, key: value})
    for options in ({"ttl": -1}, {"tags": "t"}, {"ttl": "1"}):
        with pytest.raises((ValueError, TypeError)):
            buffer.set("a", 1, **options)
    assert buffer["a"] == "before" and "b" not in buffer and buffer.dirty() == []
    raw, _ = make_buffer(d43.LmdbStore(tmp_path / "raw", codec="raw"))
    with pytest.raises(TypeError, match="raw"):
        raw["a"] = "text"


def test_deadlines_run_from_the_set(tmp_path):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    with WriteBuffer(d43.LmdbStore(tmp_path / "s", clock=clock, ttl=8), delay=1000) as buffer:
        buffer.set("a", 1, ttl=4)
        buffer.set("own", 1, ttl=timedelta(seconds=6))
        buffer["default"] = 1
        clock.advance(3)
        assert buffer.ttl("a") == pytest.approx(1, abs=0.02) and buffer.ttl("default") == pytest.approx(5, abs=0.02)
        assert buffer.touch("own", 1) is True and buffer.ttl("own") == pytest.approx(1, abs=0.02)
        buffer.flush()
        assert buffer.ttl("a") == pytest.approx(1, abs=0.02) and buffer.ttl("default") == pytest.approx(5, abs=0.02)
        clock.advance(1.1)
        assert buffer.get_many(["a", "own", "default"]) == [None, None, 1]
        buffer.set("late", 1, ttl=1)
        clock.advance(2)
        assert "late" not in buffer and buffer.touch("late", 5) is False and buffer.delete("late") is False
        assert buffer.expire() == 3 and len(buffer) == 1


def test_a_deadline_that_passes_before_the_flush_takes_the_older_value_along(tmp_path):
    from door43fast.native.clock import ManualClock

    clock = ManualClock()
    with WriteBuffer(d43.LmdbStore(tmp_path / "s", clock=clock), delay=1000) as buffer:
        buffer["a"] = "old"
        buffer.flush()
        buffer.set("a", "new", ttl=1)
        clock.advance(2)
        assert buffer.get("a") is None
        buffer.flush()
        assert buffer.get("a") is None and len(buffer) == 0


def test_tags_and_pins_are_kept(make_buffer):
    buffer, below = make_buffer(d43.MemoryStore(max_entries=2))
    buffer.set("p", 1, pin=True)
    buffer.set("t", 2, tags=("x",))
    buffer.flush()
    buffer.slow.slow["c"] = 1
    buffer.slow.slow["d"] = 1
    assert buffer["p"] == 1
    buffer.set("t", 2, tags=("x",))
    buffer.flush()
    below.slow.invalidate("x")
    assert "t" not in buffer


def test_keys_that_are_equal_and_not_the_same(tmp_path):
    with WriteBuffer(d43.LmdbStore(tmp_path / "s", keys="any"), delay=1000) as buffer:
        for key in (1, 1.0, ("a", 1), ("a", 1.0), "1", b"1"):
            buffer[key] = repr(key)
        for key in (1, 1.0, ("a", 1), ("a", 1.0), "1", b"1"):
            assert buffer[key] == repr(key) and buffer.get_many([key]) == [repr(key)] and key in buffer
        assert len(buffer) == 6 and buffer.delete(1.0) is True and buffer[1] == "1"
    with WriteBuffer(d43.MemoryStore(), delay=1000) as buffer:
        buffer[1] = "int"
        assert buffer[1.0] == buffer[True] == "int"
        buffer[True] = "bool"
        assert buffer[1] == "bool" and len(buffer) == 1


# -- order ---------------------------------------------------------------------------------------------------


def test_keys_are_flushed_in_the_order_in_which_they_became_dirty(make_buffer):
    buffer, below = make_buffer()
    for key in ("c", "a", "b", "c", "d"):
        buffer[key] = key
    buffer.delete("a")
    buffer.set("e", 1, tags=("t",))
    buffer.set("f", 1)
    buffer.flush()
    assert below.written() == ["c", "a", "b", "d", "e", "f"]
    assert [call.name for call in below.calls] == ["set", "delete", "set_many", "set", "set"]


def test_many_writes_are_few_calls(make_buffer):
    buffer, below = make_buffer()
    buffer.set_many({f"k{i:04}": i for i in range(2500)}, ttl=60)
    for i in range(2500):
        buffer.delete(f"k{i:04}")
    for i in range(500):
        buffer[f"n{i:04}"] = i
    buffer.flush()
    assert len(below.calls) <= 5 and len(buffer) == 500


def test_a_conditional_write_flushes_its_key_and_no_other(make_buffer):
    conditional_writes_flush_their_key(*make_buffer())


def conditional_writes_flush_their_key(buffer, below):
    buffer["other"] = 1
    for key, call, wanted in (("a", lambda: buffer.add("a", 2), False), ("b", lambda: buffer.incr("b"), 6),
                              ("c", lambda: buffer.pop("c"), 5), ("d", lambda: buffer.replace("d", 5, 6), True)):
        buffer[key] = 5
        below.calls.clear()
        assert call() == wanted and below.written() in ([key, key], [key])
    buffer.delete("a")
    assert buffer.add("a", 9) is True and buffer.setdefault("a", 1) == 9 and buffer.incr("b", 0) == 6
    assert below.slow.get("other") is None
    buffer.set("durable", 1, durable=True)
    assert below.slow.get("durable") == 1 and below.slow.get("other") is None


@pytest.mark.parametrize("look", [
    lambda s: list(s.scan()), len, list, lambda s: list(s.keys("a")), lambda s: s.count(), lambda s: s.verify(),
    lambda s: list(s.scan_packed()), lambda s: list(s.items()), lambda s: s.get_packed(["a"])],
    ids=["scan", "len", "iter", "keys", "count", "verify", "scan_packed", "items", "get_packed"])
def test_whole_reads_are_a_barrier(make_buffer, look):
    whole_reads_are_a_barrier(look, *make_buffer())


def whole_reads_are_a_barrier(look, buffer, below):
    buffer["a"] = b"1"
    buffer["b"] = b"1"
    buffer.delete("b")
    found = look(buffer)
    assert below.slow.get("a") == b"1" and found and "b" not in below.slow


def test_set_before_and_after_a_clear_or_an_invalidation(make_buffer):
    buffer, below = make_buffer()
    below.slow.set("t", "old", tags=("x",))
    buffer.set_many({"a/1": 1, "b": 2})
    buffer.set("t", "new", tags=("x",))
    buffer.set("u", "new", tags=("y",))
    buffer.invalidate("x")
    assert "t" not in buffer and buffer["u"] == "new"
    buffer.set("t", "newer", tags=("x",))
    buffer.clear("a/")
    assert buffer.get_many(["a/1", "b", "t"]) == [None, 2, "newer"] and below.slow.get("b") is None
    buffer["a/1"] = 3
    buffer.flush()
    assert dict(below.slow.items()) == {"a/1": 3, "b": 2, "t": "newer", "u": "new"}
    below.slow["v"] = "old"
    buffer.set("v", "new", tags=("z",))
    buffer.invalidate("z")
    buffer.flush()
    assert "v" not in below.slow        # and not the old one


def test_a_clear_that_fails_has_changed_nothing(make_buffer):
    buffer, below = make_buffer()
    buffer.set("a", 1, tags=("x",))
    below.down = "before"
    for call in (lambda: buffer.clear(), lambda: buffer.invalidate("x")):
        with pytest.raises(OSError):
            call()
    assert buffer["a"] == 1


# -- without its guards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name", "scenario"), [
    (WriteBuffer, "_settle", lambda *both: whole_reads_are_a_barrier(len, *both)),
    (Flusher, "flush_keys", conditional_writes_flush_their_key)], ids=["barrier", "conditional writes"])
def test_without_flushing_first_its_test_fails(make_buffer, monkeypatch, kind, name, scenario):
    with monkeypatch.context() as patched, pytest.raises(AssertionError):
        patched.setattr(kind, name, lambda self, keys: None)
        scenario(*make_buffer())

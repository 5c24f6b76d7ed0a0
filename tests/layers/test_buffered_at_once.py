"""What is read of a write buffer while another thread writes the key again, or a flush has to keep it."""

import sys

import pytest

import door43fast as d43
from door43fast.layers import WriteBuffer
from door43fast.layers.backlog import Backlog
from door43fast.layers.flusher import Flusher


@pytest.fixture
def buffer():
    with WriteBuffer(d43.MemoryStore(), delay=1000) as buffer:
        yield buffer


@pytest.mark.parametrize("read", [
    lambda buffer: bytes(buffer.get_packed(["a"])[0]), lambda buffer: buffer._read("a")[1],
    lambda buffer: dict(buffer.scan())["a"]])
def test_what_is_written_again_before_it_is_flushed_is_flushed_all_the_same(buffer, monkeypatch, read):
    buffer["a"] = b"1"
    write, again = Flusher._write, [b"3", b"2"]

    def late(self, batch):
        if again:
            buffer["a"] = again.pop()
        return write(self, batch)
    monkeypatch.setattr(Flusher, "_write", late)
    assert read(buffer) == b"3" and not again


def test_an_entry_that_is_put_behind_the_others_is_there_all_the_time(buffer, monkeypatch):
    buffer["a"] = 1
    write, seen = Flusher._write_run, []

    def look(frame, event, arg):
        if event == "line":
            seen.append(buffer._found("a").value)       # a read, but for its count, which takes the lock
        return look

    def carried(self, shape, run):
        carry = self._carry

        def rewritten(*args):
            buffer["a"] = 2
            return carry(*args)
        monkeypatch.setattr(self, "_carry", rewritten)
        return write(self, shape, run)
    monkeypatch.setattr(Flusher, "_write_run", carried)
    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: look if frame.f_code is Backlog.last.__code__ else None)
    try:
        buffer._flusher.flush()
    finally:
        sys.settrace(before)
    assert seen and set(seen) == {2} and buffer.slow["a"] == 1

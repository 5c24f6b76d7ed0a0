"""Writes beside flushes, promotions, computations and commits; and that each guard against them is needed."""

import threading

import pytest
from failing_layer import LIMIT

import door43fast as d43
from door43fast import errors
from door43fast.layers.backlog import Backlog


def in_the_middle(buffer, below, work):
    """Do ``work`` while what is dirty is being written below."""
    below.gate = threading.Event()
    below.entered.clear()
    flusher = threading.Thread(target=buffer.flush)
    flusher.start()
    assert below.entered.wait(LIMIT)
    try:
        return work()
    finally:
        below.gate.set()
        flusher.join(LIMIT)
        below.gate = None
        assert not flusher.is_alive()


def test_a_newer_value_stays_dirty(make_buffer):
    newer_value_stays_dirty(*make_buffer())


def newer_value_stays_dirty(buffer, below):
    buffer["a"] = "old"
    in_the_middle(buffer, below, lambda: buffer.set("a", "new"))
    assert below.slow["a"] == "old" and buffer["a"] == "new"
    assert [(one.key, one.value) for one in buffer.dirty()] == [("a", "new")]
    buffer.flush()
    assert below.slow["a"] == "new"


def test_a_delete_meanwhile_stays_dirty(make_buffer):
    buffer, below = make_buffer()
    buffer.set_many({"a": 1, "b": 2})
    assert in_the_middle(buffer, below, lambda: buffer.delete("a")) is True
    assert below.slow["a"] == 1 and "a" not in buffer and buffer.get_many(["a", "b"]) == [None, 2]
    buffer.flush()
    assert "a" not in below.slow


def test_what_was_deleted_does_not_come_back_from_below(make_buffer):
    deleted_stays_away(*make_buffer())


def deleted_stays_away(buffer, below):
    below.slow["a"] = "old"
    assert buffer.delete("a") is True
    assert below.slow["a"] == "old" and buffer.get("a") is None and "a" not in buffer
    assert buffer.delete("a") is False and buffer.get_many(["a"]) == [None]
    buffer.flush()
    assert "a" not in below.slow and len(buffer) == 0


@pytest.mark.parametrize("change", ["delete", "set"])
def test_a_promotion_of_the_old_value_while_the_write_is_dirty(make_buffer, change):
    buffer, below = make_buffer()
    below.slow["a"] = "old"
    store = d43.cascade(d43.MemoryStore(), buffer)
    below.read_gate = threading.Event()
    got = []
    reader = threading.Thread(target=lambda: got.append(store.get("a")))
    reader.start()
    assert below.entered.wait(LIMIT)        # it has read the old value, and not promoted it
    gate, below.read_gate = below.read_gate, None
    if change == "delete":
        assert store.delete("a") is True
    else:
        store["a"] = "new"
    gate.set()
    reader.join(LIMIT)
    wanted = None if change == "delete" else "new"
    assert got == ["old"] and store.get("a") == wanted and store.fast.get("a") != "old"
    buffer.flush()
    assert store.get("a") == wanted == below.slow.get("a")


def test_a_computation_is_ended_by_a_write_that_is_buffered(make_buffer):
    buffer, below = make_buffer()
    assert buffer.get_or_compute("a", lambda: (buffer.set("a", "set"), "computed")[1]) == "computed"
    assert buffer["a"] == "set"
    buffer.delete("a")
    assert buffer.get_or_compute("a", lambda: "computed") == "computed" == buffer["a"]


def test_a_transaction_sees_and_conflicts_with_what_is_dirty(make_buffer):
    buffer, below = make_buffer()
    buffer["n"] = 1
    with buffer.transaction() as t:
        assert t["n"] == 1
        t["n"] = 2
        buffer["other"] = 1
    assert buffer["n"] == 2
    with pytest.raises(errors.ConflictError), buffer.transaction() as t:
        assert t["n"] == 2
        buffer["n"] = 5     # dirty when the transaction commits
        t["m"] = 1
    assert buffer["n"] == 5 and "m" not in buffer


def test_a_set_while_a_transaction_commits_does_not_slip_in(make_buffer):
    a_commit_lets_nothing_slip_in(*make_buffer())


def a_commit_lets_nothing_slip_in(buffer, below):
    """The key that it has read can not become dirty between the check and the commit."""
    buffer["n"] = 1
    buffer.flush()
    below.gate = threading.Event()
    done = []

    def commit():
        try:
            with buffer.transaction() as t:
                t["m"] = t["n"] + 1
        except errors.ConflictError:
            return
        done.append("commit")
    committing = threading.Thread(target=commit)
    committing.start()
    assert below.entered.wait(LIMIT)
    setting = threading.Thread(target=lambda: (buffer.set("n", 10), done.append("set")))
    setting.start()
    setting.join(0.05)
    early = buffer["n"], list(done)
    below.gate.set()
    for thread in (committing, setting):
        thread.join(LIMIT)
    assert early == (1, [])     # it went straight below, and is there before or after the commit
    assert buffer["n"] == 10 and sorted(done) in (["commit", "set"], ["set"])


# -- without its guards --------------------------------------------------------------------------------------


def forgetful(self, run):
    """What is written below is clean, whatever was set meanwhile."""
    for key, _ in run:
        entry = self.rows.pop(key, None)
        self.bytes -= entry.size if entry is not None else 0
    self.news += 1


@pytest.mark.parametrize(("kind", "name", "instead", "scenario"), [
    (Backlog, "written", forgetful, newer_value_stays_dirty),
    (Backlog, "put", lambda self, key, entry, put=Backlog.put: None if entry.gone else put(self, key, entry),
     deleted_stays_away),
    (Backlog, "passes", lambda self, keys: False, lambda *both: a_commit_lets_nothing_slip_in(*both)),
], ids=["newer values", "tombstones", "commits"])
def test_without_a_guard_its_test_fails(make_buffer, monkeypatch, kind, name, instead, scenario):
    buffer, below = make_buffer()
    with monkeypatch.context() as patched:
        patched.setattr(kind, name, instead)
        with pytest.raises(AssertionError):
            scenario(buffer, below)

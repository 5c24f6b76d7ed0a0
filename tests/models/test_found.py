"""Runs that a model found and that the code could do, each one forced to happen."""

import door43fast as d43
from door43fast.layers import WriteBuffer


class Between:
    """A lock after whose first release something else happens, as if another thread had come first."""

    def __init__(self, lock, act):
        self.lock, self.act, self.waiting = lock, act, True

    def __enter__(self):
        return self.lock.__enter__()

    def __exit__(self, *error):
        self.lock.__exit__(*error)
        if self.waiting:
            self.waiting = False
            self.act()


def test_a_delete_of_what_is_flushed_just_then():
    """It looked at what is dirty, then again, and took what had been flushed in between for not there: it was kept."""
    below = d43.MemoryStore()
    with WriteBuffer(below, delay=1000) as buffer:
        buffer.set("k", 1)
        lock = buffer._backlog.lock
        buffer._backlog.lock = Between(lock, buffer.flush)
        assert buffer.delete("k") is True
        buffer._backlog.lock = lock
        assert buffer.get("k") is None and "k" not in buffer
        buffer.set_many({"k": 2, "l": 3})
        buffer._backlog.lock = Between(lock, buffer.flush)
        assert buffer.delete_many(["k", "l", "m"]) == 2
        buffer._backlog.lock = lock
        buffer.flush()
        assert below.get_many(["k", "l"]) == [None, None]

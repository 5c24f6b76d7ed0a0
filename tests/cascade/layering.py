"""Cascades of both kinds, and a layer that fails when told to, for the tests of modes."""

import door43fast as d43
from door43fast import reference
from door43fast.layers import Wrapper
from door43fast.native.clock import ManualClock


class Down(Wrapper):
    """A store in Python that raises ``error`` while there is one, and counts what it is asked."""

    def __init__(self, slow):
        super().__init__(slow)
        self.error = None
        self.calls = 0

    def _pass(self, call):
        self.calls += 1
        if self.error is not None:
            raise self.error
        return call.on(self._below())

    _ask_key = _ask_keys = _ask_all = _change = _care = _pass


class Pair:
    """A cascade over a store that can fail, with a clock; ``native`` or of the reference."""

    def __init__(self, kind, ttl=None, folder=None, **options):
        self.clock = ManualClock()
        module = reference if kind == "reference" else d43
        self.bottom = (d43.LmdbStore(folder, durability="none", clock=self.clock) if kind == "disk"
                       else module.MemoryStore(clock=self.clock))
        self.slow = self.bottom if kind == "disk" else Down(self.bottom)
        self.fast = module.MemoryStore(clock=self.clock, ttl=ttl)
        self.store = module.Cascade(self.fast, self.slow, **options)

    def fetches(self, key):
        """Whether a read of ``key`` asks below."""
        before = self.bottom.stats()
        self.store.get(key)
        after = self.bottom.stats()
        return before["hits"] + before["misses"] < after["hits"] + after["misses"]

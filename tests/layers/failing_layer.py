"""A layer whose writes can be made to fail, to be lost after they were made, or to wait."""

import threading
import time

from door43fast.layers import Wrapper

LIMIT = 20      # seconds after which a test has failed


class FailingLayer(Wrapper):
    """``down`` is None, "before" (writes do nothing and raise) or "after" (they are made, and raise).

    While ``gate`` is an event, writes tell ``entered`` and wait for it; ``read_gate`` does the same to reads that have
    read, and are about to give it. ``calls`` holds what was written, in order.
    """

    def __init__(self, slow):
        super().__init__(slow)
        self.down = self.gate = self.read_gate = None
        self.entered = threading.Event()
        self.calls = []

    def _change(self, call):
        if self.gate is not None:
            self.entered.set()
            assert self.gate.wait(LIMIT)
        if self.down == "before":
            raise OSError("the layer is down")
        self.calls.append(call)
        result = self._pass(call)
        if self.down == "after":
            raise OSError("the answer was lost")
        return result

    def _ask_key(self, call):
        result = self._pass(call)
        if self.read_gate is not None:
            self.entered.set()
            assert self.read_gate.wait(LIMIT)
        return result

    _ask_keys = _ask_key

    def written(self):
        """Keys in the order in which they were written."""
        return [key for call in self.calls for key in call.keys or [call.name]]


def wait_for(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)

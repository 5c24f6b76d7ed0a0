"""The section: where the reference engine changes its structures, and no code of a caller can run."""

from __future__ import annotations

import gc
import os
import threading


class Section:
    """A lock that also holds back the garbage collector, whose finalizers are callers' code.

    Between taking the lock and holding back the collector a finalizer may still run, in the same thread, and may
    enter the section itself: hence the lock is re-entrant. The structures are whole at that point. The collector
    is one for the whole process, and so is the lock: a second one would switch it on again under the first.
    """

    _lock = threading.RLock()
    _depth = 0      # how often the thread that has the lock is in
    _collecting = True

    def __enter__(self) -> None:
        self._lock.acquire()
        collecting = gc.isenabled()
        gc.disable()
        if Section._depth == 0:     # else it is this thread's own section that holds the collector back
            Section._collecting = collecting
        Section._depth += 1

    def __exit__(self, *_: object) -> None:
        Section._depth -= 1
        if Section._depth == 0 and Section._collecting:
            gc.enable()
        self._lock.release()


if hasattr(os, "register_at_fork"):     # the child finds the structures whole, and the lock free
    os.register_at_fork(before=Section._lock.acquire, after_in_parent=Section._lock.release,
                        after_in_child=Section._lock.release)

"""What happens to dirty entries when their process forks or ends."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from itertools import count
from typing import Any

SECTION = "door43fast.plugins.section"      # its stores hold their locks over a fork

_flushers: weakref.WeakSet[Any] = weakref.WeakSet()
_numbers = count()                  # a store below was made before the one above, and is flushed after it
_held: list[Any] = []               # between the two ends of a fork
_hooks: set[bool] = set()           # whether SECTION was there when our hooks were registered
_at_exit: list[bool] = []


def attend(flusher: Any) -> None:
    """Have ``flusher`` flushed before its process forks, and before it ends.

    Of the hooks before a fork the one that was registered last runs first, and ours must run before those that lock the
    stores below. So they are registered again once there are such; the second one that runs finds nothing to do.
    """
    flusher.number = next(_numbers)
    _flushers.add(flusher)
    if not _at_exit:
        _at_exit.append(True)
        atexit.register(_end)
    there = SECTION in sys.modules
    if there not in _hooks and hasattr(os, "register_at_fork"):
        _hooks.add(there)
        os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)


def _before() -> None:
    if not _held:
        for flusher in _from_the_top():
            _held.append(flusher)
            flusher.before_fork()
        for flusher in _held:       # no earlier: an upper one is flushed into the lower ones
            flusher.backlog.lock.acquire()


def _from_the_top() -> list[Any]:
    return sorted(_flushers, key=lambda flusher: -flusher.number)


def _in_parent() -> None:
    held, _held[:] = _held[::-1], []
    for flusher in held:
        flusher.after_fork()


def _in_child() -> None:
    held, _held[:] = _held[::-1], []
    for flusher in held:
        flusher.after_fork_in_child()


def _end() -> None:
    """The process ends in an orderly way, with stores that nobody has closed."""
    failed: Exception | None = None
    for flusher in _from_the_top():
        if flusher.backlog.rows and not flusher._stopping:     # else close() has told of it
            try:
                flusher.flush()
            except Exception as error:
                failed = error
    if failed is not None:
        raise failed

"""A lease: who is the writer for the next seconds, and a number that grows with each who becomes it.

Both stand in a store that all sides can reach. The record of the holder expires by itself unless it is renewed. The
number is the term of the writer, and that is what fences one whose lease has ended without its knowing: clocks decide
when another takes over, never what is written.
"""

from __future__ import annotations

import os
import time
from typing import Any

from door43fast.errors import ConfigError, ConflictError

MARGIN = 0.1        # share of the lease that its holder lets go of early: clocks do not run alike


def passed() -> float:
    """Seconds of a clock that goes on while the machine is suspended, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """``term`` is that of the holder while it is this one, else None."""

    def __init__(self, store: Any, seconds: float, name: str) -> None:
        can = store.capabilities if hasattr(store, "capabilities") else None
        if can is None or not (can.writes and can.transactions and can.ttl and can.shared):
            raise ConfigError(f"lease={store!r} must be a store that other processes can reach, with transactions and "
                              "expiry: a LmdbStore in a directory that all share, or one on a Redis server")
        if not isinstance(name, str) or not name:
            raise ConfigError(f"lease_name={name!r} must be a text: it tells apart the sets that share a lease store")
        self.store, self.seconds = store, seconds
        self._key, self._count = f"door43fast lease {name}", f"door43fast term {name}"
        self.renew_holder()

    def renew_holder(self) -> None:
        """Another holder: at the beginning, and in the child of a fork."""
        self.holder = f"{os.getpid()}-{os.urandom(8).hex()}"
        self.term: int | None = None
        self._until = 0.0

    def held(self) -> bool:
        """Whether it is ours, as far as our clock tells."""
        return self.term is not None and passed() < self._until

    def acquire(self, floor: int) -> int | None:
        """Take it, where nobody or only we have it, for a new term above ``floor``; None if another has it."""
        begun = passed()
        try:
            with self.store.transaction() as t:
                holder = t.get(self._key)
                if holder is not None and holder != self.holder:
                    self.term = None
                    return None
                term = max(t.get(self._count, 0), floor) + 1
                t[self._count] = term
                t.set(self._key, self.holder, ttl=self.seconds)
        except ConflictError:       # another at the same time
            return None
        self.term, self._until = term, begun + self.seconds * (1 - MARGIN)
        return term

    def renew(self) -> bool:
        """Have it for the next seconds; False, and it is lost, if it has ended."""
        begun = passed()
        try:
            with self.store.transaction() as t:
                mine = t.get(self._key) == self.holder
                if mine:
                    t.set(self._key, self.holder, ttl=self.seconds)
        except ConflictError:
            mine = False
        if mine:
            self._until = begun + self.seconds * (1 - MARGIN)
        else:
            self.term = None
        return mine

    def release(self) -> None:
        """Let another have it at once."""
        if self.term is not None:
            self.term = None
            try:
                with self.store.transaction() as t:
                    if t.get(self._key) == self.holder:
                        del t[self._key]
            except ConflictError:       # it had ended, and another has it
                return

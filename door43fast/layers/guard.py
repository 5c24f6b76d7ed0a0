"""A guard around one layer: no call waits longer than its deadline, and a layer that fails is spared for a while."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from door43fast.arguments import span
from door43fast.contracts import MISSING, Seconds
from door43fast.errors import ClosedError, ConfigError, blames_layer, may_pass
from door43fast.layers.absentee import Absentee, away
from door43fast.layers.breaker import ABSENT, CLOSED, Breaker
from door43fast.layers.failures import Late, Spared
from door43fast.layers.forwarding import Call, Wrapper
from door43fast.layers.lagging import Lagging, Write
from door43fast.layers.workers import Crew, Overdue
from door43fast.native.tiers_nested import with_deadlines

CHUNK = 256     # records of an iteration that one deadline is for
UNTIMED = frozenset({"verify", "backup", "record_trace"})     # they take as long as they take
STEPWISE = frozenset({"scan", "keys", "scan_packed", "__iter__", "changes"})

_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


class Guard(Wrapper):
    """A store around one other that may hang or fail.

    A call that the store has not answered within ``deadline`` raises ``BackendUnavailableError``; it goes on in its
    thread, and its result is dropped. After ``failures`` failed calls in a row the circuit is open: every call raises
    ``BackendUnavailableError`` at once, without asking the store. ``reset`` seconds later single calls are let through
    as probes, and it closes with the first ``probes`` successes. What the caller caused (a wrong key or option, a value
    beyond the budget, a conflict) is no failure.

    Parameters
    ----------
    slow : Store
        The store underneath. It belongs to the guard from now on, and is closed with it.
    deadline : float or timedelta, optional
        Seconds for each call, for each 256 records of an iteration, and for closing; none, and no threads, if not
        given. ``verify``, ``backup`` and ``record_trace`` have none.
    failures : int
        Failures in a row that open the circuit.
    reset : float or timedelta
        Seconds until a store that failed is tried again.
    probes : int
        Calls that are let through at a time then, and successes that close the circuit.
    max_late : int
        Late calls that may go on at a time; with more of them nothing is asked.
    name : str, optional
        What the store is called in errors.
    clock : door43fast.native.clock.Clock, optional
        Where the time of ``reset`` comes from; the monotonic clock by default.

    Raises
    ------
    BackendUnavailableError
        From any call: the store is late, or spared.
    """

    def __init__(self, slow: Any, *, deadline: Seconds | None = None, failures: int = 5, reset: Seconds = 10.0,
                 probes: int = 1, max_late: int = 8, name: str | None = None, clock: Any = None) -> None:
        super().__init__(slow)
        self.name = name or type(slow).__name__
        try:
            self.deadline = None if deadline is None else span(deadline, "deadline")
            seconds = span(reset, "reset")
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from None
        if self.deadline == 0:
            raise ConfigError("deadline=0 leaves no time to answer: give seconds, or None for no deadline")
        if isinstance(max_late, bool) or not isinstance(max_late, int) or max_late < 1:
            raise ConfigError(f"max_late={max_late!r} is not allowed: give a whole number of 1 or more")
        self.max_late = max_late
        self.breaker = Breaker(self.name, failures, seconds, probes, clock or _monotonic())
        self._crew = Crew(self.name)
        self._lagging = Lagging()
        _guards.add(self)

    @property
    def state(self) -> str:
        """``"closed"``, ``"open"`` or ``"half-open"``, of the circuit."""
        return self.breaker.state

    @property
    def late(self) -> int:
        """How many late calls go on."""
        return self._crew.late

    def expect(self, absentee: Absentee) -> None:
        """Open what is underneath, for the first time; where it cannot be reached, it is awaited, as if it had failed.

        Raises what says that it never can be, as it is.
        """
        try:
            self._run("its opening", absentee.arrive)
        except Exception as error:
            if not may_pass(error):
                raise
            absentee.expected()
            self.breaker.trip(f"it was not there when the plan was opened: {type(error).__name__}: {error}")

    # -- one call --------------------------------------------------------------------------------------------

    def _admit(self) -> int:
        if self._shut:
            raise ClosedError(f"the guard of {self.name} is closed: open it again before use")
        if self._crew.late >= self.max_late:
            self.breaker.rejected += 1
            raise Spared(f"{self.name} was not asked: {self._crew.late} calls are late and still go on, and max_late "
                         f"is {self.max_late}; find out what holds it up")
        return self.breaker.admit()

    def _judged(self, fn: Callable[..., Any], *args: Any) -> Any:
        """What ``fn`` gives, if the circuit lets it through; its end is what the circuit goes by."""
        turn = self._admit()
        try:
            result = fn(*args)
        except BaseException as error:
            if blames_layer(error):
                self.breaker.failed(turn, error)
            else:
                self.breaker.excused(turn)
            raise
        self.breaker.answered(turn)
        return result

    def _run(self, what: str, fn: Callable[[], Any], let_go: Callable[[Any], Any] | None = None,
             write: Write | None = None) -> Any:
        """Carry out ``fn`` in time, if the circuit lets it through."""
        if self.deadline is None or what in UNTIMED:
            return self._judged(fn)
        return self._judged(self._timely, what, fn, let_go, write)

    def _timely(self, what: str, fn: Callable[[], Any], let_go: Callable[[Any], Any] | None,
                write: Write | None) -> Any:
        assert self.deadline is not None
        try:
            return self._crew.call(fn, self.deadline, let_go)
        except Overdue:
            raise Late(f"{self.name} has not answered {what} within {self.deadline:g} seconds: what it does with it "
                       "is not known; its answer will be dropped") from None
        finally:
            if write is not None:
                self._lagging.left(write)

    def _pass(self, call: Call) -> Any:
        if call.name in STEPWISE:
            return self._steps(call)
        if self.deadline is None and call.name != "_snapshot":
            return self._judged(call.on, self.slow)
        if call.name == "_snapshot":
            found = self._run("a transaction", lambda: call.on(self.slow), let_go=lambda late: late.close())
            return GuardedSnapshot(self, found)
        return self._run(call.name.strip("_"), lambda: call.on(self.slow))

    _ask_key = _ask_keys = _ask_all = _pass

    def _change(self, call: Call) -> Any:
        if self.deadline is None:
            return self._judged(call.on, self.slow)
        key = self._lagging.in_the_way(call.keys)
        if key is not MISSING:
            self.breaker.rejected += 1
            raise Spared(f"{self.name} was not asked: a write of {'many keys' if key is None else repr(key)} is late "
                         "and still goes on, and might land on this one; try again when it has ended")
        write = Write(call.keys)

        def carry_out() -> Any:
            try:
                return call.on(self.slow)
            finally:
                self._lagging.ended(write)

        return self._run(call.name.strip("_"), carry_out, write=write)

    def _watched(self) -> tuple[Any, ...]:
        """The store underneath, and what tells when a late write has ended."""
        return (self.slow,) if self.deadline is None else (self.slow, self._lagging.cell)

    def _steps(self, call: Call) -> Iterator[Any]:
        """An iteration whose steps are made in time."""
        what = call.name.strip("_")
        records = self._run(what, lambda: iter(call.on(self.slow)))
        return self._rest(what, records, 1 if call.name == "scan_packed" else CHUNK)

    def _rest(self, what: str, records: Iterator[Any], size: int) -> Iterator[Any]:
        while chunk := self._run(what, lambda: list(islice(records, size))):
            yield from chunk

    # -- what a memory tier above asks for -------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name == "_with_deadlines" and "slow" in self.__dict__:
            return lambda keys: self._run("get_many", lambda: with_deadlines(self.slow, keys))
        return super().__getattr__(name)

    # -- care ------------------------------------------------------------------------------------------------

    def _care(self, call: Call) -> Any:
        if call.name != "stats":
            return self._pass(call)
        self._below()
        try:
            told = self._run("stats", lambda: call.on(self.slow)) if self.breaker.state == CLOSED else (
                {"error": self.breaker.why} if away(self.slow) else {})
        except Exception as error:
            if not blames_layer(error):
                raise
            told = {"error": f"{type(error).__name__}: {error}"}
        return {"entries": None, **dict.fromkeys(COUNTS, 0), "bytes": 0, **told, **self._standing()}

    def _standing(self) -> dict[str, Any]:
        state = ABSENT if away(self.slow) else self.breaker.state
        return {"state": state, "failures": self.breaker.failures, "rejected": self.breaker.rejected,
                "late": self._crew.late, "dropped": self._crew.dropped}

    def close(self) -> None:
        """Close it and the store underneath, which waits for its calls in flight, but not beyond the deadline."""
        if self._shut:
            return
        self._shut = True
        if self.deadline is None:
            self.slow.close()
            return
        try:
            self._crew.call(self.slow.close, self.deadline)
        except Overdue:
            raise Late(f"{self.name} has not closed within {self.deadline:g} seconds: it goes on closing, or waits for "
                       "calls that hang") from None
        finally:
            self._crew.disband()

    def _after_fork(self) -> None:
        self.breaker.renew_lock()
        self._crew.anew()
        self._lagging.anew()


COUNTS = ("hits", "misses", "sets", "deletes", "evictions", "expirations", "stale")


class GuardedSnapshot:
    """What a transaction reads from, in time."""

    def __init__(self, guard: Guard, snapshot: Any) -> None:
        self._guard, self._snapshot = guard, snapshot

    def read(self, key: Any) -> Any:
        return self._guard._run("a read in a transaction", lambda: self._snapshot.read(key))

    def scan(self, *args: Any) -> Iterator[Any]:
        return iter(self._guard._run("a scan in a transaction", lambda: list(self._snapshot.scan(*args))))

    def close(self) -> None:
        if not self._guard.closed:
            self._snapshot.close()


def _monotonic() -> Any:
    from door43fast.native.clock import Clock

    return Clock("monotonic")


def _after_fork() -> None:
    for guard in list(_guards):
        guard._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def late_calls(store: Any) -> int:
    """How many late calls go on in a store, or in a layer of it."""
    below = [getattr(store, name) for name in ("fast", "slow") if hasattr(store, name)] or getattr(store, "layers", ())
    return (store.late if isinstance(store, Guard) else 0) + sum(late_calls(one) for one in below)

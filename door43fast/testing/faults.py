"""A store whose calls fail, linger and hang as a seed or a script says, around a real one.

What befalls call number n follows from the seed and n alone, so the same calls in the same order meet the same faults,
whatever the clock or other threads do. Needs no pytest.
"""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from door43fast.errors import BackendUnavailableError, ClosedError, ConfigError, did_you_mean
from door43fast.layers import Call, Wrapper
from door43fast.testing.portions import divisible, iterates, portion

KINDS = ("error", "lost", "partial", "hang", "late", "latency")
COUNTS = ("stats", "_served_stale")     # what tells of the store without asking what lies behind it
NUMBERS = {TimeoutError: errno.ETIMEDOUT, ConnectionError: errno.ECONNRESET}


class Fault(NamedTuple):
    """What befell a call: its number, the method, the kind of the fault, the keys that it concerned (None for any),
    and whether it was carried out: True, False, or the keys of the part that was."""

    call: int
    name: str
    kind: str
    keys: list[Any] | None
    done: Any


class Script:
    """One order: the calls of ``name`` and ``key``, if these are given, after ``spare`` of them, ``times`` times."""

    def __init__(self, kind: str, name: str | None, key: Any, spare: int, times: int | None) -> None:
        self.kind, self.name, self.key, self.spare, self.times = kind, name, key, spare, times

    def strikes(self, call: Call) -> bool:
        """If it is this call's turn; each call that it could be is counted."""
        if self.times == 0 or self.name not in (None, call.name):
            return False
        if self.key is not None and call.keys is not None and self.key not in call.keys:
            return False
        if self.spare:
            self.spare -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Meeting(NamedTuple):
    """A function that is called in the middle of a call."""

    script: Script
    fn: Callable[[], Any]
    after: bool


class Faulty(Wrapper):
    """A store around another one that injects faults, for tests of what stands above.

    Six kinds of fault, as ``errors=`` and the others give their shares, and as :meth:`fail` and :meth:`down` name them:

    ========== =============================================================================================
    "error"    an error, and nothing was carried out
    "lost"     an error, and the write was carried out: its acknowledgement got lost
    "partial"  an error, and a part of a batch, of a ``clear`` or of a scan was carried out
    "hang"     the call waits for :meth:`release`, then it is carried out
    "late"     it is carried out, then its answer waits for :meth:`release`
    "latency"  the call waits for ``delay`` seconds, then it is carried out
    ========== =============================================================================================

    Parameters
    ----------
    store : Store
        The real one. It is ``slow`` here, so a test can look at what it holds without any fault.
    seed : int
        Another seed, other faults.
    errors, lost, partial, hangs, late, latency : float
        Share of the calls, from 0 to 1, that meet this kind. A call for which a kind has no meaning, such as a read
        whose acknowledgement got lost, is spared.
    delay : float or tuple of float
        Seconds of latency, or the least and the most of them.
    patience : float, optional
        Seconds after which a hanging call goes on by itself; None: it waits for ``release()``.
    error : type or tuple of types
        What is raised: ``BackendUnavailableError``, ``OSError``, ``TimeoutError``, or any exception of one message. Of
        several, the seed chooses.
    only : iterable of str, optional
        Names of the calls that the shares concern; None for all but ``stats``.

    Raises
    ------
    ConfigError
        If a share is out of range, or together they are more than 1.

    Examples
    --------
    >>> from door43fast import MemoryStore
    >>> store = Faulty(MemoryStore(), seed=7, errors=0.1)
    >>> store.fail("lost", "set_many")          # the next set_many is carried out, and raises
    >>> store.down()                            # from now on every call raises
    >>> store.up()
    """

    def __init__(self, store: Any, *, seed: int = 0, errors: float = 0, lost: float = 0, partial: float = 0,
                 hangs: float = 0, late: float = 0, latency: float = 0, delay: float | tuple[float, float] = 0.001,
                 patience: float | None = None, error: Any = BackendUnavailableError,
                 only: Iterable[str] | None = None) -> None:
        super().__init__(store)
        self.seed = seed
        self.shares = {"error": errors, "lost": lost, "partial": partial, "hang": hangs, "late": late,
                       "latency": latency}
        for kind, share in self.shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"the share of {kind!r} is {share!r}: give a number from 0 to 1")
        if sum(self.shares.values()) > 1:
            raise ConfigError(f"the shares {self.shares} are more than 1 together: no call meets two faults")
        self.delay = delay if isinstance(delay, tuple) else (delay, delay)
        self.patience = patience
        self.raised = error if isinstance(error, tuple) else (error,)
        self.only = None if only is None else frozenset(only)
        self.calls = 0
        self.hanging = 0
        self.log: list[Fault] = []
        self._scripts: list[Script] = []
        self._meetings: list[Meeting] = []
        self._outage: str | None = None
        self._state = threading.Condition()
        self._releases = 0

    # -- what a test says ------------------------------------------------------------------------------------

    def fail(self, kind: str = "error", name: str | None = None, *, key: Any = None, nth: int = 1,
             times: int | None = 1) -> None:
        """Have the ``nth`` call from now on that fits meet a fault, and those after it until it was ``times``.

        Parameters
        ----------
        kind : str
            One of the six.
        name : str, optional
            Name of the method, such as ``"set_many"``; ``s[k] = v`` is a ``"set"``, ``with s.transaction()`` ends in a
            ``"_commit"``. None for any.
        key : object, optional
            A key that the call must concern.
        nth : int
            1 for the next one.
        times : int, optional
            None for ever.
        """
        with self._state:
            self._scripts.append(Script(_known(kind), name, key, nth - 1, times))

    def meanwhile(self, fn: Callable[[], Any], name: str | None = None, *, key: Any = None, nth: int = 1,
                  after: bool = True) -> None:
        """Have ``fn()`` called in the middle of the ``nth`` call that fits: a race, in the order that a test wants.

        It runs in the thread of the call: before the call is carried out or, with ``after``, when that has been done
        and before the answer goes up.
        """
        with self._state:
            self._meetings.append(Meeting(Script("meet", name, key, nth - 1, 1), fn, after))

    def forget(self) -> None:
        """Take back all orders of :meth:`fail` and :meth:`meanwhile`. An outage goes on."""
        with self._state:
            self._scripts.clear()
            self._meetings.clear()

    def down(self, kind: str = "error") -> None:
        """An outage: every call meets this fault from now on, and none is spared: it raises where ``kind`` has no
        meaning for it."""
        with self._state:
            self._outage = _known(kind)

    def up(self) -> None:
        """The end of the outage, and of every order of :meth:`fail`. What hangs goes on hanging."""
        with self._state:
            self._outage = None
        self.forget()

    def calm(self) -> None:
        """No faults from now on: shares are 0, the outage ends, and what hangs goes on."""
        with self._state:
            self.shares = dict.fromkeys(self.shares, 0)
        self.up()
        self.release()

    def release(self) -> None:
        """Have every call that hangs now go on."""
        with self._state:
            self._releases += 1
            self._state.notify_all()

    # -- calls -----------------------------------------------------------------------------------------------

    def _any(self, call: Call) -> Any:
        return self._suffer(call, call.name in COUNTS, False)

    def _write(self, call: Call) -> Any:
        return self._suffer(call, False, True)

    _ask_key = _ask_keys = _ask_all = _care = _any
    _change = _write

    def _suffer(self, call: Call, spared: bool, writes: bool) -> Any:
        store = self._below()
        if spared:
            return call.on(store)
        with self._state:
            met = [meeting for meeting in self._meetings if meeting.script.strikes(call)]
        for meeting in met:
            if not meeting.after:
                meeting.fn()
        try:
            return self._befallen(store, call, writes)
        finally:
            for meeting in met:
                if meeting.after:
                    meeting.fn()

    def _befallen(self, store: Any, call: Call, writes: bool) -> Any:
        kind, number, luck = self._fate(call, writes)
        if kind is None:
            return call.on(store)
        if kind == "latency":
            self._note(number, call, kind, True)
            time.sleep(luck.uniform(*self.delay))
            return call.on(self._below())
        if kind == "hang":
            self._note(number, call, kind, True)
            self._wait()
            return call.on(self._below())
        if kind == "late":
            self._note(number, call, kind, True)
            result = call.on(store)
            self._wait()
            return result
        done: Any = False
        if kind == "lost":
            call.on(store)
            done = True
        elif kind == "partial" and iterates(call):
            self._note(number, call, kind, True)
            return self._broken(call.on(store), number, call, luck)
        elif kind == "partial":
            part = portion(store, call, luck)
            part.on(store)
            done = part.keys
        self._note(number, call, kind, done)
        raise self._error(number, call, done, luck)

    def _fate(self, call: Call, writes: bool) -> tuple[str | None, int, random.Random]:
        """The kind of fault that this call meets, its number, and the luck of what else is to be drawn."""
        with self._state:
            self.calls += 1
            number = self.calls
            struck = [script.kind for script in self._scripts if script.strikes(call)]
            wanted = self._outage or (struck[0] if struck else None)
            shares = dict(self.shares)
        luck = random.Random(f"{self.seed}/{number}")
        drawn = luck.random()
        if wanted is None and (self.only is None or call.name in self.only):
            for kind, share in shares.items():
                if drawn < share:
                    wanted = kind if _possible(kind, call, writes) else None
                    break
                drawn -= share
        elif wanted is not None and not _possible(wanted, call, writes):
            wanted = "error"
        return wanted, number, luck

    def _wait(self) -> None:
        """Until the next release, for ``patience`` at most, or until the store is closed."""
        with self._state:
            before = self._releases
            self.hanging += 1
            self._state.notify_all()
            try:
                self._state.wait_for(lambda: self._releases != before or self._shut, self.patience)
            finally:
                self.hanging -= 1

    def wait_for_hanging(self, count: int = 1, timeout: float = 20) -> None:
        """Return when ``count`` calls hang.

        Raises
        ------
        TimeoutError
            If it takes longer than ``timeout`` seconds.
        """
        with self._state:
            if not self._state.wait_for(lambda: self.hanging >= count, timeout):
                raise TimeoutError(f"{self.hanging} calls hang after {timeout} s, not {count}")

    def _broken(self, records: Iterator[Any], number: int, call: Call, luck: random.Random) -> Iterator[Any]:
        left = luck.randrange(4)
        for one in records:
            if left == 0:
                raise self._error(number, call, True, luck)
            left -= 1
            yield one
        raise self._error(number, call, True, luck)

    def _note(self, number: int, call: Call, kind: str, done: Any) -> None:
        with self._state:
            self.log.append(Fault(number, call.name, kind, call.keys, done))

    def _error(self, number: int, call: Call, done: Any, luck: random.Random) -> Exception:
        kind = luck.choice(self.raised)
        said = ("it was carried out" if done is True else "nothing was carried out" if done is False
                else f"of its keys {done!r} were carried out")
        message = f"a fault for call {number}, {call.name!r}, of {type(self.slow).__name__} (seed {self.seed}): {said}"
        if issubclass(kind, OSError):
            return kind(next((n for known, n in NUMBERS.items() if issubclass(kind, known)), errno.EIO), message)
        return kind(message)

    def close(self) -> None:
        """Close it and the store underneath; calls that hang go on, and end with ``ClosedError``."""
        if not self._shut:
            super().close()
            self.release()


def _possible(kind: str, call: Call, writes: bool) -> bool:
    """If a fault of this kind has a meaning for this call."""
    return kind not in ("lost", "partial") or (writes if kind == "lost" else iterates(call) or divisible(call))


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigError(f"there is no fault {kind!r}: {did_you_mean(kind, KINDS)}")
    return kind

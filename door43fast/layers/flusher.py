"""Brings what is dirty to the store below, in order: by itself after a while, or when it is asked to.

Everything that is written below out of the backlog is written with ``turn`` held, so it is written once and in order.
An entry that was written again while it was being flushed stays dirty with its newer value. Whether the store below
has taken what it did not acknowledge is not known; then it is written again, which changes nothing.

A store that fails is tried again later and later. A single entry that the store refuses (it does not fit, for
example) is put behind all others and tried again every ``REFUSED`` seconds: it holds up nothing, and nothing is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from door43fast.errors import BackendUnavailableError, blames_layer
from door43fast.layers.backlog import Backlog, Entry
from door43fast.layers.bottom import Terms
from door43fast.layers.exits import attend
from door43fast.layers.guard import Guard

BATCH = 1000                    # entries between two looks at who waits
FIRST, LONGEST = 0.02, 5.0      # seconds before a failing store is tried again, at first and at the most
REFUSED = 5.0                   # seconds before a refused entry is tried again
IDLE = 2.0                      # seconds without anything dirty after which the thread ends

Run = list[tuple[Any, Entry]]


def _down_from(store: Any) -> Iterator[Any]:
    while store is not None:
        yield store
        store = getattr(store, "slow", None)


class Flusher:
    """The one who writes. ``eager`` is how many entries, ``heavy`` how many bytes make it begin before ``delay``."""

    def __init__(self, store: Any, backlog: Backlog, terms: Terms, delay: float, eager: int, heavy: int) -> None:
        self.store, self.backlog, self.terms = store, backlog, terms
        self.delay, self.eager, self.heavy = delay, eager, heavy
        self.turn = threading.RLock()
        self.owner = 0              # the thread that flushes,
        self.own = 0                # the last write that its listeners made meanwhile,
        self.flying: set[Entry] = set()     # and what it is writing: for them it is below
        self.flushed = self.failures = 0
        self.error: Exception | None = None     # of the last attempt, None if that went well
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._guards = [one for one in _down_from(store) if isinstance(one, Guard)]
        attend(self)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is flushed within it; what listeners of this thread write waits for no room."""
        with self.turn:
            outer, self.owner = self.owner, threading.get_ident()
            try:
                yield
            finally:
                self.owner = outer

    # -- asked for -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write all that is dirty now; raises what the store below raises."""
        with self.turn:
            with self.backlog.lock:
                upto = self.backlog.seq
            refusal: Exception | None = None
            while batch := self._head(max(upto, self.own)):
                refusal = self._write(batch) or refusal
            if refusal is not None:
                raise refusal

    def flush_keys(self, keys: list[Any] | None) -> None:
        """Write those of ``keys`` that are dirty, None for all, ahead of the others."""
        if not self.backlog.rows:
            return
        if keys is None:
            self.flush()
            return
        with self.backlog.lock:
            if not any(key in self.backlog.rows for key in keys):
                return
        with self.turn:
            with self.backlog.lock:     # now: what was in flight until then may be behind the others since
                upto = self.backlog.seq
            refusal: Exception | None = None
            while batch := self._of(keys, upto):    # one that is written anew meanwhile keeps its place, and its turn
                refusal = self._write(batch) or refusal
            if refusal is not None:
                raise refusal

    def _of(self, keys: list[Any], upto: int) -> Run:
        with self.backlog.lock:
            found = [(key, self.backlog.rows.get(key)) for key in dict.fromkeys(keys)]
        return [(key, entry) for key, entry in found if entry is not None and entry.seq <= upto]

    def _head(self, upto: int, now: float | None = None) -> Run:
        with self.backlog.lock:
            return self.backlog.head(upto, BATCH, self.flying, now)

    # -- writing. REQUIRES: ``turn`` -------------------------------------------------------------------------

    def _write(self, batch: Run) -> Exception | None:
        """Write a batch, as few calls as its kinds allow. Gives what was refused; raises where the store fails."""
        refusal: Exception | None = None
        try:
            with self.alone():
                for shape, run in groupby(batch, self._shape):
                    refusal = self._write_run(shape, list(run)) or refusal
        except Exception as error:
            self.failures += 1
            self.error = error
            raise
        self.error = refusal
        return refusal

    def _shape(self, item: tuple[Any, Entry]) -> Any:
        """What neighbours must have in common to be written by one call; of an entry of its own, itself."""
        entry = item[1]
        if not entry.live(self.terms.clock.seconds):
            return "delete"
        return id(entry) if entry.tags or entry.pin else ("until", entry.deadline)

    def _write_run(self, shape: Any, run: Run) -> Exception | None:
        with self.backlog.lock:     # a listener may have written past us, or flushed, since the batch was taken
            run = [(key, entry) for key, entry in run if self.backlog.rows.get(key) is entry]
        if not run:
            return None
        flying = {entry for _, entry in run} - self.flying
        self.flying |= flying
        try:
            done = self._carry(shape, run)
        except Exception as error:
            if blames_layer(error):
                raise
            if len(run) > 1:
                refusals = [self._write_run(shape, [one]) for one in run]
                return next((one for one in refusals if one is not None), None)
            self.failures += 1
            with self.backlog.lock:
                key, entry = run[0]
                if self.backlog.rows.get(key) is entry:
                    self.backlog.last(key, entry)
                    entry.later = time.monotonic() + REFUSED
            return error
        finally:
            self.flying -= flying
        with self.backlog.lock:
            self.flushed += len(run)
            self.backlog.counts["deletes" if shape == "delete" else "sets"] -= done
            self.backlog.expired += sum(not entry.gone for _, entry in run) if shape == "delete" else 0
            self.backlog.written(run)
        return None

    def _carry(self, shape: Any, run: Run) -> int:
        """Write one run. Gives how many writes the store below has counted."""
        if any(guard.late for guard in self._guards):   # one may be a write of ours, and must not end after this
            raise BackendUnavailableError(f"calls of {type(self.store).__name__} that were late are still under way: "
                                          "nothing is flushed before they have ended")
        key, entry = run[0]
        if shape == "delete":
            return int(self.store.delete(key)) if len(run) == 1 else self.store.delete_many([key for key, _ in run])
        left = None if entry.deadline is None else max(entry.deadline - self.terms.clock.seconds, 0.0)
        thaw = self.terms.thaw
        if len(run) == 1:
            self.store.set(key, thaw(entry.mark, entry.value), ttl=left, tags=entry.tags, pin=entry.pin)
        else:
            self.store.set_many([(key, thaw(entry.mark, entry.value)) for key, entry in run], ttl=left)
        return len(run)

    # -- by itself -------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something is dirty. REQUIRES: the backlog's lock."""
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(target=self._run, name="door43fast-flusher", daemon=True)
            self._thread.start()
        self.backlog.changed.notify_all()

    def due(self, now: float) -> float:
        """Seconds until there is something to do. REQUIRES: the backlog's lock."""
        backlog = self.backlog
        if len(backlog.rows) >= self.eager or backlog.bytes >= self.heavy:
            return 0.0
        first = now + IDLE if not backlog.rows else now + LONGEST
        for entry in backlog.rows.values():
            first = min(first, max(entry.since + self.delay, entry.later))
            if not entry.later:     # those behind it that were not refused are younger
                break
        return max(first - now, 0.0)

    def _run(self) -> None:
        pause = 0.0
        while self._await(pause):
            now, begun = time.monotonic(), self.flushed
            try:
                with self.turn:
                    with self.backlog.lock:
                        upto = self.backlog.seq
                    while batch := self._head(upto, now):
                        self._write(batch)
            except Exception:       # noted by _write; what is dirty stays so, and is told of by stats() and flush()
                pause = min(max(pause * 2, FIRST), LONGEST)
            else:
                pause = 0.0 if self.flushed > begun else FIRST      # only what was refused is left

    def _await(self, pause: float) -> bool:
        """Wait until something is due. False if the thread is to end."""
        with self.backlog.lock:
            until = time.monotonic() + pause
            while not self._stopping:
                now = time.monotonic()
                wait = max(until - now, self.due(now))
                if wait <= 0:
                    return True
                if not self.backlog.changed.wait(wait) and not self.backlog.rows:
                    break
            self._thread = None
            return False

    # -- the end, and forks ----------------------------------------------------------------------------------

    def stop(self, patience: float) -> Exception | None:
        """Flush, for as long as ``patience`` while the store fails, and end the thread. Gives what stood in the way."""
        end, pause = time.monotonic() + patience, FIRST
        while True:
            try:
                self.flush()
            except Exception as error:
                if time.monotonic() + pause < end:
                    time.sleep(pause)
                    pause *= 2
                    continue
                found: Exception | None = error
            else:
                found = None
            break
        with self.backlog.lock:
            self._stopping = True
            self.backlog.changed.notify_all()
        return found

    def before_fork(self) -> None:
        """Nothing is being written while a process forks, and nothing is dirty if that can be had."""
        self.turn.acquire()
        if self.backlog.rows and self.error is None:
            try:
                self.flush()
            except Exception:       # noted by _write; the entries stay the parent's
                return

    def after_fork(self) -> None:
        """In the parent."""
        self.backlog.lock.release()
        self.turn.release()

    def after_fork_in_child(self) -> None:
        """What is still dirty is the parent's to write."""
        self.turn = threading.RLock()
        self.backlog.renew()
        self.backlog.forget()
        self.flying.clear()
        self._thread, self.owner, self.error = None, 0, None

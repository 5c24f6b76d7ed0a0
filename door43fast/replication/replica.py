"""A replica: a store that follows the log of the primary, by a thread of its own."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from door43fast.contracts import Progress
from door43fast.errors import ConfigError, ConflictError, FencedError, PrunedError, blames_layer
from door43fast.replication.copying import COPYING, copied, foreign_copy
from door43fast.replication.head import Head, Place
from door43fast.replication.log import JournalLog, QueueLog
from door43fast.replication.portion import ReplicaFailed, portion
from door43fast.replication.standing import Standing

PIECE = 5_000       # records of one transaction
TRIES = 20          # of a write to a replica that is where it was, and still refuses it
BACKOFF = (0.02, 1.0)       # seconds after a first failure, and the longest


class Moved(Exception):
    """Somebody else has written to the replica meanwhile: look where it is, and go on from there."""


class PrimaryFailed(Exception):
    """It is not the replica that failed."""


@contextmanager
def of_primary() -> Iterator[None]:
    """What fails in here is the primary, if it does not say that it is the replica."""
    try:
        yield
    except ReplicaFailed as error:
        assert error.__cause__ is not None
        raise error.__cause__
    except Exception as error:
        if blames_layer(error):
            raise PrimaryFailed from error
        raise


class Replica:
    """What is known of one replica, and the thread that brings it up to date.

    ``seq`` is its position: all changes of the log up to it are in its data. Only its thread, or whoever holds
    ``busy``, writes to it.
    """

    def __init__(self, name: str, store: Any, primary: Any, log: JournalLog | QueueLog, standing: Standing, *,
                 poll: float, overwrite: bool = False, progress: Progress | None = None) -> None:
        self.name, self.store = name, store
        self.primary, self.log, self.standing = primary, log, standing
        self.poll, self.overwrite, self.progress = poll, overwrite, progress
        self.place = Place(store)
        self.head: Head | None = None       # as we last wrote or found it; None: not looked at, or not believed
        self.seq = -1               # not even the state before the first change, as far as is known
        self.whole = False          # its data are a state of the primary: it may be read
        self.phase = 0              # grows when its data begin to be between two states
        self.error: Exception | None = None
        self.waits: BaseException | None = None     # what the primary fails with
        self.failures = self.copies = self.applied = 0
        self.copying = ""           # the last copy that we began
        self.claimed = ""           # what we have called our copy, where nobody else may write
        self.current_at = time.monotonic()      # when it was last known to have all
        self.renew()

    def renew(self) -> None:
        """Also in the child of a fork, where there is no thread."""
        self.busy = threading.Lock()
        self.woken = threading.Event()
        self.busy_since: float | None = None
        self.halt = threading.Event()
        self.thread: threading.Thread | None = None

    # -- the thread ------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.thread = threading.Thread(target=_run, args=(weakref.ref(self),), daemon=True,
                                       name=f"door43fast {self.name}")
        self.thread.start()

    def wake(self) -> None:
        if not self.woken.is_set():
            self.woken.set()

    def stop(self) -> None:
        self.halt.set()
        self.woken.set()

    @property
    def stopping(self) -> bool:
        return self.halt.is_set()

    def round(self, work: Callable[[], None] | None = None) -> None:
        """One look at the log, and what follows from it, or other work; failures are kept and told."""
        with self.busy:
            self.busy_since = time.monotonic()
            try:
                (work or self.follow)()
            except FencedError as error:
                self.error = error
                self.standing.fence(error)
                self.halt.set()
            except PrimaryFailed as error:
                self.waits = error.__cause__
                self.error = None
            except Exception as error:      # whatever the store raised: kept, told, and tried again
                self.error = error
                self.failures += 1
                self.standing.tell()
            else:
                self.error = self.waits = None
            finally:
                self.busy_since = None

    # -- following -------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Bring it as far as the log is now. REQUIRES: ``busy`` is held, from here on."""
        if self.standing.passive:
            self.watch()
            return
        stuck, at = 0, None
        while not self.stopping:
            looked = time.monotonic()
            try:
                if self.head is not None and self.head.log.startswith(COPYING):
                    self.head = None        # a copy that failed on its way: its number is none of the log
                if self.head is None:
                    self.attach()
                if self.head is None:
                    self._copy()
                    continue
                with of_primary():
                    settled = self.log.settled()
                if self.head.whole and self.head.seq == settled:
                    self.whole, self.current_at = True, looked
                    return
                if not self._step():
                    return
            except Moved as error:
                before, at = at, self.place.read()[1]
                stuck = stuck + 1 if at == before else 0
                if stuck > TRIES:       # nobody else has written: what stands below does not let us, or not now
                    raise error.__cause__ or error
                self.head = None
            except PrunedError:
                self._copy()

    def watch(self) -> None:
        """Look where another brings it."""
        looked = time.monotonic()
        _, head = self.place.read()
        if head is None or head.role != "replica" or not head.log or head.log.startswith(COPYING):
            self._between()
            return
        if not head.whole:
            self._between()
        self._stands(head)
        with of_primary():
            if head.whole and self.log.foreign and self.log.believes(head) and head.seq >= self.log.settled():
                self.current_at = looked

    def attach(self) -> None:
        """Find out where it is; ``head`` stays None where it is to be copied."""
        _, head = self.place.read()
        if head is None:
            if not self.overwrite and len(self.store):
                raise ConfigError(f"{self.name} ({self.store!r}) holds {len(self.store)} records and was no replica "
                                  "yet, and they would be replaced by those of the primary: give an empty store, or "
                                  "overwrite=True")
            return
        self.check(head)
        with of_primary():
            believed, empty = self.log.believes(head), not len(self.primary)
        if believed and head.role == "replica":
            self.claimed = "" if self.log.foreign else head.log
            self._stands(head)
        elif empty and not self.overwrite and len(self.store) > 1:
            raise ConfigError(f"{self.name} ({self.store!r}) holds the records of an earlier primary, and this primary "
                              "is empty: promote the replica, or give overwrite=True to be rid of its records")

    def check(self, head: Head | None) -> None:
        """Refuse to go on where another is the writer by now."""
        if self.stopping:
            raise Moved     # of a lineup that is no more
        if head is not None and head.term > self.standing.term:
            raise FencedError(f"{self.name} is in term {head.term} and this store is the writer of term "
                              f"{self.standing.term}: another primary was promoted. Close this store, and open it with "
                              "that one as the primary; it then follows as a replica", head.term)
        if head is not None and self.claimed and head.log not in (
                self.claimed, self.copying, self.log.name):
            raise FencedError(f"{self.name} was taken over by another process, which writes by a log of its own: a "
                              "primary without a journal has one writer. Close this store, or give the primary a "
                              "journal", head.term)

    def stand(self, head: Head) -> None:
        """It has all that the primary has: a promotion knows that."""
        self.head = self.place.read()[1]
        self.write(head, {})
        self.claimed = "" if self.log.foreign else head.log
        self._stands(head)

    def _stands(self, head: Head) -> None:
        self.head = head
        self.seq = head.seq
        self.whole = head.whole
        self.standing.tell()

    def _step(self) -> bool:
        """Apply the next portion. Whether there may be more."""
        assert self.head is not None
        looked = time.monotonic()
        with of_primary():
            part = portion(self.primary, self.log, self.store, self.head.seq, self.place.key)
            head = Head(term=self.standing.term, log=self.log.name, seq=part.seq, mark=self.log.mark(part.seq),
                        whole=part.whole)
        if not part.writes and head == self.head:
            return False        # what is left is not settled yet
        writes = list(part.writes.items())
        if len(writes) > PIECE or not part.whole or not self.store.capabilities.transactions:
            self._between()
        while len(writes) > PIECE:
            self.write(self.head.but(whole=False), dict(writes[:PIECE]))
            writes = writes[PIECE:]
        self.write(head, dict(writes))
        self.applied += len(part.writes)
        if part.whole:
            self.current_at = looked
        self._stands(head)
        return not part.whole

    def mend(self, changes: Callable[[], dict[Any, Any]]) -> None:
        """Write what ``changes()`` gives over its data, at the position where it is, and follow from there."""
        def work() -> None:
            self.follow()
            if self.head is not None:
                self._between()
                self.write(self.head.but(whole=False), changes())
            self.follow()
        self.round(work)

    def _between(self) -> None:
        """From here on nobody is to read it: in this order, so that whoever reads meanwhile finds out."""
        self.phase += 1
        self.whole = False

    def write(self, head: Head, writes: dict[Any, Any]) -> None:
        """Write changes and the head in one step, if the replica is where we left it, else ``Moved``."""
        token, found = self.place.read()
        if found != self.head:
            self.check(found)
            raise Moved
        if self.store.capabilities.transactions:
            try:
                self.place.write(head, token, writes)
            except ConflictError as error:
                raise Moved from error
        else:
            self._write_apart(head, writes)
        self.head = head

    def _write_apart(self, head: Head, writes: dict[Any, Any]) -> None:
        """Without transactions: the head says first that the data are between two states, and last what they are."""
        if writes and self.head is not None:
            self.place.put(self.head.but(whole=False))
        plain = {key: write[0] for key, write in writes.items() if write is not None and write[1:3] == (None, ())}
        if plain:
            self.store.set_many(plain)
        for key, write in writes.items():
            if write is not None and key not in plain:
                self.store.set(key, write[0], ttl=write[1], tags=write[2])
        gone = [key for key, write in writes.items() if write is None]
        if gone:
            self.store.delete_many(gone)
        self.place.put(head)

    def _copy(self) -> None:
        """By snapshot: what the primary holds, and nothing else."""
        self._between()
        if foreign_copy(self):
            raise Moved
        copied(self)
        self.copies += 1

    # -- what is told of it ----------------------------------------------------------------------------------

    def late(self, patience: float) -> bool:
        """Whether it fails, or does not answer for longer than ``patience`` seconds."""
        since = self.busy_since
        return self.error is not None or since is not None and time.monotonic() - since > patience

    def lag(self) -> tuple[int, float]:
        """Changes that it lacks, and for how many seconds it has lacked any."""
        changes = max(self.log.last() - max(self.seq, 0), 0)
        return changes, time.monotonic() - self.current_at if changes else 0.0

    def told(self) -> dict[str, Any]:
        """Its row in ``stats()``."""
        changes, seconds = self.lag()
        wrong = self.error or self.waits
        follows = self.head is not None and not self.head.log.startswith(COPYING)
        state = "failing" if self.error is not None else "waiting" if wrong is not None else (
            "following" if follows else "copying")
        return {"name": self.name, "state": state, "position": max(self.seq, 0),
                "lag": {"changes": changes, "seconds": seconds},
                "applied": self.applied, "copies": self.copies, "failures": self.failures,
                "error": None if wrong is None else f"{type(wrong).__name__}: {wrong}"}


def _run(reference: weakref.ref[Replica]) -> None:
    """The thread. It does not keep a store alive that was forgotten without being closed."""
    delay = BACKOFF[0]
    while True:
        replica = reference()
        if replica is None or replica.stopping:
            return
        replica.woken.clear()
        replica.round()
        if replica.stopping:
            return
        wrong = replica.error is not None or replica.waits is not None
        delay = min(delay * 2, BACKOFF[1]) if wrong else BACKOFF[0]
        pause = delay if wrong else replica.poll if replica.log.foreign else 1.0
        waited = replica.halt if wrong else replica.woken       # writes wake it, and it would try at once
        del replica
        waited.wait(pause)

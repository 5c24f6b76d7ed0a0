"""The table of the reference engine: finding entries, and changing them in one step.

Every method follows one order. What may run a caller's code comes first: hashing, comparing, weighing, reading
options. Then comes the section (:mod:`door43fast.reference.section`), in which nothing of a caller's runs; whoever
found entries before it starts anew if a key was put in meanwhile. What the change no longer needs is dropped after
the section, and listeners are told last.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from door43fast.arguments import span, tag_names
from door43fast.contracts import Seconds
from door43fast.errors import BudgetError, ClosedError
from door43fast.reference.entries import Entry, Probe, weigh
from door43fast.reference.events import EventQueue
from door43fast.reference.journal import Journal
from door43fast.reference.policies import Policy
from door43fast.reference.recording import Recording
from door43fast.reference.section import Section


REASONS = {"user": "deletes", "evict": "evictions", "expire": "expirations"}


class Refused(Exception):
    """What a step raises in place of an error whose sentence shows a key: its ``__repr__`` is a caller's code."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self.error = error


class Write(NamedTuple):
    """A value on its way into the table, with its options read and its weight known."""

    value: Any
    weight: int
    ttl: float | None
    sliding: bool = False
    tags: tuple[str, ...] = ()
    pin: bool = False
    stale: float = 0.0


Step = Callable[[list[Probe], list[Any], list[Any]], Any]    # the second holds an Entry or None for each key


class Table:
    """Entries under the budgets of the store, and the policy that says which of them make room."""

    def __init__(self) -> None:
        self._index: dict[Entry, Entry] = {}
        self._new_policy: Callable[[], Policy] | None = None
        self._policy: Policy | None = None      # knows all entries but the pinned ones
        self._inserted = 0      # grows with each new entry: what was found before may be no longer all
        self._version = 0       # grows with each change of a value; an entry's token
        self._weight = 0
        self._fixed = [0, 0]    # entries and bytes that cannot be evicted
        self._due: list[tuple[float, int, Entry]] = []  # a heap of deadlines; those that were changed are stale
        self._serial = 0        # orders equal deadlines
        self._generations: dict[str, int] = {}
        self._counts = dict.fromkeys(("hits", "misses", "sets", "deletes", "evictions", "expirations", "stale"), 0)
        self._section = Section()
        self._queue = EventQueue(f"{type(self).__name__}-{id(self):x}")
        self._journal: Journal | None = None
        self._recording: Recording | None = None
        self._flight_table: dict[Any, Any] = {}
        self._is_closed = False
        self._max_entries: int | None = None
        self._max_bytes: int | None = None
        self._evicts = True
        self._ttl: float | None = None
        self._idle: float | None = None
        self._weigher: Callable[[Any, Any], int] | None = None
        self._clock: Any = None

    # -- outside of the section ------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._is_closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")

    def _at_once(self, keys: Sequence[Any], step: Step, writes: int = 0) -> Any:
        """Run ``step(probes, found, dropped)`` in a section in which ``found`` are surely the entries of ``keys``.

        What ``step`` appends to ``dropped`` lives until the section has ended. The computations under way of the
        first ``writes`` keys are voided.
        """
        self._open()
        probes = [Probe(key) for key in keys]
        dropped: list[Any] = []
        while True:
            inserted = self._inserted
            entries = [self._index.get(probe) for probe in probes]    # type: ignore[call-overload]
            flights = [self._flight_table.get(key) for key in keys[:writes]] if self._flight_table else ()
            try:
                with self._section:
                    self._open()
                    if inserted == self._inserted:
                        found = [None if entry is None or entry.gone else entry for entry in entries]
                        result = step(probes, found, dropped)
                        for flight in flights:
                            if flight is not None:
                                flight.voided = True
                        break
            except Refused as refused:
                raise refused.error() from None
        dropped.clear()
        self._queue.drain()
        return result

    def _prepare(self, key: Any, value: Any, ttl: Seconds | None, tags: Iterable[str] = (), pin: bool = False,
                 stale: Seconds | None = None) -> Write:
        """Read the options of a write and weigh it. Runs a caller's code."""
        names = tag_names(tags)
        sliding = ttl is None and self._idle is not None
        seconds = self._idle if sliding else self._ttl if ttl is None else span(ttl, "ttl")
        weight = 0
        if self._weigher is not None:
            weight = self._weigher(key, value)
            if not isinstance(weight, int) or weight < 0:
                raise ValueError(f"weigher gave {weight!r} for key {key!r}: it must give a whole number of bytes, "
                                 "0 or more")
        elif self._max_bytes is not None:
            told = weigh(key, value)
            if told is None:
                raise BudgetError(f"max_bytes cannot weigh the value of type {type(value).__name__} under key "
                                  f"{key!r}: open the store with weigher=, or store bytes, str, numbers or arrays")
            weight = told
        return Write(value, weight, seconds, sliding, names, bool(pin), 0.0 if stale is None else span(stale, "stale"))

    # -- inside the section: what is there -------------------------------------------------------------------

    def _live(self, entry: Entry | None) -> bool:
        """The entry has not expired, and no tag of it was invalidated since it was set."""
        if entry is None or (entry.deadline is not None and self._clock.seconds >= entry.deadline):
            return False
        return all(self._generations.get(tag, 0) == generation for tag, generation in entry.tags)

    def _token(self, entry: Entry | None) -> int:
        return entry.version if entry is not None and self._live(entry) else 0

    def _hit(self, probe: Probe, entry: Entry | None) -> bool:
        """Count a read, and note the use of what it found."""
        if self._recording is not None:
            self._recording.note(probe.hash)
        live = self._live(entry)
        self._counts["hits" if live else "misses"] += 1
        if live:
            assert entry is not None
            if self._policy is not None and not entry.pinned:
                self._policy.hit(entry)
            if entry.idle:
                entry.deadline = self._clock.seconds + self._idle
        return live

    # -- inside the section: changes -------------------------------------------------------------------------

    def _remove(self, entry: Entry, reason: str, dropped: list[Any]) -> None:
        self._counts[REASONS[reason]] += 1
        self._queue.push("delete", entry.key, reason, None, self._told_tags(entry.tags))
        if self._journal is not None:
            self._journal.note("delete" if self._live(entry) else "expire", entry.key, 0, entry.version)
        self._forget(entry, dropped)

    def _told_tags(self, *carried: tuple[tuple[str, int], ...]) -> frozenset[str]:
        """The names in the tags of an entry, where somebody listens by tag."""
        return frozenset(tag for tags in carried for tag, _ in tags) if self._queue.tagged else frozenset()

    def _forget(self, entry: Entry, dropped: list[Any]) -> None:
        del self._index[entry]
        if self._policy is not None and not entry.pinned:
            self._policy.remove(entry)
        self._account(entry, -1)
        self._version += 1
        dropped.append((entry.key, entry.value))
        entry.gone = True
        entry.key = entry.value = None  # the heap of deadlines may hold the entry for a while yet

    def _drop(self, entry: Entry | None, dropped: list[Any]) -> bool:
        """Take an entry out for the caller. Returns if there was one that had not expired."""
        if entry is None:
            return False
        live = self._live(entry)
        self._remove(entry, "user" if live else "expire", dropped)
        return live

    def _account(self, entry: Entry, sign: int) -> None:
        self._weight += sign * entry.weight
        if entry.pinned or not self._evicts:
            self._fixed[0] += sign
            self._fixed[1] += sign * entry.weight

    def _watch(self, entry: Entry) -> None:
        """Have the entry reaped when its deadline, and its stale window, have passed."""
        if entry.deadline is not None:
            self._serial += 1
            heapq.heappush(self._due, (entry.deadline + entry.stale, self._serial, entry))
            if len(self._due) > 2 * len(self._index) + 64:
                self._due = [(e.deadline + e.stale, n, e) for n, e in enumerate(self._index) if e.deadline is not None]
                heapq.heapify(self._due)

    def _reap(self, dropped: list[Any]) -> int:
        """Take out all that is due."""
        now = self._clock.seconds
        reaped = 0
        while self._due and self._due[0][0] <= now:
            _, _, entry = heapq.heappop(self._due)
            if entry.gone or entry.deadline is None:
                continue
            if now >= entry.deadline + entry.stale:
                self._remove(entry, "expire", dropped)
                reaped += 1
            else:   # it was renewed
                self._watch(entry)
        return reaped

    def _over(self, entries: int, weight: int) -> bool:
        return (self._max_entries is not None and entries > self._max_entries) or (
            self._max_bytes is not None and weight > self._max_bytes)

    def _afford(self, probes: list[Probe], found: list[Entry | None], writes: Sequence[Write | None]) -> None:
        """Raise BudgetError if these writes cannot all be made, in their order, each beside what is fixed then."""
        entries, weight = self._fixed
        for probe, entry, write in zip(probes, found, writes, strict=True):
            if entry is not None and (entry.pinned or not self._evicts):
                entries -= 1
                weight -= entry.weight
            if write is None or write.ttl == 0:
                continue
            if self._over(entries + 1, weight + write.weight):
                raise Refused(partial(self._no_room, probe.key, write.weight))
            if write.pin or not self._evicts:
                entries += 1
                weight += write.weight

    def _no_room(self, key: Any, weight: int) -> BudgetError:
        return BudgetError(f"no room for key {key!r} ({weight} bytes): the store holds at most "
                           f"{self._max_entries or 'any number of'} entries and {self._max_bytes or 'any number of'} "
                           "bytes, and what it holds cannot be evicted for it: raise the budget, unpin or delete "
                           "something")

    def _store(self, probes: list[Probe], found: list[Entry | None], writes: Sequence[Write | None],
               dropped: list[Any]) -> None:
        """Make all writes, or none; None takes the key out. Equal keys must not come twice."""
        if self._max_entries is not None or self._max_bytes is not None:
            self._reap(dropped)
            found = [None if entry is None or entry.gone else entry for entry in found]
            self._afford(probes, found, writes)
        for probe, entry, write in zip(probes, found, writes, strict=True):
            if write is None:
                self._drop(entry, dropped)
            elif write.ttl == 0:
                if entry is not None:
                    self._remove(entry, "expire", dropped)
            else:
                self._put(probe, None if entry is None or entry.gone else entry, write, dropped)

    def _make_room(self, entries: int, weight: int, dropped: list[Any]) -> None:
        """Evict until so many entries of so much weight, what is to come among them, are within the budgets."""
        while self._over(entries, weight):
            assert self._policy is not None
            victim: Any = self._policy.victim()
            entries -= 1
            weight -= victim.weight
            self._remove(victim, "evict", dropped)

    def _put(self, probe: Probe, entry: Entry | None, write: Write, dropped: list[Any]) -> None:
        known = False       # the policy knows the entry
        carried = () if entry is None else entry.tags
        base = 0 if entry is None else entry.version
        if entry is None:
            self._make_room(len(self._index) + 1, self._weight + write.weight, dropped)
            entry = Entry(probe.key, probe.hash)
            self._index[entry] = entry
            self._inserted += 1
        else:
            dropped.append(entry.value)
            self._account(entry, -1)
            known = self._policy is not None and not entry.pinned
            crowded = self._over(len(self._index), self._weight + write.weight)
            if self._policy is not None and known and (write.pin or crowded):   # no victim of its own write
                self._policy.remove(entry)
                known = False
            self._make_room(len(self._index), self._weight + write.weight, dropped)
        self._version += 1
        entry.value = write.value
        entry.version = self._version
        entry.deadline = None if write.ttl is None else self._clock.seconds + write.ttl
        entry.idle = write.sliding
        entry.stale = write.stale
        entry.tags = tuple((tag, self._generations.get(tag, 0)) for tag in write.tags)
        entry.pinned = write.pin
        entry.weight = write.weight
        if self._policy is not None and known:
            self._policy.reweigh(entry, write.weight)
            self._policy.hit(entry)
        elif self._policy is not None and not entry.pinned:
            self._policy.add(entry, write.weight)
        self._account(entry, 1)
        self._watch(entry)
        if self._journal is not None:
            self._journal.note("set", entry.key, entry.version, base)
        self._counts["sets"] += 1
        self._queue.push("set", entry.key, "user", write.value, self._told_tags(carried, entry.tags))

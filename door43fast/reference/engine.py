"""The memory engine in plain Python: the methods of a store over :class:`door43fast.reference.table.Table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from door43fast.arguments import pairs, span
from door43fast.contracts import MISSING, Capabilities, Items, Progress, Seconds
from door43fast.errors import ConfigError, UnsupportedError, did_you_mean
from door43fast.reference.clock import MonotonicClock
from door43fast.reference.entries import Probe
from door43fast.reference.journal import Journal
from door43fast.reference.packing import pack, unpack
from door43fast.reference.policies import POLICIES
from door43fast.reference.ranges import Ranges
from door43fast.reference.recording import Recording
from door43fast.reference.table import Write

def _bound(n: object, option: str) -> int | None:
    if n is None:
        return None
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ConfigError(f"{option}={n!r} must be a whole number of 1 or more, or None for no bound")
    return n


class ReferenceEngine(Ranges):
    """A store in memory that holds any object under any hashable key."""

    capabilities = Capabilities(traces=True, streams=True)

    def __init__(self, max_entries: int | None = None, max_bytes: int | None = None, policy: str = "lru",
                 ttl: Seconds | None = None, *, idle: Seconds | None = None,
                 weigher: Callable[[Any, Any], int] | None = None, clock: Any = None,
                 journal: bool | dict[str, Any] | None = None) -> None:
        super().__init__()
        if policy != "none" and policy not in POLICIES:
            raise ConfigError(f"policy={policy!r} is unknown: {did_you_mean(str(policy), [*POLICIES, 'none'])}")
        if weigher is not None and max_bytes is None:
            raise ConfigError("weigher= has no effect without max_bytes=: give both")
        if weigher is not None and not callable(weigher):
            raise ConfigError(f"weigher={weigher!r} must be callable as weigher(key, value) -> bytes")
        if ttl is not None and idle is not None:
            raise ConfigError("ttl= and idle= exclude each other as defaults: give idle= here and ttl= to set()")
        self._max_entries = _bound(max_entries, "max_entries")
        self._max_bytes = _bound(max_bytes, "max_bytes")
        self._evicts = policy != "none"
        if self._evicts and (self._max_entries or self._max_bytes):
            self._new_policy = partial(POLICIES[policy], self._max_entries or 0, self._max_bytes or 0)
            self._policy = self._new_policy()
        self._weigher = weigher
        self._clock = MonotonicClock() if clock is None else clock
        if journal is not None and journal is not False:
            self._journal = Journal(journal, self._clock, self._queue.origin)
            self.capabilities = self.capabilities._replace(journal=True)
        try:
            self._ttl = None if ttl is None else span(ttl, "ttl")
            self._idle = None if idle is None else span(idle, "idle")
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from None
        if 0 in (self._ttl, self._idle):
            raise ConfigError("ttl=0 or idle=0 would expire every entry at once: give seconds, or None for no expiry")

    # -- single keys -----------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, or ``default``."""
        value = self._get(key)
        return default if value is MISSING else value

    def _get(self, key: Any) -> Any:
        return self._at_once([key], lambda probes, found, __: (
            found[0].value if self._hit(probes[0], found[0]) else MISSING))

    def __getitem__(self, key: Any) -> Any:
        value = self._get(key)
        if value is MISSING:
            raise KeyError(key)
        return value

    def _peek(self, key: Any) -> Any:
        return self._at_once([key], lambda _, found, __: found[0].value if self._live(found[0]) else MISSING)

    def __contains__(self, key: Any) -> bool:
        return self._peek(key) is not MISSING

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
            durable: bool = False) -> None:
        """Store ``value`` under ``key``. ``durable`` asks for nothing here: memory survives no process."""
        self._write([key], [self._prepare(key, value, ttl, tags, pin)])

    def _write(self, keys: list[Any], writes: list[Write]) -> None:
        self._at_once(keys, lambda probes, found, dropped: self._store(probes, found, writes, dropped), len(keys))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def delete(self, key: Any) -> bool:
        """Take ``key`` out. Returns if it was there."""
        return self._at_once([key], lambda _, found, dropped: self._drop(found[0], dropped), 1)

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Take ``key`` out and return its value, or ``default``."""
        def step(_: Any, found: Any, dropped: Any) -> Any:
            value = None if found[0] is None else found[0].value
            return value if self._drop(found[0], dropped) else default
        value = self._at_once([key], step, 1)
        if value is MISSING:
            raise KeyError(key)
        return value

    def touch(self, key: Any, ttl: Seconds | None) -> bool:
        """Give ``key`` a new time to live from now; None takes its expiry away. Returns if it was there."""
        seconds = None if ttl is None else span(ttl, "ttl")

        def step(_: Any, found: Any, dropped: Any) -> bool:
            entry = found[0]
            if not self._live(entry):
                return False
            if seconds == 0:
                self._remove(entry, "expire", dropped)
            else:
                entry.deadline = None if seconds is None else self._clock.seconds + seconds
                entry.idle, entry.stale = False, 0.0
                self._watch(entry)
                if self._journal is not None:
                    self._journal.note("set", entry.key, entry.version, entry.version)
            return True
        return self._at_once([key], step, int(seconds == 0))

    def ttl(self, key: Any) -> float | None:
        """Seconds until ``key`` expires, None if it does not."""
        def step(_: Any, found: Any, __: Any) -> Any:
            if not self._live(found[0]):
                return MISSING
            return None if found[0].deadline is None else found[0].deadline - self._clock.seconds
        left = self._at_once([key], step)
        if left is MISSING:
            raise KeyError(key)
        return left

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...]]:
        """For each key in order the tags of its entry."""
        return self._at_once(list(keys), lambda _, found, __: [
            tuple(tag for tag, _ in entry.tags) if self._live(entry) else () for entry in found])

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        """Store ``value`` if ``key`` is missing. Returns if it was stored."""
        if self._peek(key) is not MISSING:
            return False
        return self._swap(key, 0, value, ttl)

    def replace(self, key: Any, expected: Any, value: Any) -> bool:
        """Store ``value`` if ``key`` holds what equals ``expected``. Returns if it was stored."""
        while True:
            token, current = self._read(key)
            if current is MISSING or not (current is expected or current == expected):
                return False
            if self._swap(key, token, value, None):
                return True

    def _swap(self, key: Any, token: int, value: Any, ttl: Seconds | None) -> bool:
        """Store ``value`` if nobody changed ``key`` since ``token`` was read."""
        write = self._prepare(key, value, ttl)

        def step(probes: Any, found: Any, dropped: Any) -> bool:
            if self._token(found[0]) != token:
                return False
            self._store(probes, found, [write], dropped)
            return True
        return self._at_once([key], step, 1)

    def incr(self, key: Any, by: int = 1) -> int:
        """Add ``by`` to the whole number under ``key``; a missing one counts as 0. Keeps the time to live."""
        if not isinstance(by, int) or isinstance(by, bool):
            raise TypeError(f"by={by!r} must be an int")
        while True:
            token, current = self._read(key)
            if current is not MISSING and (not isinstance(current, int) or isinstance(current, bool)):
                raise TypeError(f"key {key!r} holds {type(current).__name__}, and incr works on int")
            total: int = by if current is MISSING else current + by     # type: ignore[operator]
            write = self._prepare(key, total, None)

            def step(probes: Any, found: Any, dropped: Any) -> bool:
                entry = found[0]
                if self._token(entry) != token:
                    return False
                kept = None if entry is None or token == 0 else (entry.deadline, entry.idle, entry.tags, entry.stale)
                self._store(probes, found, [write._replace(pin=kept is not None and entry.pinned)], dropped)
                if kept and not entry.gone:
                    entry.deadline, entry.idle, entry.tags, entry.stale = kept
                    self._watch(entry)
                return True
            if self._at_once([key], step, 1):
                return total

    # -- batches ---------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """``get`` for each key in order, at one instant."""
        return self._at_once(list(keys), lambda probes, found, __: [
            entry.value if self._hit(probe, entry) else default for probe, entry in zip(probes, found, strict=True)])

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        """For each key in order if it is there."""
        return self._at_once(list(keys), lambda _, found, __: [self._live(entry) for entry in found])

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        """Store every pair of a mapping or an iterable of pairs: all, or none if something is wrong."""
        self._open()
        writes: dict[Any, Write] = {}
        for key, value in pairs(items):
            Probe(key)  # refuses what is no key
            writes.pop(key, None)   # the last one wins, and stands last
            writes[key] = self._prepare(key, value, ttl)
        if ttl is not None:
            span(ttl, "ttl")
        self._write(list(writes), list(writes.values()))

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Take ``keys`` out. Returns how many were there."""
        keys = list(keys)
        return self._at_once(keys, lambda _, found, dropped: sum(
            not entry.gone and self._drop(entry, dropped) for entry in found if entry is not None), len(keys))

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        """The values under ``keys``, which must be bytes, in one ``Packed``."""
        keys = list(keys)
        return pack(keys, self.get_many(keys, MISSING), out)

    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        """Store the bytes ``data[offsets[i]:offsets[i + 1]]`` under ``keys[i]``."""
        self._open()
        self.set_many(unpack(keys, data, offsets))

    def record_trace(self, path: Any, *, sample: float = 1.0) -> Recording:
        """Record which keys are asked for into a file; see ``door43fast.MemoryStore.record_trace``."""
        self._open()
        if self._recording is not None and self._recording.active:
            raise ConfigError(f"the reads of this store are being recorded into {self._recording.path!r}: "
                              "call stop() of that recording first")
        self._recording = Recording(path, sample)
        return self._recording

    # -- care ------------------------------------------------------------------------------------------------

    def _served_stale(self) -> None:
        self._counts["stale"] += 1

    def stats(self) -> dict[str, Any]:
        """Counters since the store was opened, and what it holds now."""
        with self._section:
            self._open()
            return {"entries": len(self._index), **self._counts,
                    "bytes": None if self._max_bytes is None else self._weight}

    def flush(self) -> None:
        """Wait until listeners have had what happened before."""
        self._open()
        self._queue.flush()

    def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        """Check the structures against each other."""
        with self._section:
            self._open()
            entries = list(self._index)
            told = (self._weight, *self._fixed)
            fixed = [entry.weight for entry in entries if entry.pinned or not self._evicts]
            counted = (sum(entry.weight for entry in entries), len(fixed), sum(fixed))
            gone = sum(entry.gone for entry in entries)
        errors = [f"{gone} entries are marked as gone"] if gone else []
        if told != counted:
            errors.append(f"bytes, fixed entries and their bytes are {told}, but the entries sum up to {counted}")
        if progress is not None:
            progress(len(entries), len(entries), "entries")
        return {"checked": len(entries), "errors": errors}

    def _changes(self, since: int) -> Any:
        assert self._journal is not None    # the capabilities say so
        return self._journal.since(since)

    def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        self._open()
        raise UnsupportedError(f"{type(self).__name__} cannot back up to {path!r}: it lives in memory; "
                               "copy it into a LmdbStore with set_many")

    def close(self) -> None:
        """Let go of everything. May be called again."""
        with self._section:
            self._is_closed = True
            dropped: list[Any] = []
            for entry in list(self._index):
                self._forget(entry, dropped)
            self._due.clear()
        dropped.clear()
        if self._recording is not None:
            self._recording._close()

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return self._is_closed

    # -- for the shared surface ------------------------------------------------------------------------------

    @property
    def _flights(self) -> dict[Any, Any]:
        return self._flight_table

    @property
    def _events(self) -> Any:
        self._open()
        return self._queue

    def _lookup(self, key: Any) -> tuple[int, Any]:
        def step(probes: Any, found: Any, __: Any) -> tuple[int, Any]:
            entry = found[0]
            if self._hit(probes[0], entry):
                return 1, entry.value
            if entry is not None and entry.stale and entry.deadline is not None and all(
                    self._generations.get(tag, 0) == generation for tag, generation in entry.tags):
                if self._clock.seconds < entry.deadline + entry.stale:
                    return 2, entry.value
            return 0, None
        return self._at_once([key], step)

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> bool:
        write = self._prepare(key, value, ttl, stale=stale)

        def step(probes: Any, found: Any, dropped: Any) -> bool:
            # A write that looked for flights just before this one began did not see it: the token tells.
            if flight.voided or self._token(found[0]) != flight.token or write.ttl == 0:
                return False
            self._store(probes, found, [write], dropped)
            return True
        return self._at_once([key], step)

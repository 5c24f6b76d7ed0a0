"""A store over records: every method of the contract, in terms of what a backend keeps and finds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from door43fast import codecs
from door43fast.arguments import pairs, span
from door43fast.claims import claim_by
from door43fast.config import Options, checked, given
from door43fast.contracts import MISSING, Capabilities, Items, Progress, Seconds
from door43fast.errors import ConfigError, UnsupportedError
from door43fast.plugins.options import BackendOptions
from door43fast.plugins.section import Change, Found, Step
from door43fast.plugins.singles import Draft, Singles
from door43fast.reference.packing import pack, unpack
from door43fast.surface import StoreSurface

STEP = 1000     # records between two reports of progress


class RecordEngine(Singles):
    """The methods for keys and batches. A backend brings what :class:`Section` asks of it."""

    Options: type[Options] = BackendOptions

    def __init__(self, options: Options | None = None, /, **wanted: Any) -> None:
        super().__init__()
        self.options: Any = checked(self.Options, wanted, f"{type(self).__name__}()") if options is None else options
        self.capabilities = self.capable(self.options)
        self._plan = given(self.options)    # what it pickles by, wherever the process goes meanwhile
        if "path" in self._plan:
            self._plan["path"] = os.path.abspath(self._plan["path"])
        self._codec = self._make_codec()
        ttl = getattr(self.options, "ttl", None)    # a backend without expiry has no such option
        if ttl == 0:
            raise ConfigError("ttl=0 would expire every entry at once: give seconds, or None for no expiry")
        try:
            self._ttl = None if ttl is None else span(ttl, "ttl")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self._clock = getattr(self.options, "clock", None) or _wall()

    def _make_codec(self) -> Any:
        """What the option ``codec`` names; overridden by a backend with codecs of its own."""
        return codecs.resolve(self.options.codec)

    @classmethod
    def open(cls, options: Any) -> Any:
        """What the registry calls with checked options."""
        return cls(options)

    @classmethod
    def capable(cls, options: Any) -> Capabilities:
        """What a store with these options can do, before it is there."""
        return cls.capabilities._replace(writes=cls.capabilities.writes and not getattr(options, "readonly", False))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (type(self), self._plan)

    # -- batches ---------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]:
        """``get`` for each key in order, at one instant."""
        wanted = [self._key(key) for key in keys]
        self._open()
        if self._recording is not None:
            for key in wanted:
                self._recording.note(hash(key))
        live, held = self._live, self._value
        values = [held(key, record) if live(record) else MISSING      # type: ignore[arg-type]
                  for key, record in zip(wanted, self._fetch(wanted), strict=True)]
        misses = values.count(MISSING)
        self._count(len(values) - misses, misses)
        return [default if value is MISSING else value for value in values] if misses else values

    def _with_deadlines(self, keys: list[Any]) -> list[tuple[Any, float | None]]:
        """Each value, or MISSING, and the seconds that it has left: what a memory tier over this store asks for."""
        wanted = [self._key(key) for key in keys]
        self._open()
        now = self._clock.seconds
        found = [record if self._live(record) else None for record in self._fetch(wanted)]
        self._count(len(found) - found.count(None), found.count(None))
        return [(MISSING, None) if record is None else
                (self._value(key, record), None if record.deadline is None else record.deadline - now)
                for key, record in zip(wanted, found, strict=True)]

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...]]:
        """For each key in order the tags of its record."""
        wanted = [self._key(key) for key in keys]
        self._open()
        return [tuple(tag for tag, _ in record.tags) if record is not None and self._live(record) else ()
                for record in self._fetch(wanted)]

    def contains_many(self, keys: Iterable[Any]) -> list[bool]:
        """For each key in order if it is there."""
        wanted = [self._key(key) for key in keys]
        self._open()
        return [self._live(record) for record in self._fetch(wanted)]

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        """Store every pair of a mapping or an iterable of pairs: all, or none if something is wrong."""
        drafts = self._drafts(items, ttl)
        self._put(list(drafts), list(drafts.values()))

    def _drafts(self, items: Items, ttl: Seconds | None) -> dict[str, Draft]:
        self._open()
        drafts: dict[str, Draft] = {}
        for key, value in pairs(items):
            key = self._key(key)
            drafts.pop(key, None)   # the last one wins, and stands last
            drafts[key] = self._draft(value, ttl)
        if ttl is not None:
            span(ttl, "ttl")
        return drafts

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Take ``keys`` out. Returns how many were there."""
        wanted = list(dict.fromkeys(self._key(key) for key in keys))
        return self._change(wanted, self._step_take(wanted))

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any:
        """The values under ``keys``, which must be bytes, in one ``Packed``."""
        self._lacks("packed", "packs no batches")
        keys = list(keys)
        return pack(keys, self.get_many(keys, MISSING), out)

    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None:
        """Store the bytes ``data[offsets[i]:offsets[i + 1]]`` under ``keys[i]``."""
        self._lacks("packed", "packs no batches")
        self.set_many(unpack(keys, data, offsets))

    # -- computations ----------------------------------------------------------------------------------------

    def _claim(self, flight: Any, name: Any, deadline: float) -> Any:
        """What keeps other processes from computing the same key; None where there are none."""
        marks = self._shared_marks() if self.capabilities.writes else None
        return claim_by(marks, self._flight_hash(name), flight, deadline)

    def _lookup(self, key: Any) -> tuple[int, Any]:
        self._lacks("compute", "stores nothing that is computed")
        key = self._key(key)
        if self._recording is not None:
            self._recording.note(hash(key))
        return self._state(key, self._fetch((key,))[0])

    def _state(self, key: Any, record: Any) -> tuple[int, Any]:
        live = self._live(record)
        self._count(live, not live)
        if record is None or record.revoked:
            return 0, None
        if live:
            return 1, self._value(key, record)
        stale = record.deadline is not None and self._clock.seconds < record.deadline + record.stale
        return (2, self._value(key, record)) if stale else (0, None)

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> bool:
        key = self._key(key)
        return self._change([key], self._step_publish(flight, key, self._draft(value, ttl, stale=stale)), void=False)

    def _step_publish(self, flight: Any, key: str, draft: Draft) -> Step:
        def step(found: Found) -> tuple[bool, list[Change]]:
            claim = getattr(flight, "claim", None)
            if flight.voided or self._token(found[0]) != flight.token or draft.ttl == 0 or (
                    claim is not None and not claim.good()):
                return False, []
            return True, self._stored([key], found, [draft])
        return step

    # -- care ------------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Counters since the store was opened, and what it holds now."""
        self._open()
        entries = self._held() if self.capabilities.listing else None
        return {"entries": entries, **self._counts, "bytes": self._occupied()}

    def flush(self) -> None:
        """Have all that was written survive a power loss, and wait until listeners have had it."""
        self._open()
        if self.capabilities.writes:
            self._sync()
        self._queue.flush()

    def verify(self, *, progress: Progress | None = None) -> dict[str, Any]:
        """Read everything, and say what is wrong. ``progress(done, total, "records")`` is told how far it is."""
        self._lacks("listing", "cannot list its keys, so it cannot check them")
        total, done, errors = max(self._held(), 1), 0, []
        for wrong in self._sound():
            done += 1
            if wrong:
                errors.append(wrong)
            if progress is not None and done % STEP == 0:
                progress(min(done, total), total, "records")
        if progress is not None:
            progress(total, total, "records")
        return {"checked": done, "errors": errors}

    def backup(self, path: Any, *, progress: Progress | None = None) -> None:
        """Write a copy of the store to ``path`` while it is in use."""
        self._open()
        raise UnsupportedError(f"{type(self).__name__} cannot back up to {path!r}, as its capabilities say: copy it "
                               "with other.set_many(store.items())")

    def record_trace(self, path: Any, *, sample: float = 1.0) -> Any:
        """Record which keys are asked for into a file; see ``MemoryStore.record_trace``."""
        from door43fast.reference.recording import Recording

        self._lacks("traces", "records no traces")
        if self._recording is not None and self._recording.active:
            raise ConfigError(f"the reads of this store are being recorded into {self._recording.path!r}: "
                              "call stop() of that recording first")
        self._recording = Recording(path, sample)
        return self._recording

    def close(self) -> None:
        """Let go of everything, after the calls that are under way. May be called again."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._shut()
        if self._recording is not None:
            self._recording._close()


class RecordStore(StoreSurface, RecordEngine):
    """A store over records: inherited by backends that keep more than bytes by name, such as SQLite."""


def _wall() -> Any:
    from door43fast.native.clock import Clock

    return Clock("wall")


def _reopen(kind: type[RecordStore], options: dict[str, Any]) -> RecordStore:
    """Open a store by its plan: what unpickling does, also in a spawned worker."""
    return kind(**options)



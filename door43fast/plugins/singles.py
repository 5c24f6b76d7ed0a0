"""Values on their way in and out, and the methods for single keys, of backends in Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from door43fast.arguments import span, tag_names
from door43fast.contracts import MISSING, Seconds
from door43fast.errors import CorruptError
from door43fast.plugins.ranges import Ranges
from door43fast.plugins.record import Record
from door43fast.plugins.section import DELETE, SET, Change, Found, Step


class Draft(NamedTuple):
    """A value on its way into a record: encoded, with its options read."""

    mark: int
    payload: Any
    ttl: float | None
    stale: float
    tags: tuple[str, ...]
    value: Any


class Singles(Ranges):
    """REQUIRES: ``_codec``, ``_ttl`` and ``_clock`` are set by whoever inherits this."""

    _codec: Any
    _ttl: float | None

    # -- on the way in and out -------------------------------------------------------------------------------

    def _key(self, key: Any) -> str:
        if type(key) is not str:
            if not isinstance(key, str):
                raise TypeError(f"a key of {type(self).__name__} is a str, not {type(key).__name__}: "
                                "encode it, or use a LmdbStore with keys='any'")
            key = str.__str__(key)
        if not key:
            raise ValueError("a key must not be empty: give it at least one character")
        if not key.isascii():
            try:
                key.encode()
            except UnicodeEncodeError:
                raise ValueError(f"the key {key!r} holds a lone surrogate, which UTF-8 cannot store: "
                                 "decode its source with the right encoding") from None
        return key

    def _draft(self, value: Any, ttl: Any, tags: Any = (), pin: bool = False, stale: Any = None) -> Draft:
        names = tag_names(tags)
        seconds = self._ttl if ttl is None else span(ttl, "ttl")
        if ttl is not None:
            self._lacks("ttl", "has no expiry")
        if names:
            self._lacks("tags", "has no tags")
        if pin:
            self._lacks("pins", "has no pins")
        return Draft(*self._encode(value), seconds, 0.0 if stale is None else span(stale, "stale"), names, value)

    def _encode(self, value: Any) -> tuple[int, Any]:
        return self._codec.encode(value)

    def _decode(self, record: Record) -> Any:
        return self._codec.decode(record.mark, record.payload)

    def _value(self, key: Any, record: Record) -> Any:
        """What a record holds; damage is told with its key."""
        try:
            return self._decode(record)
        except CorruptError as error:
            raise CorruptError(f"key {key!r}: {error}") from error

    def _stored(self, keys: Sequence[str], found: Found, drafts: Sequence[Draft | None]) -> list[Change]:
        """The changes that store ``drafts``; None takes the key out. REQUIRES: inside the section."""
        names = {tag for draft in drafts if draft is not None for tag in draft.tags}
        generations = self._generations(sorted(names)) if names else {}
        now = self._clock.seconds
        changes = []
        for key, record, draft in zip(keys, found, drafts, strict=True):
            if draft is not None and draft.ttl != 0:
                deadline = None if draft.ttl is None else now + draft.ttl
                tags = tuple((tag, generations.get(tag, 0)) for tag in draft.tags)
                changes.append(Change(key, Record(draft.mark, draft.payload, deadline, draft.stale, tags,
                                                  next(self._versions)), SET, "user", draft.value, record))
            elif record is not None:
                reason = "user" if draft is None and self._live(record) else "expire"
                changes.append(Change(key, None, DELETE, reason, None, record))
        return changes

    # -- single keys -----------------------------------------------------------------------------------------

    def _seen(self, key: Any) -> Record | None:
        """The record that a read finds, counted."""
        key = self._key(key)
        self._open()
        if self._recording is not None:
            self._recording.note(hash(key))
        record = self._fetch((key,))[0]
        live = self._live(record)
        self._count(live, not live)
        return record if live else None

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, or ``default``."""
        record = self._seen(key)
        return default if record is None else self._value(key, record)

    def __getitem__(self, key: Any) -> Any:
        record = self._seen(key)
        if record is None:
            raise KeyError(key)
        return self._value(key, record)

    def __contains__(self, key: Any) -> bool:
        key = self._key(key)
        self._open()
        return self._live(self._fetch((key,))[0])

    def _read(self, key: Any) -> tuple[int, Any]:
        key = self._key(key)
        self._open()
        record = self._fetch((key,))[0]
        if record is None or not self._live(record):
            return 0, MISSING
        return record.version, self._value(key, record)

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
            durable: bool = False) -> None:
        """Store ``value`` under ``key``. ``durable`` has it survive a power loss before the call returns."""
        self._put([self._key(key)], [self._draft(value, ttl, tags, pin)], durable)

    def _put(self, keys: list[str], drafts: list[Draft], durable: bool = False) -> None:
        self._change(keys, self._step_put(keys, drafts), look=self._looks(drafts), durable=durable)

    def _looks(self, drafts: Iterable[Draft]) -> bool:
        """Whether storing ``drafts`` asks for what is there: to know if it ends something, or whom to tell of it."""
        return self._queue.tagged or any(draft.ttl == 0 for draft in drafts)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def delete(self, key: Any) -> bool:
        """Take ``key`` out. Returns if it was there."""
        return self.delete_many([key]) == 1

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def pop(self, key: Any, default: Any = MISSING) -> Any:
        """Take ``key`` out and return its value, or ``default``."""
        name = self._key(key)
        record = self._change([name], self._step_pop(name))
        if record is not None:
            return self._value(key, record)
        if default is MISSING:
            raise KeyError(key)
        return default

    def touch(self, key: Any, ttl: Seconds | None) -> bool:
        """Give ``key`` a new time to live from now; None takes its expiry away. Returns if it was there."""
        self._lacks("ttl", "has no expiry")
        key = self._key(key)
        seconds = None if ttl is None else span(ttl, "ttl")
        return self._change([key], self._step_touch(key, seconds), void=seconds == 0)

    def ttl(self, key: Any) -> float | None:
        """Seconds until ``key`` expires, None if it does not."""
        name = self._key(key)
        self._open()
        record = self._fetch((name,))[0]
        if record is None or not self._live(record):
            raise KeyError(key)
        return None if record.deadline is None else record.deadline - self._clock.seconds

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool:
        """Store ``value`` if ``key`` is missing. Returns if it was stored."""
        return self._swap(self._key(key), 0, self._draft(value, ttl))

    def _swap(self, key: str, token: int, draft: Draft) -> bool:
        """Store a draft if nobody changed ``key`` since ``token`` was read."""
        return self._change([key], self._step_swap(key, token, draft))

    def replace(self, key: Any, expected: Any, value: Any) -> bool:
        """Store ``value`` if ``key`` holds what equals ``expected``. Returns if it was stored."""
        name = self._key(key)
        self._lacks("writes", "takes no writes")
        while True:
            token, current = self._read(key)
            if current is MISSING or not (current is expected or current == expected):
                return False
            if self._swap(name, token, self._draft(value, None)):
                return True

    def incr(self, key: Any, by: int = 1) -> int:
        """Add ``by`` to the whole number under ``key``; a missing one counts as 0. Keeps the time to live."""
        name = self._key(key)
        self._lacks("writes", "takes no writes")
        while True:
            token, current = self._read(key)
            total = self._sum(key, current, by)
            if self._change([name], self._step_swap(name, token, self._draft(total, None), keep=True)):
                return total

    # -- steps: what ``_change`` is given, here and by those who await it ------------------------------------

    def _step_pop(self, key: str) -> Step:
        """Take ``key`` out; the result is its record, None for a miss."""
        return lambda found: ((found[0] if self._live(found[0]) else None), self._stored([key], found, [None]))

    def _step_take(self, keys: Sequence[str]) -> Step:
        """Take ``keys`` out; the result is how many were there."""
        return lambda found: (sum(map(self._live, found)), self._stored(keys, found, [None] * len(keys)))

    def _step_put(self, keys: Sequence[str], drafts: Sequence[Draft]) -> Step:
        return lambda found: (None, self._stored(keys, found, drafts))

    def _step_touch(self, key: str, seconds: float | None) -> Step:
        def step(found: Found) -> tuple[bool, list[Change]]:
            record = found[0]
            if record is None or not self._live(record):
                return False, []
            if seconds == 0:
                return True, [Change(key, None, DELETE, "expire", None, record)]
            deadline = None if seconds is None else self._clock.seconds + seconds
            return True, [Change(key, record._replace(deadline=deadline, stale=0.0))]
        return step

    def _step_swap(self, key: str, token: int, draft: Draft, keep: bool = False) -> Step:
        """Store a draft if nobody changed ``key`` since ``token`` was read. ``keep`` its deadline and tags."""
        def step(found: Found) -> tuple[bool, list[Change]]:
            record = found[0]
            if self._token(record) != token:
                return False, []
            changes = self._stored([key], found, [draft])
            if keep and token and record is not None:
                kept = changes[0].record._replace(      # type: ignore[union-attr]
                    deadline=record.deadline, stale=record.stale, tags=record.tags)
                changes = [changes[0]._replace(record=kept)]
            return True, changes
        return step

    @staticmethod
    def _sum(key: str, current: Any, by: Any) -> int:
        """What ``incr`` stores, or the error where that is no number."""
        if not isinstance(by, int) or isinstance(by, bool):
            raise TypeError(f"by={by!r} must be an int")
        if current is not MISSING and (not isinstance(current, int) or isinstance(current, bool)):
            raise TypeError(f"key {key!r} holds {type(current).__name__}, and incr works on int")
        return by if current is MISSING else current + by

"""Ranges, tags, and commits of transactions of backends in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from door43fast.arguments import tag_names

from door43fast.errors import ConflictError, UnsupportedError
from door43fast.plugins.record import Record
from door43fast.plugins.section import DELETE, Change, Found, Section
from door43fast.reference.packing import pack_pairs

LAST = "\U0010ffff"


def after_prefix(prefix: str) -> str | None:
    """The least text that is greater than all that begin with ``prefix``; None if there is none."""
    while prefix.endswith(LAST):
        prefix = prefix[:-1]
    if not prefix:
        return None
    following = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)     # no surrogates


def bounds(prefix: Any, start: Any = None, stop: Any = None) -> tuple[str, str | None]:
    """The range of a scan as its least key and the one after its last."""
    for bound in (prefix, start, stop):
        if bound is not None and not isinstance(bound, str):
            raise UnsupportedError(f"ranges need str keys: {bound!r} is {type(bound).__name__}")
        if bound:
            try:
                bound.encode()
            except UnicodeEncodeError:
                raise ValueError(f"{bound!r} holds a lone surrogate, which UTF-8 cannot store") from None
    low, high = max(prefix or "", start or ""), after_prefix(prefix or "")
    return low, stop if high is None else high if stop is None else min(high, stop)


class Snapshot:
    """What a transaction reads from: direct reads, which are checked at the commit, and scans copied at once."""

    def __init__(self, store: Any) -> None:
        self.read = store._read
        self._store = store

    def scan(self, prefix: Any, start: Any, stop: Any, reverse: bool) -> Iterator[tuple[Any, Any, Any]]:
        low, high = self._store._bounds(prefix, start, stop)
        return iter([(key, record.version, self._store._value(key, record))
                     for key, record in self._store._live_range(low, high, reverse)])

    def close(self) -> None:
        """Nothing is held."""


class Ranges(Section):
    """Everything that goes by the order of keys, and everything at once."""

    _clock: Any
    _bounds = staticmethod(bounds)

    def __len__(self) -> int:
        self._lacks("listing", "cannot list its keys")
        return self._held()

    def __iter__(self) -> Iterator[Any]:
        self._lacks("listing", "cannot list its keys")
        return self._live_keys("", None)

    def _live(self, record: Record | None) -> bool:
        return record is not None and not record.revoked and (
            record.deadline is None or self._clock.seconds < record.deadline)

    def _live_range(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        if high is not None and high <= low:
            return
        for key, record in self._walk(low, high, reverse):
            self._open()
            if self._live(record):
                yield key, record

    def _live_keys(self, low: str, high: str | None) -> Iterator[str]:
        """The keys of a range, in order where keys have one."""
        return (key for key, _ in self._live_range(low, high))

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield ``(key, value)`` in the order of keys: those under ``prefix``, from ``start`` up to before ``stop``."""
        self._lacks("ordered", "has no order of keys")
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise ValueError(f"limit={limit!r} must be a whole number of 0 or more, or None")
        low, high = self._bounds(prefix, start, stop)
        return self._values(low, high, reverse, limit)

    def _values(self, low: str, high: str | None, reverse: bool, limit: int | None) -> Iterator[tuple[Any, Any]]:
        if limit == 0:
            return
        for taken, (key, record) in enumerate(self._live_range(low, high, reverse), 1):
            yield key, self._value(key, record)
            if taken == limit:
                return

    def _value(self, key: Any, record: Record) -> Any:
        raise NotImplementedError

    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]:
        """Yield ``(keys, values)`` in order, as two ``Packed`` of up to ``chunk`` records each."""
        self._lacks("packed", "packs no batches")
        return pack_pairs(self.scan(prefix), chunk)

    def keys(self, prefix: Any = "") -> Iterator[Any]:
        """Yield the keys under ``prefix``, in order where keys have one."""
        self._lacks("listing", "cannot list its keys")
        return self._live_keys(*self._bounds(prefix))

    def count(self, prefix: Any = "") -> int:
        """How many keys there are under ``prefix``."""
        return sum(1 for _ in self.keys(prefix))

    def clear(self, prefix: Any = "") -> None:
        """Take out everything, or what is under ``prefix``: one event, however many there were."""
        self._lacks("writes", "takes no writes")
        low, high = self._bounds(prefix)
        self._at_once(lambda: self._erase(low, high), "clear", prefix)

    def expire(self) -> int:
        """Take out all that has expired, and return how many that were."""
        self._open()
        keys = self._due(self._clock.seconds) if self.capabilities.writes else []
        return self._reap(keys) if keys else 0

    def _reap(self, keys: Sequence[str]) -> int:
        def step(found: Found) -> tuple[int, list[Change]]:
            now = self._clock.seconds
            gone = [Change(key, None, DELETE, "expire", None, record) for key, record in zip(keys, found, strict=True)
                    if record is not None and record.deadline is not None and record.deadline + record.stale <= now]
            return len(gone), gone
        return self._change(keys, step, void=False)

    def invalidate(self, tag: str) -> None:
        """Make every entry that carries ``tag`` missing, at once."""
        self._lacks("tags", "has no tags")
        self._lacks("writes", "takes no writes")
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}")
        tag_names((tag,))
        self._at_once(lambda: self._revoke(tag), "invalidate", tag)

    # -- transactions ----------------------------------------------------------------------------------------

    def _snapshot(self) -> Snapshot:
        self._open()
        return Snapshot(self)

    def _token(self, record: Record | None) -> int:
        return record.version if record is not None and self._live(record) else 0

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Sequence[Any] = ()) -> None:
        """Make all writes in one step if nothing that was read has changed, else raise ConflictError."""
        for key in (*reads, *writes):
            self._key(key)
        drafts = [None if write is None else self._draft(*write) for write in writes.values()]
        keys, n = [*writes, *reads], len(writes)

        def step(found: Found) -> tuple[None, list[Change]]:
            for key, record, token in zip(reads, found[n:], reads.values(), strict=True):
                if self._token(record) != token:
                    raise _conflict(f"key {key!r}")
            for prefix, start, stop, pairs in ranges:
                low, high = self._bounds(prefix, start, stop)
                if [(key, record.version) for key, record in self._live_range(low, high)] != [tuple(p) for p in pairs]:
                    raise _conflict(f"the range {prefix!r} ({start!r} to {stop!r})")
            return None, self._stored(list(writes), found[:n], drafts)
        self._change(keys, step, prefixes=list(dict.fromkeys(prefix or "" for prefix, *_ in ranges)))

    def _key(self, key: Any) -> str:
        raise NotImplementedError

    def _draft(self, value: Any, ttl: Any, tags: Any = (), pin: bool = False, stale: Any = None) -> Any:
        raise NotImplementedError

    def _stored(self, keys: list[str], found: Found, drafts: Sequence[Any]) -> list[Change]:
        raise NotImplementedError


def _conflict(what: str) -> ConflictError:
    return ConflictError(f"{what} was changed by another while the transaction ran, and nothing was written: "
                         "run it again")



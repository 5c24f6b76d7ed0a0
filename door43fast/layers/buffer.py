"""Write-back: a store that takes writes at once and brings them to the store below a little later."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import ceil
from threading import get_ident
from typing import Any, NamedTuple

from door43fast.arguments import pairs, span, tag_names
from door43fast.compute import flight_name
from door43fast.contracts import MISSING, Items, Seconds
from door43fast.errors import BackendUnavailableError, BudgetError, ConfigError, UnsupportedError
from door43fast.layers.backlog import Backlog, Entry, bufferable
from door43fast.layers.bottom import terms_of
from door43fast.layers.buffered import BufferedReads
from door43fast.layers.flusher import Flusher
from door43fast.layers.forwarding import Call, Wrapper

LOOKS = 3       # tries to learn below if a key is there, while others write, before the write goes straight below


class Unflushed(NamedTuple):
    """A write that is not yet below: ``op`` is ``"set"`` or ``"delete"``, ``ttl`` the seconds that are left."""

    op: str
    key: Any
    value: Any = None
    ttl: float | None = None
    tags: tuple[str, ...] = ()
    pin: bool = False


class WriteBuffer(BufferedReads, Wrapper):
    """A store that keeps writes in memory and brings them to the store below in batches: write-back.

    ``set``, ``set_many``, ``delete``, ``delete_many`` and ``touch`` are buffered. Reads find what was written. All
    else flushes first what it concerns; see docs/write-back.md. **What was not flushed is lost with the process**:
    ``flush()`` and ``close()`` bring everything below, and so does an orderly end of the process.

    Parameters
    ----------
    slow : Store
        The store below. It belongs to this one from now on: what is written to it past the buffer may be overwritten.
    max_dirty : int
        The most keys that wait to be flushed.
    max_bytes : int
        The most bytes that they and their values hold.
    delay : float or timedelta
        How long a write waits at the most before it is flushed, while the store below is well.
    patience : float or timedelta
        How long a write waits for room while nothing can be flushed, before it raises ``BudgetError``; and how long
        ``close()`` tries.
    ttl, clock
        Those of the store below, where that cannot be asked: a MemoryStore, or several stores beside each other.

    Raises
    ------
    ConfigError
        If an option is out of range.
    """

    def __init__(self, slow: Any, *, max_dirty: int = 10_000, max_bytes: int = 64 << 20, delay: Seconds = 0.1,
                 patience: Seconds = 5.0, ttl: Seconds | None = None, clock: Any = None) -> None:
        super().__init__(slow)
        if getattr(slow, "asynchronous", False):
            raise UnsupportedError(f"{type(slow).__name__} is only for event loops, and a buffer writes to the store "
                                   "below without awaiting it: use the store by itself, by store.aio")
        for name, bound in (("max_dirty", max_dirty), ("max_bytes", max_bytes)):
            if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
                raise ConfigError(f"{name}={bound!r} must be a whole number of 1 or more")
        try:
            self.delay, self.patience = span(delay, "delay"), span(patience, "patience")
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from None
        self.max_dirty, self.max_bytes = max_dirty, max_bytes
        self._terms = terms_of(slow, clock, ttl)
        self._backlog = Backlog()
        self._flusher = Flusher(slow, self._backlog, self._terms, self.delay, max(max_dirty // 2, 1),
                                max(max_bytes // 2, 1))
        self._rows = self._backlog.rows
        self._text = False      # whether the store below is known to take text as keys

    # -- writes that are buffered ----------------------------------------------------------------------------

    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
            durable: bool = False) -> None:
        """Store ``value`` under ``key``. ``durable`` has it below, and synced, before the call returns."""
        if self._text and ttl is None and type(tags) is tuple and not tags and not pin and not durable and _plain(key):
            if self._put([(key, self._entry(value, None))]):
                return
        tags = tag_names(tags)
        entry = None if durable or not self._takes(key, ttl, tags, pin) else self._entry(value, ttl, tags, pin)
        if entry is None or not self._put([(key, entry)]):
            options = {"ttl": ttl, "tags": tags, "pin": pin, "durable": durable}
            self._change(Call("set", [key], (key, value), options))

    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None:
        """Store every pair of a mapping or an iterable of pairs: all, or none if something is wrong."""
        given = pairs(items)
        self._below()
        if ttl is not None:
            span(ttl, "ttl")
        if len(given) <= self.max_dirty and all([self._takes(key, ttl) for key, _ in given]):
            drafts = {key: self._entry(value, ttl) for key, value in given}
            if not drafts or self._put(list(drafts.items())):
                return
        self._change(Call("set_many", [key for key, _ in given], (given,), {"ttl": ttl}))

    def delete(self, key: Any) -> bool:
        """Take ``key`` out. Returns whether it was there."""
        count = self._bury([key])
        return self._change(Call("delete", [key], (key,))) if count is None else count == 1

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Take ``keys`` out. Returns how many were there."""
        if isinstance(keys, (str, bytes)):      # one key is no batch for every store
            return self._change(Call("delete_many", None, (keys,)))
        wanted = list(keys)
        count = self._bury(wanted)
        return self._change(Call("delete_many", wanted, (wanted,))) if count is None else count

    def _bury(self, wanted: list[Any]) -> int | None:
        """Take out keys and give how many were there; None if the delete must go straight below."""
        self._below()
        if all([self._takes(key) for key in wanted]):
            keys = list(dict.fromkeys(wanted))
            for _ in range(LOOKS):
                count = self._bury_at_once(keys)
                if count is not None:
                    return count
        return None

    def _bury_at_once(self, keys: list[Any]) -> int | None:
        """None if others wrote while the store below was asked, so that it is not known what was there."""
        backlog = self._backlog
        with backlog.lock:
            news = backlog.news
            asked = [key for key in keys if key not in self._rows]
        there = set()
        if asked:
            there = {key for key, is_there in zip(asked, self.slow.contains_many(asked), strict=True) if is_there}
        with backlog.lock:
            # One that was dirty may have been flushed meanwhile: then it is below, and nobody has asked there.
            if backlog.passes(keys) or asked and news != backlog.news or (
                    asked != [key for key in keys if key not in self._rows]):
                return None
            self._below()
            now = self._terms.clock.seconds
            for key in keys:
                entry = self._rows.get(key)
                if entry is not None and entry.live(now):
                    there.add(key)
            gone = [(key, Entry(gone=True)) for key in keys if key in there]
            self._put_all(gone)
            backlog.counts["deletes"] += len(gone)
        self._void(keys)
        return len(gone)

    def touch(self, key: Any, ttl: Seconds | None) -> bool:
        """Give ``key`` a new time to live from now; None for none. Returns whether it was there."""
        seconds = None if ttl is None else span(ttl, "ttl")
        self._below()
        # ``set`` can not say "no end" where the store below has a time to live of its own.
        if not self.capabilities.ttl or not bufferable(key) or seconds == 0 or (
                seconds is None and self._terms.ttl is not None):
            return self._change(Call("touch", [key], (key, ttl)))
        with self._backlog.lock:
            entry = None if self._backlog.passes([key]) else self._rows.get(key)
            there = entry is not None and entry.live(self._terms.clock.seconds)
            if entry is not None and there:
                self._backlog.put(key, entry.until(self._deadline(seconds)))
        if entry is None:
            return self._change(Call("touch", [key], (key, ttl)))
        return there

    def _takes(self, key: Any, ttl: Any = None, tags: tuple[str, ...] = (), pin: bool = False) -> bool:
        """Whether a write may be buffered. One that the store below would refuse is not: it refuses it itself. Nor is
        one that ends at once, of which it tells as of an expiry.

        Only plain text is known to be a key of every store that takes text. Of other keys the store is asked.
        """
        can = self._below().capabilities
        if not can.writes or not bufferable(key) or tags and not can.tags or pin and not can.pins:
            return False
        if ttl is not None and (not can.ttl or span(ttl, "ttl") == 0):
            return False
        if not (self._text and _plain(key)):
            key in self._below()        # noqa: B015  # raises for what is no key of that store
            self._text = self._text or type(key) is str
        return True

    def _entry(self, value: Any, ttl: Any, tags: tuple[str, ...] = (), pin: bool = False) -> Entry:
        mark, held = self._terms.freeze(value)
        seconds = self._terms.ttl if ttl is None else span(ttl, "ttl")
        return Entry(held, mark, self._deadline(seconds), tags, pin)

    def _deadline(self, seconds: float | None) -> float | None:
        """Rounded up to 1 ms, so that many writes of one ttl are flushed together."""
        return None if seconds is None else ceil((self._terms.clock.seconds + seconds) * 1000) / 1000

    def _put(self, drafts: list[tuple[Any, Entry]]) -> bool:
        """Make these dirty at once. False if the write must go straight below."""
        keys = [key for key, _ in drafts]
        backlog = self._backlog
        with backlog.lock:
            self._below()
            if len(self._rows) + len(keys) > self.max_dirty or backlog.bytes > self.max_bytes:
                self._await_room(keys)
                self._below()
            if (backlog.going or backlog.all_going) and backlog.passes(keys):
                return False
            self._put_all(drafts)
            backlog.counts["sets"] += len(drafts)
        self._void(keys)
        return True

    def _put_all(self, drafts: list[tuple[Any, Entry]]) -> None:
        """REQUIRES: the backlog's lock."""
        backlog, flusher = self._backlog, self._flusher
        before = len(self._rows)
        for key, entry in drafts:
            backlog.put(key, entry)
        if flusher.owner == get_ident():    # a listener; the flush that called it ends when this is below too
            flusher.own = backlog.seq
        if not before or len(self._rows) >= flusher.eager or backlog.bytes >= flusher.heavy:
            flusher.wake()

    def _await_room(self, keys: list[Any]) -> None:
        """Wait until the bounds leave room. REQUIRES: the backlog's lock."""
        backlog, flusher = self._backlog, self._flusher
        end, news = time.monotonic() + self.patience, backlog.news
        while self._rows and (len(self._rows) + len(keys) > self.max_dirty or backlog.bytes > self.max_bytes):
            if flusher.owner == get_ident():    # a listener, called by the flush that would make room
                return
            if len(keys) == 1 and keys[0] in self._rows and backlog.bytes <= self.max_bytes:
                return
            if news != backlog.news:
                end, news = time.monotonic() + self.patience, backlog.news
            left = end - time.monotonic()
            if left <= 0:
                raise BudgetError(
                    f"{len(self._rows)} writes ({backlog.bytes} bytes) wait to be flushed, which is all that max_dirty="
                    f"{self.max_dirty} and max_bytes={self.max_bytes} allow, and {type(self.slow).__name__} took none "
                    f"for {self.patience:g} seconds: the write of {keys[0]!r} was not taken; try again when the store "
                    f"below is well ({flusher.error or 'it has not answered'})") from flusher.error
            flusher.wake()
            backlog.changed.wait(left)

    def _void(self, keys: Iterable[Any]) -> None:
        """End the computations of ``keys``: their results are older than these writes."""
        flights = self.slow._flights if not self._shut else None
        if flights:
            for key in keys:
                flight = flights.get(flight_name(self.slow, key))
                if flight is not None:
                    flight.voided = True

    # -- writes that go straight below -----------------------------------------------------------------------

    def _change(self, call: Call) -> Any:
        """Flush what the write concerns, then carry it out below."""
        self._below()
        keys = call.keys
        if not isinstance(keys, list) or not all(map(bufferable, keys)):
            keys = None
        with self._backlog.lock:
            self._backlog.begin(keys)
        try:
            self._flusher.flush_keys(keys)
            return call.on(self._below())
        finally:
            with self._backlog.lock:
                self._backlog.end(keys)

    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any], ranges: Any = ()) -> None:
        self._change(Call("_commit", None if ranges else [*reads, *writes], (reads, writes), {"ranges": ranges}))

    def invalidate(self, tag: str) -> None:
        """Make every entry that carries ``tag`` missing, at once."""
        self._sweep(Call("invalidate", None, (tag,)), lambda key, entry: tag in entry.tags, True)

    def clear(self, prefix: Any = "") -> None:
        """Take out everything, or what is under ``prefix``. What waits to be flushed there never will be."""
        from door43fast.events import begins

        self._sweep(Call("clear", None, (prefix,)), lambda key, entry: begins(key, prefix), False)

    def _sweep(self, call: Call, concerned: Any, bury: bool) -> None:
        """Carry out below what concerns many keys; of what was dirty before, they are taken out, or ``bury``-ed.

        Nothing is flushed meanwhile, and what was dirty is kept until it is done below: where that fails, nothing has
        changed. What is buried may have an older value below, which is still to be deleted.
        """
        with self._flusher.alone():
            with self._backlog.lock:
                before = list(self._rows.items())
            call.on(self._below())
            with self._backlog.lock:
                for key, entry in before:
                    if concerned(key, entry) and self._rows.get(key) is entry:
                        if bury:
                            self._backlog.put(key, Entry(gone=True))
                        else:
                            self._backlog.drop(key, entry)
                self._backlog.news += 1
                self._backlog.changed.notify_all()

    def expire(self) -> int:
        """Take out everything that is past its time. Returns how many there were."""
        backlog = self._backlog
        with self._flusher.alone():
            below = self._below().expire()
            with backlog.lock:
                now = self._terms.clock.seconds
                for key, entry in list(self._rows.items()):
                    if not entry.gone and not entry.live(now):
                        backlog.put(key, Entry(gone=True))
                        backlog.expired += 1
                count, backlog.expired = backlog.expired, 0
                backlog.counts["expirations"] += count
        return count + below

    # -- care ------------------------------------------------------------------------------------------------

    def dirty(self) -> list[Unflushed]:
        """What is not yet below, in the order in which it is flushed; also after a ``close()`` that failed."""
        with self._backlog.lock:
            rows = list(self._rows.items())
        now = self._terms.clock.seconds
        return [Unflushed("set", key, self._terms.thaw(entry.mark, entry.value),
                          None if entry.deadline is None else entry.deadline - now, entry.tags, entry.pin)
                if entry.live(now) else Unflushed("delete", key) for key, entry in rows]

    def stats(self) -> dict[str, Any]:
        """Those of the store below, with what was read and written here alone; and ``buffer``:

        ``dirty`` keys and their ``bytes``, the ``oldest`` one's age in seconds, how many were ``flushed``, how many
        attempts failed (``failures``), and the last ``error`` while it lasts.
        """
        below = self._below().stats()
        backlog, flusher = self._backlog, self._flusher
        with backlog.lock:
            oldest = next(iter(self._rows.values()), None)
            buffer = {"dirty": len(self._rows), "bytes": backlog.bytes, "flushed": flusher.flushed,
                      "oldest": 0.0 if oldest is None else time.monotonic() - oldest.since,
                      "failures": flusher.failures, "error": None if flusher.error is None else str(flusher.error)}
            counts = {name: below[name] + count for name, count in backlog.counts.items()}
        return {**below, **counts, "buffer": buffer}

    def close(self) -> None:
        """Flush, then close it and the store below. A second close does nothing.

        Raises
        ------
        BackendUnavailableError
            If not everything could be flushed: all is closed then, and ``dirty()`` gives what is not below.
        """
        with self._backlog.lock:
            if self._shut:
                return
            self._shut = True
        error = self._flusher.stop(self.patience)
        left = self.dirty()
        try:
            self.slow.close()
        finally:
            if left:
                raise self._unflushed(left, error) from error

    def _unflushed(self, left: list[Unflushed], error: Exception | None) -> BackendUnavailableError:
        names = ", ".join(repr(one.key) for one in left[:3]) + (", ..." if len(left) > 3 else "")
        return BackendUnavailableError(
            f"{len(left)} writes could not be flushed to {type(self.slow).__name__} before it was closed ({names}): "
            f"{error}; dirty() gives them, to be written elsewhere")

    def __reduce__(self) -> tuple[Any, ...]:
        self.flush()
        if getattr(self, "plan", None) is not None:
            return super().__reduce__()
        return _reopen, (self.slow, {"max_dirty": self.max_dirty, "max_bytes": self.max_bytes, "delay": self.delay,
                                     "patience": self.patience})


def _plain(key: Any) -> bool:
    """Whether a key is one of every store that takes text."""
    return type(key) is str and 0 < len(key) <= 200 and key.isascii()


def _reopen(slow: Any, options: dict[str, Any]) -> WriteBuffer:
    """What unpickling does, also in a spawned worker."""
    return WriteBuffer(slow, **options)

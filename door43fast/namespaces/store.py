"""A namespace as a store of its own, over records in the store underneath.

Every write runs in one transaction of the store underneath that begins by reading the namespace's book and ends by
writing it. So two that overlap, of whatever thread or process, conflict on the book, and one of them is made anew; and
what the book says is what is held, at every moment and after every crash. Reads ask no book.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.claims import name_hash
from door43fast.config import Size
from door43fast.contracts import Capabilities
from door43fast.errors import ClosedError, ConfigError, ConflictError, Error, RateError
from door43fast.namespaces.book import Book, Row, read_book, read_generation, read_row, weight
from door43fast.namespaces.keyed import Keyed, key_codec
from door43fast.namespaces.rates import Bucket
from door43fast.namespaces.regions import Regions
from door43fast.namespaces.writing import Directly, Writing
from door43fast.plugins import BackendOptions, Record

CHUNK = 256         # records that a scan reads with one call
KEEP: Any = type("Keep", (), {"__repr__": lambda self: "KEEP"})()       # a limit that stays as it is


class NamespaceOptions(BackendOptions, kw_only=True):
    """The options of a namespace."""

    keys: Annotated[Literal["str", "bytes", "any"] | None, Meta(
        description="The type of the keys, `str` by default; fixed when it is created.")] = None
    max_bytes: Annotated[Size | None, Meta(description="The most bytes that its keys and records may take.")] = None
    max_entries: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(
        description="The most records that it may hold.")] = None
    policy: Annotated[Literal["none", "fifo"] | None, Meta(
        description="What makes room in a full one: nothing, which is `none` and the default, or what was written "
                    "longest ago; fixed when it is created.")] = None
    rate: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(
        description="Keys a second that may be read and written.")] = None
    burst: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(
        description="Keys that may come at once; those of a second if not given.")] = None


class Collision(Exception):
    """Somebody else has written to the namespace meanwhile: the write is made anew."""


class Namespace(Keyed):
    """A store within a store, which sees nothing but what is its own.

    Opened by :func:`door43fast.namespace`. It has every method of a store; ``limit`` changes its limits, ``recount``
    counts anew what it holds. Closing it leaves the store underneath open.

    Raises
    ------
    QuotaError
        From a write that would make it hold more than it may; with the policy "fifo" only where no room can be made.
    RateError
        From a read or write beyond its rate; ``retry_after`` says when to try again.
    """

    Options = NamespaceOptions

    def __init__(self, base: Any, name: str, regions: Regions, options: NamespaceOptions, book: Book) -> None:
        super().__init__(options)
        self.base, self.name = base, name
        can = base.capabilities
        self.capabilities = Capabilities(
            writes=can.writes, transactions=can.transactions, persistent=can.persistent,
            shared=can.shared and can.transactions,     # else two processes that write could overlap
            pins=book.policy == "none", traces=book.keys == "str", streams=True)
        self._depth = 1 + getattr(base, "_depth", 0)
        self._regions = regions
        self._pinned = can.pins and not hasattr(base, "slow")     # what evicts leaves these alone
        self._policy, self._kind = book.policy, book.keys
        self._keys = key_codec(book.keys)
        self._own = 0               # writes of ours, of those that the book counts
        self._refused = self._limited = 0
        self._writing_now: Writing | None = None
        self._writer = 0            # the thread that writes
        self._bucket = _bucket(name, book)

    def __repr__(self) -> str:
        return f"<Namespace {self.name!r} of {self.base!r}, {'closed' if self.closed else 'open'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        from door43fast.namespaces.roll import reopened

        kept = {"codec": self.options.codec, "ttl": self.options.ttl}
        return reopened, (self.base, self.name, kept)

    # -- the book --------------------------------------------------------------------------------------------

    def _read_book(self, data: Any) -> Book:
        book = None if data is None else read_book(data, self.name)
        if book is None or book.ending:
            raise ClosedError(f"the namespace {self.name!r} was dropped: open it anew with namespace()")
        return book

    def _book(self) -> Book:
        return self._read_book(self.base.get(self._regions.book))

    def limit(self, *, max_bytes: Any = KEEP, max_entries: Any = KEEP, rate: Any = KEEP, burst: Any = KEEP) -> None:
        """Change limits, for every process; None takes one away.

        What is held already stays where a limit is lowered; from then on only what makes it less is written. Another
        process goes by a new rate with its next write.
        """
        given = {name: value for name, value in (("max_bytes", max_bytes), ("max_entries", max_entries),
                                                 ("rate", rate), ("burst", burst)) if value is not KEEP}
        from door43fast.config import checked

        settings = checked(NamespaceOptions, given, "limit()")
        if not given:
            return

        def change() -> None:
            with self._lock, self._writing():
                book = self._now_writing().book
                for name in given:
                    setattr(book, name, getattr(settings, name))
                if book.burst is not None and book.rate is None:
                    raise ConfigError("burst= has no effect without a rate: give rate=")
                self._now_writing().changed = True
        self._lacks("writes", "takes no writes")
        self._anew(change)

    def recount(self) -> None:
        """Count anew what is held: where ``verify`` says that the book is wrong."""
        def count() -> None:
            with self._lock, self._writing():
                writing = self._now_writing()
                writing.book.entries, writing.book.bytes = self._counted()
                writing.book.due, writing.changed = 0.0, True
        self._lacks("writes", "takes no writes")
        self._anew(count)

    def _counted(self) -> tuple[int, int]:
        sizes = [weight(self._regions.key(at), data) for at, data in self.base.scan(self._regions.rows)]
        return len(sizes), sum(sizes) + sum(map(self._regions.tag_weight, self.base.keys(self._regions.tags)))

    # -- writing ---------------------------------------------------------------------------------------------

    def _now_writing(self) -> Writing:
        assert self._writing_now is not None
        return self._writing_now

    def _pending(self) -> Writing | None:
        """The write of this thread that is under way."""
        return self._writing_now if self._writer == threading.get_ident() else None

    def _anew(self, write: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Carry out a write, again for as long as others come between."""
        while True:
            try:
                return write(*given, **options)
            except Collision:
                continue

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._writing_now is not None:       # the lock is held: it is this thread's own
            yield
            return
        transaction = self.base.transaction() if self.base.capabilities.transactions else Directly(self.base)
        transaction.__enter__()
        stood: Any = None
        try:
            stood = transaction.get(self._regions.book)
            book = self._read_book(stood)
            self._writing_now = writing = Writing(self, transaction, book)
            self._writer = threading.get_ident()
            try:
                yield
                writing.settle()
            finally:
                self._writing_now, self._writer = None, 0
        except BaseException as error:
            transaction.__exit__(*sys.exc_info())
            if isinstance(error, Exception) and self.base.get(self._regions.book) != stood:
                raise Collision from error      # what others wrote meanwhile may have been seen in part
            raise
        try:
            transaction.__exit__(None, None, None)
        except ConflictError as error:
            raise Collision from error
        except Exception:
            writing.undo()
            raise
        self._follow(book)
        self._own += writing.written
        for key, reason, tags in writing.told:
            self._counts["evictions" if reason == "evict" else "expirations"] += 1
            self._queue.push("delete", self._shown(key), reason, None, tags)

    def _follow(self, book: Book) -> None:
        """Go by the rate that the book says."""
        held = None if self._bucket is None else (self._bucket.rate, self._bucket.burst)
        wanted = None if book.rate is None else (book.rate, _burst(book))
        if held != wanted:
            self._bucket = _bucket(self.name, book)

    def _change(self, keys: Sequence[str], step: Any, **how: Any) -> Any:
        self._take(len(keys))
        return self._anew(super()._change, keys, step, **how)

    def _shared_marks(self) -> Any:
        """Those of the store underneath, where others have it too."""
        base = self.base
        while hasattr(base, "slow"):
            base = base.slow
        return base._shared_marks() if hasattr(base, "_shared_marks") else None

    def _flight_hash(self, key: str) -> int:
        return name_hash(f"{self.name}\0{key}")

    def clear(self, prefix: Any = "") -> None:
        """Take out everything, or what is under ``prefix``, in one step: one event, however many there were."""
        self._lacks("writes", "takes no writes")
        low, high = self._bounds(prefix)
        self._take(1)
        self._anew(self._at_once, lambda: self._erase(low, high), "clear", prefix)

    def invalidate(self, tag: str) -> None:
        """Make every entry that carries ``tag`` missing, at once."""
        self._take(1)
        self._anew(super().invalidate, tag)

    def _apply(self, changes: list[tuple[str, Record | None]]) -> None:
        for key, record in changes:
            self._now_writing().put(key, record)

    def _erase(self, low: str, high: str | None) -> None:
        writing, place = self._now_writing(), self._regions
        for at in list(self.base.keys(place.rows)):
            key = place.key(at)
            if key >= low and (high is None or key < high):
                writing.put(key, None)
        for key in [key for key in writing.rows if key >= low and (high is None or key < high)]:
            writing.put(key, None)
        if not low and high is None:
            writing.forget_tags()

    def _revoke(self, tag: str) -> None:
        self._now_writing().revoke(tag)

    # -- reading ---------------------------------------------------------------------------------------------

    def _take(self, keys: int) -> None:
        bucket = self._bucket
        if bucket is not None and self._pending() is None:
            try:
                bucket.take(keys or 1)
            except RateError:
                self._limited += 1
                raise

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, or ``default``."""
        if (type(key) is not str or not key or not key.isascii() or self._keys is not None or self._regions.in_bytes
                or self._bucket is not None or self._recording is not None or self._writer or self._is_closed):
            return super().get(key, default)
        data = self.base.get(self._regions.rows + key)      # the plain case, without all that is asked for others
        if data is None:
            self._count(0, 1)
            return default
        row = self._row(key, data)
        if row.tags or row.deadline is not None:
            return super().get(key, default)
        self._count(1, 0)
        return self._value(key, row)

    def _row(self, key: str, data: Any) -> Row:
        return read_row(data, self.name, key)

    def _records(self, keys: Sequence[str], data: Sequence[Any]) -> list[Record | None]:
        rows = [None if one is None else self._row(key, one) for key, one in zip(keys, data, strict=True)]
        tags = {tag for row in rows if row is not None and row.tags for tag, _ in row.tags}
        if not tags:
            return [None if row is None else Record(row.mark, row.payload, row.deadline, row.stale, (), row.version)
                    for row in rows]
        now = self._generations(sorted(tags))
        return [None if row is None else Record(
            row.mark, row.payload, row.deadline, row.stale, row.tags, row.version,
            any(now[tag] != generation for tag, generation in row.tags)) for row in rows]

    def _fetch(self, keys: Sequence[str]) -> list[Record | None]:
        writing = self._pending()
        if writing is None:
            self._take(len(keys))
        place = self._regions.row
        data = [self.base.get(place(keys[0]))] if len(keys) == 1 else self.base.get_many([place(key) for key in keys])
        if writing is not None and writing.rows:
            data = [writing.rows.get(key, one) for key, one in zip(keys, data, strict=True)]
        return self._records(keys, data)

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        place = self._regions
        rows = self.base.scan(place.rows, start=place.row(low) if low else None,
                              stop=None if high is None else place.row(high), reverse=reverse)
        while chunk := list(islice(rows, CHUNK)):
            self._take(len(chunk))
            keys = [place.key(at) for at, _ in chunk]
            for key, record in zip(keys, self._records(keys, [data for _, data in chunk]), strict=True):
                if record is not None:
                    yield key, record

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        writing = self._pending()
        held = self.base.get_many([self._regions.tag(tag) for tag in tags])
        found = {tag: 0 if data is None else read_generation(data) for tag, data in zip(tags, held, strict=True)}
        return {**found, **{tag: writing.generations[tag] for tag in tags if tag in writing.generations}
                } if writing else found

    def _held(self) -> int:
        return self._book().entries

    def _occupied(self) -> int:
        return self._book().bytes

    def _epoch(self) -> int:
        """A number that grows when another process has written here: what a memory tier above asks."""
        if not self.base.capabilities.shared:
            return 0
        with self._lock:
            self._open()
            return self._book().changes - self._own

    def _forked(self) -> None:
        self._writing_now, self._writer = None, 0
        self._bucket = _bucket(self.name, self._bucket) if self._bucket else None

    # -- care ------------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, Any]:
        """Counters since it was opened here, what it holds, and its limits."""
        found = super().stats()
        book = self._book()
        return {**found, "namespace": self.name, "max_bytes": book.max_bytes, "max_entries": book.max_entries,
                "policy": book.policy, "rate": book.rate, "burst": book.burst, "refused": self._refused,
                "limited": self._limited}

    def _sync(self) -> None:
        self.base.flush()

    def _sound(self) -> Iterator[str]:
        book, wrong = self._book(), []
        for at, data in self.base.scan(self._regions.rows):
            key = self._regions.key(at)
            try:
                row = self._row(key, data)
                self._codec.decode(row.mark, row.payload)
            except Error as error:
                wrong.append(key)
                yield str(error)
            else:
                yield ""
        if self._book().changes == book.changes and self._counted() != (book.entries, book.bytes):
            yield (f"the book of the namespace {self.name!r} says {book.entries} records of {book.bytes} bytes, and "
                   f"there are {self._counted()}: something else wrote into its place; call recount()")


def _burst(book: Book | Bucket) -> int:
    return book.burst or max(1, int(book.rate or 1))


def _bucket(name: str, book: Book | Bucket) -> Bucket | None:
    return None if book.rate is None else Bucket(name, book.rate, _burst(book))

"""One write of a namespace: what it changes, what that makes of the book, and whether there is room for it."""

from __future__ import annotations

from copy import copy
from typing import Any

from door43fast.contracts import MISSING
from door43fast.errors import QuotaError
from door43fast.namespaces.book import Book, Row, to_bytes, weight
from door43fast.plugins import Record


class Directly:
    """In place of a transaction, over a store that has none: it does at its end, in order, what it was told."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self.get = base.get
        self._steps: list[tuple[Any, Any]] = []

    def __enter__(self) -> Directly:
        return self

    def set(self, key: Any, value: Any, *, pin: bool = False) -> None:
        self._steps.append((key, (value, pin)))

    def delete(self, key: Any) -> None:
        self._steps.append((key, None))

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        for key, put in self._steps if kind is None else ():
            if put is None:
                self._base.delete(key)
            else:
                self._base.set(key, put[0], pin=put[1])


class Writing:
    """What a write is going to do. REQUIRES: the namespace's lock is held, and ``transaction`` has read the book."""

    def __init__(self, space: Any, transaction: Any, book: Book) -> None:
        self.space, self.transaction, self.book = space, transaction, book
        self.rows: dict[str, bytes | None] = {}         # by key; None takes it out
        self.deadlines: dict[str, float] = {}           # of those that have one
        self.generations: dict[str, int] = {}
        self.seqs: dict[str, int] = {}
        self.gone: list[Any] = []                       # places in the order that are no longer
        self.told: list[tuple[str, str, Any]] = []      # keys that made room, why, and the tags that they carried
        self.changed = False        # something else than records
        self.written = 0            # by how many the book counts more changes
        self.before: list[tuple[Any, Any]] = []     # what is in each place that it writes, where that may be undone
        self._tags_gone = False

    def put(self, key: str, record: Record | None) -> None:
        """Keep ``record`` under ``key``, or take it out."""
        self.deadlines.pop(key, None)
        self.seqs.pop(key, None)
        if record is None:
            self.rows[key] = None
            return
        seq = 0
        if self.book.policy == "fifo":
            self.book.seq += 1
            seq = self.seqs[key] = self.book.seq
        if record.deadline is not None:
            self.deadlines[key] = record.deadline + record.stale
        self.rows.pop(key, None)
        self.rows[key] = to_bytes(Row(record.mark, bytes(record.payload), record.deadline, record.stale, record.tags,
                                      record.version, seq))

    def revoke(self, tag: str) -> None:
        """Count one more invalidation of ``tag``. What carries it makes room for what comes later."""
        self.generations[tag] = self.space._generations([tag])[tag] + 1
        self.book.due = 0.0
        self.changed = True

    def forget_tags(self) -> None:
        """With all records gone, there is nothing left for which a generation would matter."""
        self._tags_gone = self.changed = True
        self.generations.clear()

    # -- at the end ------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Find out what the book will say, make room where there is too little, and hand everything on."""
        if not self.rows and not self.changed:
            return
        space, book = self.space, self.book
        before = (book.entries, book.bytes)
        keys = list(self.rows)
        olds = space.base.get_many([space._regions.row(key) for key in keys], MISSING)
        for key, old in zip(keys, olds, strict=True):
            self._count(key, old, self.rows[key])
        self._count_tags()
        for deadline in self.deadlines.values():
            book.due = deadline if book.due is None else min(book.due, deadline)
        over = self._over(before)
        if over:
            self._reap()
            over = self._over(before)
        if over and book.policy == "fifo":
            over = self._evict(before)
        if over:
            space._refused += 1
            limit = getattr(book, over)
            used, needed = (before[0], book.entries) if over == "max_entries" else (before[1], book.bytes)
            raise QuotaError(space.name, over, limit, used, needed)
        self._hand_on(before)

    def _count(self, key: str, old: Any, new: bytes | None) -> None:
        """Bring the book from ``old`` to ``new`` under ``key``."""
        book = self.book
        if old is not MISSING:
            book.entries -= 1
            book.bytes -= weight(key, old)
            if book.policy == "fifo":
                self.gone.append(self.space._regions.turn(self.space._row(key, old).seq))
        if new is not None:
            book.entries += 1
            book.bytes += weight(key, new)

    def _count_tags(self) -> None:
        regions, base = self.space._regions, self.space.base
        if self._tags_gone:
            tags = list(base.keys(regions.tags))
            self.gone += tags
            self.book.bytes -= sum(regions.tag_weight(at) for at in tags)
        else:
            new = [at for tag in self.generations if (at := regions.tag(tag)) not in base]
            self.book.bytes += sum(regions.tag_weight(at) for at in new)

    def _over(self, before: tuple[int, int]) -> str | None:
        """The limit that stands in the way; whatever makes it hold less is let through."""
        book = self.book
        if book.max_entries is not None and book.max_entries < book.entries > before[0]:
            return "max_entries"
        if book.max_bytes is not None and book.max_bytes < book.bytes > before[1]:
            return "max_bytes"
        return None

    def _drop(self, key: str, data: Any, reason: str) -> None:
        self.rows[key] = None
        self._count(key, data, None)
        self.told.append((key, reason, [tag for tag, _ in self.space._row(key, data).tags or ()]))

    def _reap(self) -> None:
        """Take out what has expired or lost a tag, if there can be any."""
        space, book = self.space, self.book
        now = space._clock.seconds
        if book.due is None or now < book.due:
            return
        book.due = min(self.deadlines.values(), default=None)
        place = space._regions
        for at, data in space.base.scan(place.rows):
            key = place.key(at)
            if key in self.rows:
                continue
            record = space._records([key], [data])[0]
            ends = None if record.deadline is None else record.deadline + record.stale
            if record.revoked or ends is not None and ends <= now:
                self._drop(key, data, "expire")
            elif ends is not None:
                book.due = ends if book.due is None else min(book.due, ends)

    def _evict(self, before: tuple[int, int]) -> str | None:
        """Take out what was written longest ago, until there is room; what this write brings stays."""
        space, book = self.space, self.book
        place = space._regions
        for at, name in space.base.scan(place.order):
            key = name.decode()
            if key in self.rows:
                continue
            data = space.base.get(place.row(key), MISSING)
            if data is MISSING or place.turn(space._row(key, data).seq) != at:
                self.gone.append(at)        # left by a process that died on the way
                continue
            self._drop(key, data, "evict")
            if not ((book.max_entries is not None and book.entries > book.max_entries)
                    or (book.max_bytes is not None and book.bytes > book.max_bytes)):
                break
        return self._over(before)

    def undo(self) -> None:
        """Put back what was there: a part was written, of a ``MemoryStore`` without room for all or by a store without
        transactions that failed on the way."""
        base = self.space.base
        base.delete_many([at for at, old in self.before if old is MISSING])
        for at, old in self.before:
            if old is not MISSING:
                base.set(at, old, pin=self.space._pinned)

    def _hand_on(self, before: tuple[int, int]) -> None:
        """Over a store without transactions the book comes first and last.

        First it says the most that is held on the way, and the numbers that are given out. So a process that dies
        there leaves a book that says too much, never too little. Last it says what is held, and that there is news:
        whoever reads meanwhile in another process keeps nothing of before.
        """
        place, transaction, pin = self.space._regions, self.transaction, self.space._pinned
        can = self.space.base.capabilities
        if not (can.persistent and can.transactions):
            touched = [place.book, *self.gone, *map(place.row, self.rows), *map(place.turn, self.seqs.values()),
                       *map(place.tag, self.generations)]
            self.before = list(zip(touched, self.space.base.get_many(touched, MISSING), strict=True))
        self.written = 1 if can.transactions else 2
        if not can.transactions:
            self.book.changes += 1
            most = copy(self.book)
            most.entries, most.bytes = max(before[0], most.entries), max(before[1], most.bytes)
            transaction.set(place.book, to_bytes(most), pin=pin)
        for key, seq in self.seqs.items():
            transaction.set(place.turn(seq), key.encode(), pin=pin)
        for key, data in self.rows.items():
            if data is None:
                transaction.delete(place.row(key))
            else:
                transaction.set(place.row(key), data, pin=pin)
        for tag, generation in self.generations.items():
            transaction.set(place.tag(tag), to_bytes(generation), pin=pin)
        for at in self.gone:        # after the rows: each that is there has its turn
            transaction.delete(at)
        self.book.changes += 1
        transaction.set(place.book, to_bytes(self.book), pin=pin)

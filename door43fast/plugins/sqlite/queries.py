"""The queries by which records are read, each over one connection."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from door43fast.plugins import Record

COLUMNS = "key, value, mark, deadline, stale, tags, version"
ONE = f"SELECT {COLUMNS} FROM records WHERE key = ?"
PUT = f"INSERT OR REPLACE INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
DROP = "DELETE FROM records WHERE key = ?"
DUE = "SELECT key FROM records WHERE deadline IS NOT NULL AND deadline + stale <= ?"
LOTS = (4, 16, 64, 256, 1024)       # how many keys one query looks for; the least that is enough
MANY = {lot: f"SELECT {COLUMNS} FROM records WHERE key IN ({', '.join('?' * lot)})" for lot in LOTS}
TAGS = 5                            # place in a row
SURROGATE = re.compile("[\ud800-\udfff]")
# Values alone, by the places of their keys: of what expires or has tags, -1 in place of the mark.
PLACES = (16, 256)
VALUES = {lot: f"WITH wanted (place, name) AS (VALUES {', '.join(f'({place}, ?)' for place in range(lot))}) "
               "SELECT place, value, CASE WHEN deadline IS NULL AND tags IS NULL THEN mark ELSE -1 END "
               "FROM wanted CROSS JOIN records ON key = name" for lot in PLACES}

Row = tuple[str, Any, int, float | None, float, str | None, int]


def one_state(connection: sqlite3.Connection, work: Callable[[], Any]) -> Any:
    """``work`` of several queries over one state of the database."""
    if connection.in_transaction:
        return work()
    connection.execute("BEGIN")
    try:
        return work()
    finally:
        connection.execute("COMMIT")


def rows(connection: sqlite3.Connection, keys: Sequence[str]) -> list[Row]:
    """The rows of ``keys`` that there are, in any order."""
    if len(keys) == 1:
        return connection.execute(ONE, keys).fetchall()
    most = LOTS[-1]
    if len(keys) > most:
        return one_state(connection, lambda: [
            row for i in range(0, len(keys), most) for row in rows(connection, keys[i:i + most])])
    if not keys:
        return []
    lot = next(lot for lot in LOTS if lot >= len(keys))
    return connection.execute(MANY[lot], [*keys, *[None] * (lot - len(keys))]).fetchall()


def values(connection: sqlite3.Connection, keys: list[str]) -> tuple[list[tuple[int, Any, int]], dict[str, Record]]:
    """Place, value and mark of each of ``keys`` that is there, of one state; where the mark is -1, the record too."""
    def all_of_them() -> tuple[list[tuple[int, Any, int]], dict[str, Record]]:
        found = []
        for at in range(0, len(keys), PLACES[-1]):
            part = keys[at:at + PLACES[-1]]
            lot = PLACES[0] if len(part) <= PLACES[0] else PLACES[-1]
            part += [None] * (lot - len(part))      # type: ignore[list-item]
            some = connection.execute(VALUES[lot], part).fetchall()
            found += [(at + place, value, mark) for place, value, mark in some] if at else some
        special = list({keys[place] for place, _, mark in found if mark == -1})
        if not special:
            return found, {}
        if not connection.in_transaction:
            return one_state(connection, all_of_them)
        some, now = with_tags(connection, lambda: rows(connection, special))
        return found, {row[0]: record(row, now) for row in some}
    return all_of_them() if len(keys) <= PLACES[-1] else one_state(connection, all_of_them)


def named(tag: str) -> bytes:
    """A tag as bytes, which are cast to TEXT: with a lone surrogate it has no other way there."""
    return tag.encode("utf-8", "surrogatepass")


def to_column(tags: Sequence[tuple[str, int]]) -> str | None:
    """The tags of a record as JSON. A tag with surrogates is a list of its characters there: two of them that stand
    side by side would come back as one character."""
    if not tags:
        return None
    return json.dumps([(tag if tag.isascii() or not SURROGATE.search(tag) else list(tag), generation)
                       for tag, generation in tags])


def from_column(text: Any) -> list[tuple[str, int]]:
    """The tags of a record from what :func:`to_column` gave."""
    return [("".join(tag), generation) for tag, generation in json.loads(text)]


def generations(connection: sqlite3.Connection, tags: Sequence[str]) -> dict[str, int]:
    """How often each of ``tags`` was invalidated; those that never were are not in it."""
    found: dict[str, int] = {}
    for tag in tags:
        for row in connection.execute("SELECT generation FROM tags WHERE tag = CAST(? AS TEXT)", (named(tag),)):
            found[tag] = row[0]
    return found


def with_tags(connection: sqlite3.Connection, read: Callable[[], list[Row]]) -> tuple[list[Row], dict[str, int]]:
    """What ``read`` gives, and the generations of all tags in it, of one state."""
    found = read()
    if all(row[TAGS] is None for row in found):
        return found, {}

    def both() -> tuple[list[Row], dict[str, int]]:
        again = read()
        names = sorted({tag for row in again if row[TAGS] is not None for tag, _ in from_column(row[TAGS])})
        return again, generations(connection, names)
    return one_state(connection, both)


def record(row: Row, now: dict[str, int]) -> Record:
    """A row as a record; ``now`` are the generations of the tags."""
    _, value, mark, deadline, stale, text, version = row
    if text is None:
        return Record(mark, value, deadline, stale, (), version)
    tags = tuple(from_column(text))
    return Record(mark, value, deadline, stale, tags, version, any(now.get(tag, 0) != number for tag, number in tags))


def within(low: str, high: str | None) -> tuple[str, list[str]]:
    """The condition for keys from ``low`` up to before ``high``, and what to bind."""
    return ("key >= ?", [low]) if high is None else ("key >= ? AND key < ?", [low, high])


def chunk(connection: sqlite3.Connection, low: str, high: str | None, reverse: bool, after: str | None,
          limit: int) -> tuple[list[Row], dict[str, int]]:
    """The next rows of a range, beyond the key ``after``."""
    condition, bound = within(low, high)
    if after is not None:
        condition += " AND key < ?" if reverse else " AND key > ?"
        bound.append(after)
    query = f"SELECT {COLUMNS} FROM records WHERE {condition} ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT {limit}"
    return with_tags(connection, lambda: connection.execute(query, bound).fetchall())

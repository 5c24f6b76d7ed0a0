"""A portion of the log, as what it makes of a replica: read from the primary, so that the last value wins.

A portion is a state of the primary wherever that can be had, so a batch or a transaction arrives as a unit. A primary
with a journal gives a view of one state: the keys are taken from the log after the view was opened, so all that is in
the view is among them. With a queue, changes take their numbers before they are made: if none that was under way while
the keys were read concerns the same keys, what was read is the state at the number before. Else it is read again,
at last with the writers waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from door43fast.contracts import MISSING
from door43fast.errors import UnsupportedError, blames_layer
from door43fast.events import begins
from door43fast.layers.repair import tiered
from door43fast.replication.log import WHOLE, JournalLog, QueueLog, Row
from door43fast.tagged import tags_of

MOST = 10_000       # rows of one portion
TRIES = 2           # before writers are asked to wait
SHORTEST = 0.001    # seconds left, of what ends just now


class ReplicaFailed(Exception):
    """What failed while a portion was read is the replica: the cause says how."""


class Portion(NamedTuple):
    """What to write: for each key what a transaction takes, None to delete it. Then the replica is at ``seq``."""

    writes: dict[Any, tuple[Any, ...] | None]
    seq: int
    whole: bool     # then it is as the primary was at `seq` or later, and not between two states


def portion(primary: Any, log: JournalLog | QueueLog, replica: Any, since: int, reserved: Any) -> Portion:
    """What has changed since. PrunedError where the log no longer tells. ``reserved`` is a key that is not data."""
    if isinstance(log, QueueLog):
        return _queued(primary, log, replica, since, reserved)
    settled = log.settled()
    snapshot = primary._snapshot()
    try:
        rows = log.rows(since, MOST)
        if rows and len(rows) == MOST:      # far behind: the next stretch, at whose end there may be half a batch
            settled, whole = rows[-1].seq, False
        else:
            whole = True
        keys = _keys(rows, reserved)
        writes = _gone(rows, replica, reserved, lambda prefix: (key for key, _, _ in snapshot.scan(prefix)))
        values = [snapshot.read(key)[1] for key in keys]
        writes.update(_tagged(primary, keys, _dated(primary, keys, values)))
        return Portion(writes, settled, whole)
    finally:
        snapshot.close()


def _queued(primary: Any, log: QueueLog, replica: Any, since: int, reserved: Any) -> Portion:
    for _ in range(TRIES):
        part = _queued_once(primary, log, replica, since, reserved)
        if part.whole:
            return part
    with log.still():
        return _queued_once(primary, log, replica, since, reserved)


def _queued_once(primary: Any, log: QueueLog, replica: Any, since: int, reserved: Any) -> Portion:
    settled = log.settled()
    rows = log.rows(since, settled)
    keys = _keys(rows, reserved)
    writes = _gone(rows, replica, reserved, lambda prefix: keys_of(primary, prefix))
    writes.update(records(primary, keys))
    return Portion(writes, settled, not _touched(keys, rows, log.rows(settled)))


def _touched(keys: list[Any], rows: list[Row], new: list[Row]) -> bool:
    """Whether a change that may have been made meanwhile concerns the same keys."""
    if new and any(row.op in WHOLE for row in rows + new):
        return True
    known = set(keys)
    for row in new:
        try:
            if not known.isdisjoint(row.keys):
                return True
        except TypeError:       # a key that no store takes: nothing comes of it
            continue
    return False


def _keys(rows: Iterable[Row], reserved: Any) -> list[Any]:
    """Each key once, in the order of the last changes."""
    keys: dict[Any, None] = {}
    for row in rows:
        if row.op not in WHOLE:
            for key in row.keys:
                keys.pop(key, None)
                keys[key] = None
    keys.pop(reserved, None)
    return list(keys)


def _gone(rows: Iterable[Row], replica: Any, reserved: Any, present: Any) -> dict[Any, Any]:
    """The replica's keys that the primary has no more, in ranges of which the log does not name the keys."""
    gone: dict[Any, None] = {}
    for prefix in dict.fromkeys(row.keys[0] if row.op == "clear" else "" for row in rows if row.op in WHOLE):
        kept = set(present(prefix))
        try:
            gone.update((key, None) for key in keys_of(replica, prefix) if key not in kept and key != reserved)
        except Exception as error:
            if blames_layer(error):
                raise ReplicaFailed from error
            raise
    return gone


def keys_of(store: Any, prefix: Any = "") -> Iterator[Any]:
    """The keys under a prefix, also where they have no order."""
    if not isinstance(prefix, int | float) and not len(prefix):
        return iter(store)
    try:
        return store.keys(prefix)
    except UnsupportedError:
        return (key for key in store if begins(key, prefix))


def _dated(primary: Any, keys: list[Any], values: list[Any]) -> Iterator[tuple[Any, Any] | None]:
    """Each value with the seconds that it has left."""
    expires = primary.capabilities.ttl
    for key, value in zip(keys, values, strict=True):
        if value is MISSING:
            yield None
            continue
        try:
            left = primary.ttl(key) if expires else None
        except KeyError:        # it has ended meanwhile, or was deleted, which the log tells next
            yield None
            continue
        yield value, left


def _tagged(primary: Any, keys: list[Any], found: Iterable[tuple[Any, Any] | None]) -> dict[Any, Any]:
    """What was found, as a transaction takes it, with its tags.

    Whose entry was replaced or taken out since it was found, gets those of another or none: the log tells that next.
    """
    found = list(found)
    return {key: None if one is None else (one[0], None if one[1] is None else max(one[1], SHORTEST), tags or (), False)
            for key, one, tags in zip(keys, found, tags_of(primary, keys) if keys else (), strict=True)}


def records(primary: Any, keys: list[Any]) -> dict[Any, tuple[Any, ...] | None]:
    """The records of keys as they are now, as a transaction takes them; not counted as reads where that can be."""
    if hasattr(primary, "_with_deadlines") and not tiered(primary):    # one step for all of them
        return _tagged(primary, keys, (None if found[0] is MISSING else found
                                       for found in (primary._with_deadlines(keys) if keys else ())))
    return _tagged(primary, keys, _dated(primary, keys, [primary._read(key)[1] for key in keys]))

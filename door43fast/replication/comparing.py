"""Anti-entropy: whether replicas hold what the primary holds, and the mending of what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from door43fast.contracts import MISSING, Progress
from door43fast.errors import ReplicationError
from door43fast.replication.portion import records as dated
from door43fast.replication.ranges import Ranges, differing, fingerprint, records

if TYPE_CHECKING:
    from door43fast.replication.replica import Replica

PIECE = 1000        # keys that are mended at once


class Comparison(NamedTuple):
    """Of one replica. ``different`` are the keys whose records differ, are missing or are too many there."""

    replica: str
    records: int                # of the primary
    hashes: int                 # that were compared
    read_again: int             # records of both, in the ranges whose hashes differed
    different: tuple[Any, ...]
    mended: int


def compare(primary: Any, replicas: Sequence[Replica], mend: bool, catch_up: Callable[[Replica], None],
            progress: Progress | None) -> list[Comparison]:
    """Compare each replica with the primary, and mend if asked to. ``catch_up`` brings a replica up to date."""
    total = max(len(primary), 1)

    def told(what: str) -> Callable[[int], None] | None:
        return None if progress is None else lambda done: progress(min(done, total), total, what)
    hashes = Ranges(primary, None, told("hashing the primary"))
    found = []
    for replica in replicas:
        catch_up(replica)
        theirs = Ranges(replica.store, hashes.starts, told(f"hashing {replica.name}"))
        numbers, compared = differing(hashes, theirs)
        again, suspects = 0, []
        for number in numbers:
            low, high = hashes.range(number)
            ours, its = dict(records(primary, low, high)), dict(records(replica.store, low, high))
            again += len(ours) + len(its)
            suspects += [key for key in dict.fromkeys((*ours, *its)) if not _same(key, ours, its)]
        if suspects:        # some may only have been written meanwhile
            catch_up(replica)
            suspects = [key for key in suspects if _differs(key, primary, replica.store)]
        mended = _mended(primary, replica, suspects) if mend else 0
        found.append(Comparison(replica.name, hashes.count, compared, again, tuple(suspects), mended))
    if progress is not None:
        progress(total, total, "compared")
    return found


def _same(key: Any, ours: dict[Any, Any], its: dict[Any, Any]) -> bool:
    return key in ours and key in its and fingerprint(key, ours[key]) == fingerprint(key, its[key])


def _differs(key: Any, primary: Any, store: Any) -> bool:
    ours, its = primary._read(key)[1], store._read(key)[1]
    if ours is MISSING or its is MISSING:
        return ours is not its
    return fingerprint(key, ours) != fingerprint(key, its)


def _mended(primary: Any, replica: Replica, keys: Sequence[Any]) -> int:
    """Write the primary's records over those of the replica. Its position stays: it then follows the log from there."""
    for i in range(0, len(keys), PIECE):
        replica.mend(partial(dated, primary, list(keys[i:i + PIECE])))
    if keys and replica.error is not None:
        raise ReplicationError(f"{replica.name} could not be mended: {type(replica.error).__name__}: {replica.error}",
                               failed={replica.name: replica.error})
    return len(keys)

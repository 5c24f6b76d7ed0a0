"""A copy of the primary, made while it is written to: chunk by chunk, then what has changed since it began."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from door43fast.replication.head import Head
from door43fast.replication.portion import records

if TYPE_CHECKING:
    from door43fast.replication.replica import Replica

CHUNK = 2_000       # records of one step
SILENCE = 1.0       # seconds without a step, after which another's copy counts as given up
COPYING = "copying "


def copied(replica: Replica) -> None:
    """Make the replica a copy; at the end it is where the log was at the beginning, and follows from there.

    Its head says first that it is being copied. Until it has followed to a state of the primary it is not read: what
    was copied last is newer than what was copied first.
    """
    primary, log = replica.primary, replica.log
    start = log.settled()
    mark = log.mark(start)
    token, found = replica.place.read()
    replica.check(found)
    replica.head = found
    replica.copying = COPYING + os.urandom(8).hex()
    head = Head(term=replica.standing.term, log=replica.copying)
    replica.write(head, {})
    replica.claimed = "" if log.foreign else head.log
    done, total = 0, len(primary)
    for keys in _chunks(primary, replica.place.key):
        if replica.stopping:
            return
        done += len(keys)
        head = head.but(seq=head.seq + 1)       # so that others see that it goes on
        replica.write(head, records(primary, keys))
        _tell(replica, min(done, total), total)
    for keys in _chunks(replica.store, replica.place.key):
        if replica.stopping:
            return
        gone = [key for key, there in zip(keys, primary.contains_many(keys), strict=True) if not there]
        if gone:
            head = head.but(seq=head.seq + 1)
            replica.write(head, dict.fromkeys(gone))
    replica.write(Head(term=replica.standing.term, log=log.name, seq=start, mark=mark), {})
    replica.seq = start
    replica.applied += done
    _tell(replica, total, total)


def _tell(replica: Replica, done: int, total: int) -> None:
    if replica.progress is not None:
        replica.progress(done, total, f"copying to {replica.name}")


def _chunks(keys: Iterable[Any], reserved: Any) -> Iterator[list[Any]]:
    wanted = (key for key in keys if key != reserved)
    while chunk := list(islice(wanted, CHUNK)):
        yield chunk


def foreign_copy(replica: Replica) -> bool:
    """Wait while another process copies to this replica. Whether it has come to an end that may be gone on from."""
    quiet_since, last = time.monotonic(), None
    while replica.log.foreign and not replica.stopping:
        _, head = replica.place.read()
        if head is None or head.log == replica.copying or not head.log.startswith(COPYING):
            return head is not None and replica.log.believes(head)
        if head != last:
            quiet_since, last = time.monotonic(), head
        if time.monotonic() - quiet_since > SILENCE:
            return False
        time.sleep(0.1)
    return False

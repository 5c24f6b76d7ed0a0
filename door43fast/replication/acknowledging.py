"""How many members must have a write before it is acknowledged, and what is said where they do not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from door43fast.errors import ConfigError, ReplicationError, blames_layer
from door43fast.layers.failures import Spared
from door43fast.replication.members import PRIMARY
from door43fast.replication.replica import Replica
from door43fast.replication.standing import Standing


class NotBegun(ReplicationError, Spared):
    """Too few members answer: nothing was written, and what stands above need not wonder."""


@contextmanager
def taken(what: str) -> Iterator[None]:
    """In here the primary has the write: that it is not asked any more does not say that nothing was written."""
    try:
        yield
    except Spared as error:
        raise ReplicationError(
            f"{what} was made in the primary, which fails since then, so that nobody can say who is the writer by now "
            f"and which replicas must have it ({error}): it may yet take effect; read what holds when the primary is "
            "back", failed={PRIMARY: error}, unknown=[PRIMARY]) from error


def needed(consistency: object, members: int) -> int:
    """How many of so many members, the primary among them, must have a write before its call returns."""
    if consistency == "strong":
        return members
    if consistency == "eventual":
        return 1
    if consistency == "quorum":
        return members // 2 + 1
    given = re.fullmatch(r"quorum\((\d+)\)", consistency) if isinstance(consistency, str) else None
    if given is None:
        raise ConfigError(f"consistency={consistency!r} is not allowed; it may be 'strong', 'eventual', 'quorum' for "
                          "most of the members, or 'quorum(2)' for so many, the primary among them")
    if not 1 <= int(given[1]) <= members:
        raise ConfigError(f"consistency={consistency!r} is out of range: there are {members} members, with the primary")
    return int(given[1])


def refuse_if_too_few(replicas: Sequence[Replica], need: int, patience: float, what: str) -> None:
    """Before a write: with fewer members that answer than needed it is not begun."""
    if need == 1:
        return
    late = [replica for replica in replicas if replica.late(patience)]
    if len(replicas) - len(late) + 1 < need:
        raise NotBegun(
            f"{what} was not begun and nothing was written: {need} of {len(replicas) + 1} members must acknowledge it, "
            f"and {_why(late)}. It can be written when they are back, or with a weaker consistency",
            failed={replica.name: replica.error for replica in late if replica.error is not None},
            unknown=[replica.name for replica in late if replica.error is None])


def failures(replicas: Sequence[Replica]) -> dict[str, int]:
    """How often each has failed so far: what a write remembers from before it began."""
    return {replica.name: replica.failures for replica in replicas}


def wait(replicas: Sequence[Replica], standing: Standing, seq: int, need: int, seconds: float, what: str,
         before: dict[str, int] | None = None) -> None:
    """Until ``need`` members, the primary among them, have change ``seq``; else an error that says who has not.

    ``before`` is how often each had failed: who fails since is not waited for. None to wait all the time, since who
    fails tries again.
    """
    if need == 1:
        return
    end = time.monotonic() + seconds
    with standing.moved:
        while True:
            lacking = [replica for replica in replicas if replica.seq < seq]
            if len(replicas) - len(lacking) + 1 >= need:
                return
            if standing.fenced is not None:
                raise standing.fenced
            failed = [replica for replica in lacking if (
                replica.error is not None if before is None else replica.failures > before[replica.name])]
            left = end - time.monotonic()
            if left <= 0 or before is not None and (
                    len(replicas) - len(failed) + 1 < need and len(failed) == len(lacking)):
                break       # in vain, and it is known of each whether it has it, or time is up
            standing.moved.wait(left)
    _partial(replicas, lacking, failed, seq, need, what)


def flush(replicas: Sequence[Replica], needed: int, patience: float) -> None:
    """Have so many of the replicas synced, and the others if they can be."""
    late = [replica for replica in replicas if replica.late(patience)]
    failed: dict[str, BaseException] = {
        replica.name: replica.error for replica in late if replica.error is not None}
    for replica in replicas:
        if replica not in late:
            try:
                replica.store.flush()
            except Exception as error:      # told, unless enough others have
                if not blames_layer(error):
                    raise
                failed[replica.name] = error
    lacking = dict.fromkeys([*failed, *(replica.name for replica in late)])
    if len(replicas) - len(lacking) < needed:
        raise ReplicationError(
            f"flush() has not synced as many members as a write needs: {', '.join(lacking)} did not answer or failed "
            f"({', '.join(f'{type(error).__name__}: {error}' for error in failed.values())}). What was written stands "
            "where it was acknowledged; flush again when they are back",
            [PRIMARY, *(replica.name for replica in replicas if replica.name not in lacking)], failed,
            [name for name in lacking if name not in failed])


def _partial(replicas: Sequence[Replica], lacking: Sequence[Replica], failed: Sequence[Replica], seq: int, need: int,
             what: str) -> NoReturn:
    done = [PRIMARY, *(replica.name for replica in replicas if replica not in lacking)]
    unknown = [replica.name for replica in lacking if replica not in failed]
    raise ReplicationError(
        f"{what} (change {seq}) has {len(done)} of the {need} members that must acknowledge it: {', '.join(done)}; "
        f"{_why(lacking)}. It stands in the primary and may be read; the others get it from the log when they are back",
        done, {replica.name: replica.error for replica in failed if replica.error is not None}, unknown)


def _why(late: Sequence[Replica]) -> str:
    return "; ".join(f"{replica.name} has not answered" if replica.error is None else
                     f"{replica.name} fails with {type(replica.error).__name__}: {replica.error}" for replica in late)

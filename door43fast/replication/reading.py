"""Which member answers a read: the primary, the nearest, or any that is recent enough for whoever asks."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

from door43fast.errors import ConfigError, blames_layer, did_you_mean
from door43fast.layers.forwarding import Call
from door43fast.replication.hiding import LISTING, read
from door43fast.replication.replica import Replica

POLICIES = ("primary", "nearest", "any")
# What only the primary can tell: versions that its commits compare, and what may still be served stale.
OF_THE_PRIMARY = ("_read", "_lookup", "_snapshot", "changes")
LATER = ("__iter__", "scan", "scan_packed", "keys")     # what reads on while it is used
PROBE = 64          # one read in so many goes to a member that is not the nearest, to see how near it is
SHARE = 0.2         # of a new measurement in what is remembered
PENALTY = 1.0       # seconds for which a member that failed is asked last


class Reads:
    """The reads of a replicated store. ``max_lag``: seconds that a replica may be behind; None for any."""

    def __init__(self, policy: Any, max_lag: float | None, patience: float) -> None:
        if policy not in POLICIES:
            raise ConfigError(f"read={policy!r} is unknown: {did_you_mean(policy, POLICIES)}")
        if max_lag is not None and policy == "primary":
            raise ConfigError("max_lag= has no effect on reads from the primary: give read='any' or 'nearest'")
        self.policy, self.max_lag, self.patience = policy, max_lag, patience
        self._turn = itertools.count()
        self._seconds: dict[int, float] = {}        # of a read, by the id of the store
        self._failed: dict[int, float] = {}         # when

    def ask(self, call: Call, primary: Any, head: Any, replicas: Sequence[Replica],
            since: int) -> tuple[Any, int | None]:
        """What a member says that has change ``since``, and how far it was; None for the primary.

        A member that fails is passed over for another; only if none is left its error is raised.
        """
        if self.policy == "primary" or call.name in OF_THE_PRIMARY:
            return read(primary, call, head), None
        first: Exception | None = None
        for replica in self._order(primary, replicas):
            at, phase = (0, 0) if replica is None else (replica.seq, replica.phase)
            if replica is not None and not self._recent(replica, since):
                continue
            store = primary if replica is None else replica.store
            begun = time.perf_counter()
            try:
                found = read(store, call, head if replica is None else replica.place.key)
            except Exception as error:
                if not blames_layer(error):
                    raise
                self._failed[id(store)] = time.monotonic()
                first = first or error
                continue
            self._note(store, time.perf_counter() - begun, call)
            if replica is None:
                return found, None
            if replica.phase == phase or call.name in LATER:    # else it was between two states meanwhile
                return found, at
        assert first is not None        # the primary was among them
        raise first

    def _recent(self, replica: Replica, since: int) -> bool:
        if not replica.whole or replica.seq < since or replica.late(self.patience):
            return False
        if self.max_lag is None or time.monotonic() - replica.current_at <= self.max_lag:
            return True
        try:
            return replica.seq >= replica.log.last()
        except Exception as error:      # a primary that cannot be asked: then nobody knows what it is behind
            if not blames_layer(error):
                raise
            return False

    def _order(self, primary: Any, replicas: Sequence[Replica]) -> Iterator[Replica | None]:
        """The members, None for the primary, the best first; of those that failed a moment ago the primary last."""
        members: list[Replica | None] = [None, *replicas]
        turn = next(self._turn)

        def store(member: Replica | None) -> Any:
            return primary if member is None else member.store
        if self.policy == "any" or turn % PROBE == 0:
            start = turn % len(members) if self.policy == "any" else (turn // PROBE) % len(members)
            members = members[start:] + members[:start]
        else:
            members.sort(key=lambda member: self._seconds.get(id(store(member)), 0.0))
        now = time.monotonic()
        failed = [one for one in members if now - self._failed.get(id(store(one)), -PENALTY) < PENALTY]
        yield from (one for one in members if one not in failed)
        yield from failed

    def _note(self, store: Any, seconds: float, call: Call) -> None:
        if call.name not in LISTING:
            before = self._seconds.get(id(store))
            self._seconds[id(store)] = seconds if before is None else before + SHARE * (seconds - before)

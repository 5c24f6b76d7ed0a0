"""Calls to a cluster: each goes to the server of its slot, and all servers of a batch work at the same time.

What a cluster says was not carried out (moved, not now, no primary) is asked again, at its new place, for as long as
``timeout``; so is what was never sent. A write that was sent and not answered is not: it may have been made. redis-py's
own client of clusters would make it again, which is why only its connections and its hash of keys are used here.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import redis.exceptions as theirs
from redis.crc import key_slot

from door43fast.errors import BackendUnavailableError, Error
from door43fast.plugins.redis.clock import passed
from door43fast.plugins.redis.failures import LATER, LOST, translated
from door43fast.plugins.redis.link import Call, Exchange, Link
from door43fast.plugins.redis.options import Place, RedisOptions, Server
from door43fast.plugins.redis.passage import pause

SLOTS = 16384
AGAIN = 0.05        # seconds between two attempts


class Cluster(Link):
    """All servers of a cluster."""

    clustered = True
    question = ("CLUSTER", "INFO")

    def __init__(self, options: RedisOptions, place: Place) -> None:
        super().__init__(options, place)
        self._mapping = threading.Lock()
        self._slots: list[Server | None] = [None] * SLOTS
        self._primaries: list[Server] = []
        self._epoch = -1        # the cluster's, as of which the map is
        self._stale = True

    # -- who serves what -------------------------------------------------------------------------------------

    def primaries(self) -> list[Server]:
        if self._stale:
            self._map()
        return self._primaries

    def server_of(self, key: bytes) -> Server:
        server = self._slots[key_slot(key)] if key else random.choice(self.primaries() or [*self.place.servers])
        return server or random.choice(self.place.servers)      # which will say who serves it

    def still(self, answer: Any) -> bool:
        """Whether what a server says of the cluster is what the map was made of."""
        same = _epoch_of(answer) == self._epoch
        if not same:
            self._stale = True
        return same

    def _map(self) -> None:
        """Ask who serves what, of any server that answers."""
        known = [*self._primaries, *self.place.servers]
        random.shuffle(known)
        failed: Exception | None = None
        for server in dict.fromkeys(known):
            try:
                info, slots = Exchange(self, server, False, False).run(
                    [Call(b"", ("CLUSTER", "INFO")), Call(b"", ("CLUSTER", "SLOTS"))])
            except LOST as error:
                failed = failed or translated(error, server, self.options)
                failed.__cause__ = failed.__cause__ or error
                continue
            if isinstance(slots, Exception):
                raise translated(slots, server, self.options) from slots
            self._note(server, info, slots)
            return
        raise failed or BackendUnavailableError(f"no server of {self.place} can be reached: start them, or correct the "
                                                "URL")

    def _note(self, asked: Server, info: Any, ranges: list[Any]) -> None:
        slots: list[Server | None] = [None] * SLOTS
        primaries: dict[Server, None] = {}
        for first, last, primary, *_ in ranges:
            server = Server((primary[0] or b"").decode() or asked.host, primary[1])
            primaries[server] = None
            slots[first:last + 1] = [server] * (last + 1 - first)
        with self._mapping:
            self.version += primaries.keys() != set(self._primaries)
            self._slots, self._primaries = slots, list(primaries)
            self._epoch, self._stale = _epoch_of(info), False

    def _moved(self, error: Any, asked: Server) -> Server:
        server = Server(error.host or asked.host, error.port)
        if isinstance(error, theirs.MovedError):
            with self._mapping:
                self._slots[error.slot_id] = server
                self._stale = True
        return server

    def renew(self) -> None:
        super().renew()
        self._mapping = threading.Lock()

    # -- calls -----------------------------------------------------------------------------------------------

    def _run(self, calls: list[Call], together: bool, *, writes: bool) -> list[Any]:
        answers: list[Any] = [None] * len(calls)
        waiting = list(range(len(calls)))
        until = passed() + self.options.timeout
        while waiting:
            groups: dict[Server, list[int]] = {}
            if self._stale:
                self._map_at_last()
            for i in waiting:
                groups.setdefault(self.server_of(calls[i].key), []).append(i)
            waiting = []
            for server, numbers, result in Round(self, groups, calls, writes).run():
                if isinstance(result, Exception):       # nothing was carried out
                    self._stale = True
                    if passed() >= until:
                        raise translated(result, server, self.options) from result
                    waiting += numbers
                    continue
                for i, answer in zip(numbers, result, strict=True):
                    if isinstance(answer, theirs.AskError):         # a MovedError is one too
                        place = self._moved(answer, server)
                        if not isinstance(answer, theirs.MovedError):
                            answer = self._asking(place, calls[i], writes)
                    answers[i] = answer
                    if isinstance(answer, (theirs.MovedError, *LATER)) and passed() < until:
                        self._stale = True
                        waiting.append(i)
            if waiting:
                pause(AGAIN * (0.5 + random.random()))
        return answers

    def _map_at_last(self) -> None:
        """The map anew; that no server of all answers is no failover, and is not waited for."""
        for attempt in range(self.options.retries + 1):
            try:
                return self._map()
            except BackendUnavailableError as error:
                if attempt == self.options.retries or not isinstance(error.__cause__, LOST):
                    raise
            pause(AGAIN * (0.5 + random.random()))

    def _asking(self, server: Server, call: Call, writes: bool) -> Any:
        """Of a slot that is on its way to another server: ask there, for this once."""
        exchange = Exchange(self, server, False, writes)
        try:
            return exchange.run([Call(b"", ("ASKING",)), call])[1]
        except LOST as error:
            raise translated(error, server, self.options, doubtful=writes and exchange.sent) from error


class Round:
    """One turn with several servers: all are sent to before any is heard."""

    def __init__(self, cluster: Cluster, groups: dict[Server, list[int]], calls: list[Call], writes: bool) -> None:
        self._cluster = cluster
        self._groups = groups
        self._calls = calls
        self._writes = writes
        self._exchanges: dict[Server, Exchange] = {}
        self._results: dict[Server, Any] = {}
        self._wrong: Error | None = None

    def run(self) -> Iterator[tuple[Server, list[int], Any]]:
        """For each server its numbers, and the answers or why nothing was sent. Raises where more is not known."""
        chunks = {}
        try:
            for server, numbers in self._groups.items():
                chunks[server] = self._cluster.chunks([self._calls[i] for i in numbers])
                self._exchanges[server] = Exchange(self._cluster, server, False, self._writes)
                self._results[server] = []
                self._with(server, Exchange.begin)
            while chunks:
                turn = {server: chunk for server, rest in chunks.items() if server in self._exchanges
                        and (chunk := next(rest, None)) is not None}
                chunks = {server: chunks[server] for server in turn}
                for server, chunk in turn.items():
                    self._with(server, Exchange.send, chunk)
                for server, chunk in turn.items():
                    self._with(server, self._receive, chunk)
            for server in list(self._exchanges):
                self._with(server, self._finish)
        except BaseException:
            for exchange in self._exchanges.values():
                exchange.abandon()
            raise
        finally:
            for exchange in self._exchanges.values():
                exchange.end()
        if self._wrong is not None:
            raise self._wrong
        return ((server, numbers, self._results[server]) for server, numbers in self._groups.items())

    def _with(self, server: Server, method: Any, *arguments: Any) -> None:
        """One step with a server; one that is lost is left out from then on."""
        exchange = self._exchanges.get(server)
        if exchange is None:
            return
        try:
            method(exchange, *arguments)
        except (*LOST, BackendUnavailableError) as error:
            if not isinstance(error, BackendUnavailableError):
                exchange.abandon()
            exchange.end()
            del self._exchanges[server]
            if isinstance(error, BackendUnavailableError):
                self._wrong = error
            elif isinstance(error, theirs.AuthenticationError) or self._writes and exchange.sent:
                self._wrong = translated(error, server, self._cluster.options, doubtful=self._writes and exchange.sent)
                self._wrong.__cause__ = error
                self._cluster._stale = True
            else:
                self._results[server] = error

    def _receive(self, exchange: Exchange, chunk: list[Call]) -> None:
        self._results[exchange.server] += exchange.receive(chunk)

    def _finish(self, exchange: Exchange) -> None:
        self._results[exchange.server] = exchange.finish(self._results[exchange.server])


def _epoch_of(info: Any) -> int:
    """The number that grows with each change of who serves what."""
    if isinstance(info, bytes):
        for line in info.split():
            if line.startswith(b"cluster_current_epoch:"):
                return int(line.partition(b":")[2])
    return -1

"""Calls to one Redis server: sent in chunks, answered in order, and made again only where that cannot do harm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import random
from typing import Any, NamedTuple

import redis.exceptions as theirs

from door43fast.errors import BackendUnavailableError
from door43fast.plugins.redis.failures import LOST, translated
from door43fast.plugins.redis.options import Place, RedisOptions, Server
from door43fast.plugins.redis.passage import pause, wait
from door43fast.plugins.redis.pools import Pools
from door43fast.plugins.redis.scripts import text_of

SOON = 0.02     # seconds before a lost read is asked again; doubled each time


class Call(NamedTuple):
    """One command. ``key`` is the name in Redis by which a cluster finds its server, ``keys`` how many it names."""

    key: bytes
    args: tuple[Any, ...]
    keys: int = 1

    @property
    def size(self) -> int:
        return sum(len(arg) if type(arg) is bytes else 8 for arg in self.args)


class Link:
    """One server. Every method may be called by any thread, and by code on any event loop."""

    clustered = False
    version = 0         # another one when ``primaries`` are others
    question: tuple[str, ...] = ("PING",)       # a sign of life that tells also whether all is where it was

    def __init__(self, options: RedisOptions, place: Place) -> None:
        self.options = options
        self.place = place
        self.pools = Pools(options, place)

    # -- what is asked ---------------------------------------------------------------------------------------

    def read(self, calls: Sequence[Call], *, together: bool = False) -> list[Any]:
        """The answers to calls that change nothing; ``together`` at one instant."""
        return self._checked(self._run(list(calls), together, writes=False))

    def write(self, calls: Sequence[Call], *, together: bool = False) -> list[Any]:
        """The answers to calls that change something; ``together`` all or none."""
        return self._checked(self._run(list(calls), together, writes=True))

    def one(self, name: str, *args: Any) -> Any:
        """The answer of any server to a call without a key, that changes nothing."""
        return self.read([Call(b"", (name, *args))])[0]

    def ask(self, server: Server, *args: Any) -> Any:
        """The answer of ``server`` to a call that changes nothing."""
        return self._checked(self._persist(server, [Call(b"", args)], False, False))[0]

    def primaries(self) -> list[Server]:
        return [self.place.servers[0]]

    def still(self, answer: Any) -> bool:
        """Whether ``primaries`` are those that they were, by an answer to ``question``."""
        return answer == b"PONG"

    def renew(self) -> None:
        self.pools.renew()

    def close(self) -> None:
        self.pools.close()

    # -- how -------------------------------------------------------------------------------------------------

    def _checked(self, answers: list[Any]) -> list[Any]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise translated(answer, self.place, self.options) from answer
        return answers

    def _run(self, calls: list[Call], together: bool, *, writes: bool) -> list[Any]:
        return self._persist(self.place.servers[0], calls, together, writes)

    def _persist(self, server: Server, calls: list[Call], together: bool, writes: bool) -> list[Any]:
        """Exchange, and again after a lost connection, where nothing was sent or nothing can change."""
        for attempt in range(self.options.retries + 1):
            exchange = Exchange(self, server, together, writes)
            try:
                return exchange.run(calls)
            except LOST as error:
                doubtful = writes and exchange.sent and not isinstance(error, theirs.BusyLoadingError)
                if doubtful or attempt == self.options.retries or isinstance(error, theirs.AuthenticationError):
                    raise translated(error, server, self.options, doubtful=doubtful) from error
                pause(SOON * 2 ** min(attempt, 6) * (0.5 + random()))
        raise AssertionError("not reached")

    def chunks(self, calls: list[Call]) -> Iterator[list[Call]]:
        """``calls`` in pieces of no more than ``batch_keys`` and ``batch_bytes``."""
        chunk: list[Call] = []
        keys = size = 0
        for call in calls:
            more = call.size
            if chunk and (keys + call.keys > self.options.batch_keys or size + more > self.options.batch_bytes):
                yield chunk
                chunk, keys, size = [], 0, 0
            chunk.append(call)
            keys += call.keys
            size += more
        if chunk:
            yield chunk


def packed(commands: Sequence[tuple[Any, ...]]) -> bytes:
    """The commands as the protocol has them: redis-py's own packer takes several times as long for many arguments."""
    parts = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            if type(word) is not bytes:
                word = str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


class Exchange:
    """One turn with one server over one connection. ``sent`` says whether anything may have been carried out."""

    def __init__(self, link: Link, server: Server, together: bool, writes: bool) -> None:
        self._link = link
        self.server = server
        self._together = together
        self._wants = link.options.wait_replicas if writes else 0
        self._pool: Any = None
        self._connection: Any = None
        self.sent = False

    def run(self, calls: list[Call]) -> list[Any]:
        """The answers, errors among them."""
        try:
            self.begin()
            answers = []
            for chunk in self._link.chunks(calls):
                self.send(chunk)
                answers += self.receive(chunk)
            return self.finish(answers)
        except BaseException:
            self.abandon()
            raise
        finally:
            self.end()

    def begin(self) -> None:
        self._pool = self._link.pools.at(self.server)
        self._connection = wait(self._pool.get_connection())
        if self._together:
            self._tell([("MULTI",)])
            self._answer()

    def send(self, chunk: list[Call]) -> None:
        self._tell([call.args for call in chunk])

    def receive(self, chunk: list[Call]) -> list[Any]:
        """The answers to what was sent last. A script that the server does not know is sent whole."""
        answers = [self._answer() for _ in chunk]
        lacking = [i for i, answer in enumerate(answers) if isinstance(answer, theirs.NoScriptError)]
        if lacking:
            self._tell([("EVAL", text_of(chunk[i].args[1]), *chunk[i].args[2:]) for i in lacking])
            for i in lacking:
                answers[i] = self._answer()
        return answers

    def finish(self, answers: list[Any]) -> list[Any]:
        """After the last chunk: carry out what belongs together, and wait for the replicas."""
        if self._together:
            self._together = False
            self._tell([("EXEC",)])
            done = self._answer()
            if isinstance(done, Exception):     # which of them was refused, rather than that one was
                done = [next((one for one in answers if isinstance(one, Exception)), done)]
            answers = done
        if self._wants and not any(isinstance(one, Exception) for one in answers):
            options = self._link.options
            self._tell([("WAIT", self._wants, int(options.wait_timeout * 1000))])
            had = self._answer()
            if isinstance(had, Exception):
                answers = [had]
            elif had < self._wants:
                raise BackendUnavailableError(
                    f"{had} replicas of the Redis at {self.server} had the write within wait_timeout="
                    f"{options.wait_timeout:g} seconds, and wait_replicas={self._wants} were asked for: it was made, "
                    "but may be lost with its primary; see to the replicas, or write it again")
        return answers

    def abandon(self) -> None:
        """What is under way will not be heard to its end."""
        if self._connection is not None:
            wait(self._connection.disconnect(nowait=True))

    def end(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            wait(self._pool.release(connection))

    def _tell(self, commands: list[tuple[Any, ...]]) -> None:
        self.sent = self.sent or not self._together
        wait(self._connection.send_packed_command([packed(commands)]))

    def _answer(self) -> Any:
        try:
            return wait(self._connection.read_response(disable_decoding=True))
        except theirs.ResponseError as error:
            return error


"""The store over Redis: a record is one string under ``namespace:key``, its frame that of every backend in Python.

Nobody holds a lock on a server that others use. A write that depends on what is there reads it, decides, and has a
script write only if nothing of that has changed, by its version; else it begins anew. So each step is one that nobody
comes in between, as with a lock, and costs two round trips; a plain ``set`` costs one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from door43fast.contracts import Capabilities, Seconds
from door43fast.errors import Error, UnsupportedError
from door43fast.plugins import TAIL, Backend, Record, outline, pack, unpack
from door43fast.plugins.redis import batches
from door43fast.plugins.redis import names as naming
from door43fast.plugins.redis import scripts
from door43fast.plugins.redis.claims import ServerClaim
from door43fast.plugins.redis.cluster import Cluster
from door43fast.plugins.redis.clock import ServerClock, passed
from door43fast.plugins.redis.leases import Leases
from door43fast.plugins.redis.link import Call, Link
from door43fast.plugins.redis.listener import Listener
from door43fast.plugins.redis.options import RedisOptions, place_of
from door43fast.plugins.redis.passage import Turns, on_loop, pause

CROWDED = 8         # vain attempts after which a step waits a little before the next
MOST = 200_000      # records of one transaction: what a call of a script can name
Found = list[Record | None]
Span = tuple[bytes, list[tuple[bytes, bytes]]]        # pattern; names and versions


class RedisStore(Backend):
    """A store on a Redis server, or a cluster of them, that many processes and machines share."""

    Options = RedisOptions
    _on_loop = staticmethod(on_loop)        # what ``aio`` runs its methods by
    _silence_empties = True                 # a memory tier above holds nothing while the server is not heard
    capabilities = Backend.capabilities._replace(shared=True, pins=False)     # the server may make room

    @staticmethod
    def unavailable() -> tuple[str, str] | None:
        try:
            import greenlet  # type: ignore[import-untyped]  # noqa: F401
            import redis.maint_notifications  # noqa: F401
        except ImportError as error:
            return str(error), "install door43fast[redis]"
        return None

    def __init__(self, options: RedisOptions | None = None, /, **wanted: Any) -> None:
        super().__init__(options, **wanted)
        self._place = place_of(self.options)
        self._names = naming.Names(self.options.namespace)
        self._link: Link = (Cluster if self._place.cluster else Link)(self.options, self._place)
        self._listener = Listener(self._link, self._names, self.options.staleness)
        self._leases = Leases(self._link)
        self._turns = Turns()
        self._serves_time = self.options.clock is None      # then the server lets records expire, by itself
        try:
            if self._serves_time:
                self._clock = ServerClock(lambda: self._link.one("TIME"))
                self._clock.seconds     # noqa: B018 - asked at once, so that a server that is not there is told now
            else:
                self._link.one("PING")
        except BaseException:
            self.close()
            raise

    @classmethod
    def capable(cls, options: RedisOptions) -> Capabilities:
        can = super().capable(options)
        return can._replace(ordered=False, transactions=False) if place_of(options).cluster else can

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place}, {'closed' if self.closed else 'open'}>"

    # -- reading ---------------------------------------------------------------------------------------------

    def read(self, names: list[str]) -> list[bytes | None]:
        return self._frames([self._names.record(name) for name in names])

    def _frames(self, names: list[bytes]) -> list[Any]:
        """What stands under these names, at one instant; in a cluster each by itself."""
        if len(names) == 1 or self._link.clustered:
            return self._link.read([Call(name, ("GET", name)) for name in names])
        if not names:
            return []
        calls = batches.reads(names, self.options.batch_keys)
        return [frame for frames in self._link.read(calls, together=len(calls) > 1) for frame in frames]

    def _fetch(self, keys: Sequence[str]) -> Found:
        found: Found = [None if frame is None else unpack(frame, self.where(key), key)[1]
                        for key, frame in zip(keys, self.read([self.name_of(key) for key in keys]), strict=True)]
        if any(record is not None and record.tags for record in found):
            now = self._current({tag for record in found if record is not None for tag, _ in record.tags})
            found = [record._replace(revoked=any(now[tag] != generation for tag, generation in record.tags))
                     if record is not None and record.tags else record for record in found]
        return found

    def _current(self, tags: Iterable[str]) -> dict[str, int | None]:
        """The generations of tags, None where the server has none: it never had, or made room."""
        wanted = sorted(tags)
        held = self._frames([self._names.tag(tag) for tag in wanted])
        return {tag: None if one is None else int(one) for tag, one in zip(wanted, held, strict=True)}

    def _live(self, record: Record | None) -> bool:
        if record is not None and self._serves_time and not record.stale:
            return not record.revoked       # else the server would not have given it
        return super()._live(record)

    def ttl(self, key: Any) -> float | None:
        """Seconds until ``key`` expires, None if it does not."""
        left = super().ttl(key)
        return None if left is None else max(left, 0.0)     # it was there a moment ago

    def names(self, prefix: str) -> Iterator[str]:
        """Each name that begins with ``prefix`` once, in the server's order, page by page."""
        pattern = self._names.pattern(prefix)
        seen: set[bytes] = set()        # the server may give one twice
        for server in self._link.primaries():
            cursor: Any = b"0"
            while True:
                cursor, page = self._link.ask(server, "SCAN", cursor, "MATCH", pattern, "COUNT", naming.PAGE,
                                              "TYPE", "string")
                for name in page:
                    if name not in seen:
                        seen.add(name)
                        yield self._names.name(name)
                if int(cursor) == 0:
                    break

    def _walk(self, low: str, high: str | None, reverse: bool = False) -> Iterator[tuple[str, Record]]:
        if not self._link.clustered:
            yield from super()._walk(low, high, reverse)
            return
        keys = self._within(low, high)
        while chunk := list(islice(keys, self.options.batch_keys)):
            for key, record in zip(chunk, self._fetch(chunk), strict=True):
                if record is not None:
                    yield key, record

    def _live_keys(self, low: str, high: str | None) -> Iterator[str]:
        """By the ends of the records, which say when they expire; the values stay on the server."""
        keys = self._within(low, high) if self._link.clustered else iter(self._range(low, high))
        while chunk := list(islice(keys, self.options.batch_keys)):
            self._open()
            tails = self._link.read([Call(name, ("GETRANGE", name, -TAIL, -1)) for name in map(self._name, chunk)])
            outlines = [outline(tail) for tail in tails]
            whole = [key for key, tail, one in zip(chunk, tails, outlines, strict=True)
                     if tail and (one is None or one[1])]       # with tags, or damaged, which is told
            found = dict(zip(whole, self._fetch(whole), strict=True)) if whole else {}
            for key, one in zip(chunk, outlines, strict=True):
                if self._live(found[key] if key in found else one and one[0]):
                    yield key

    def _sound(self) -> Iterator[str]:
        keys = self._within("", None)
        while chunk := list(islice(keys, self.options.batch_keys)):
            for key, frame in zip(chunk, self.read([self.name_of(key) for key in chunk]), strict=True):
                try:
                    if frame is not None:
                        self._decode(unpack(frame, self.where(key), key)[1])
                except Error as error:
                    yield str(error)
                else:
                    yield ""

    # -- writing ---------------------------------------------------------------------------------------------

    def _change(self, keys: Sequence[str], step: Callable[[Found], Any], *, void: bool = True, look: bool = True,
                durable: bool = False, prefixes: Sequence[str] = (), claim: ServerClaim | None = None) -> Any:
        """As with a lock, without one: ``step`` is made anew until nothing that it saw has changed."""
        self._lacks("writes", "takes no writes")
        if durable:
            raise UnsupportedError(f"{self!r} cannot tell what survives a power loss, which its server decides "
                                   "(appendonly, appendfsync), and wrote nothing: set without durable=True, or open it "
                                   "with wait_replicas=")
        if void:
            self._void(keys)        # before and after: a computation may begin or end while the server works
        attempt = self._attempt(keys, step, void, look, prefixes, claim)
        if attempt is None:
            with self._turns.turn(keys[0]):     # of those in this process that met, the others wait
                vain = 1
                while (attempt := self._attempt(keys, step, void, look, prefixes, claim)) is None:
                    vain += 1
                    if vain >= CROWDED:
                        pause(random.random() * 0.002 * min(vain, 50))
        result, changes = attempt
        with self._lock:
            self._serial += 1
            self._applied(keys, changes, void)
        self._queue.drain()
        return result

    def _attempt(self, keys: Sequence[str], step: Callable[[Found], Any], void: bool, look: bool,
                 prefixes: Sequence[str], claim: ServerClaim | None) -> tuple[Any, Sequence[Any]] | None:
        """One attempt at a step: its result and its changes, None where it was in vain."""
        self._open()
        spans = [self._span(prefix) for prefix in prefixes]
        found: Found = self._fetch(keys) if look else [None] * len(keys)
        result, changes = step(found)
        if void:
            kept = {change.key for change in changes if change.record is not None}
            self._end_claims([key for key in keys if key not in kept])
        if changes and not self._written(keys, found if look else None, changes, spans, claim):
            return None
        return result, changes

    def _claim(self, flight: Any, name: Any, deadline: float) -> ServerClaim | None:
        """What keeps others from computing the same key."""
        return ServerClaim(self._leases, self._names.flight(name), deadline) if self.capabilities.writes else None

    def _end_claims(self, keys: Iterable[str]) -> None:
        """What others compute of ``keys`` is not to be stored."""
        calls = [Call(name, ("UNLINK", name)) for name in map(self._names.flight, keys)]
        if calls:
            self._link.write(calls)

    def _publish(self, flight: Any, key: Any, value: Any, ttl: Seconds | None, stale: Seconds | None) -> bool:
        key = self._key(key)
        return self._change([key], self._step_publish(flight, key, self._draft(value, ttl, stale=stale)), void=False,
                            claim=getattr(flight, "claim", None))

    def _void(self, keys: Iterable[str]) -> None:
        for key in keys if self._flight_table else ():
            flight = self._flight_table.get(key)
            if flight is not None:
                flight.voided = True

    def _span(self, prefix: str) -> Span:
        """What there is under a prefix: as many names, with these versions."""
        names = [self._names.record(name) for name in self.names(prefix)]
        held = self._link.read([Call(name, ("GETRANGE", name, *scripts.VERSION)) for name in names])
        return self._names.pattern(prefix), list(zip(names, held, strict=True))

    def _written(self, keys: Sequence[str], found: Found | None, changes: Sequence[Any],
                 spans: Sequence[Span] = (), claim: ServerClaim | None = None) -> bool:
        """Make all changes if ``keys`` still hold what was ``found``, and ``spans`` too. Whether they did."""
        if found is None:
            self.write({self.name_of(change.key): None if change.record is None else pack(change.key, change.record)
                        for change in changes}, [change.record for change in changes])
            return True
        if len(keys) + len(changes) + sum(len(names) for _, names in spans) > MOST:
            raise UnsupportedError(f"{len(keys)} keys and what is in ranges are more than one step on Redis can hold "
                                   f"({MOST}): take fewer")
        return self._link.write([self._swapping(keys, found, [(change.key, change.record) for change in changes],
                                                spans, claim)]) == [1]

    def _swapping(self, keys: Sequence[str], found: Found, changes: Sequence[tuple[str, Record | None]],
                  spans: Sequence[Span] = (), claim: ServerClaim | None = None) -> Call:
        """The call that makes ``changes`` if ``keys`` hold what was ``found``, and ``claim`` is held."""
        seen = {} if self._link.clustered else {
            self._names.tag(tag): b"%d" % generation
            for record in found if record is not None and not record.revoked for tag, generation in record.tags}
        if claim is not None and not self._link.clustered:
            seen[claim.name] = claim.own
        return Call(self._name(keys[0]), scripts.swap(
            [(self._name(key), scripts.version(record)) for key, record in zip(keys, found, strict=True)]
            + [pair for _, pairs in spans for pair in pairs],
            list(seen.items()),
            [(self._name(key), b"" if record is None else pack(key, record), self._lasts(record))
             for key, record in changes], [(pattern, len(pairs)) for pattern, pairs in spans]))

    def _name(self, key: str) -> bytes:
        return self._names.record(self.name_of(key))

    def _lasts(self, record: Record | None, now: float | None = None) -> int:
        """Milliseconds after which the server drops a record; 0 for never."""
        if record is None or record.deadline is None or not self._serves_time:
            return 0
        now = self._clock.seconds if now is None else now
        return max(math.ceil((record.deadline + record.stale - now) * 1000), 1)

    def write(self, changes: dict[str, bytes | None], records: Sequence[Record | None] = ()) -> None:
        """All at once; in a cluster one by one. ``records`` say how long each lasts."""
        now, there = self._clock.seconds, self._names.record
        writes = [(there(name), frame or b"", 0 if record is None or record.deadline is None else
                   self._lasts(record, now)) for (name, frame), record in zip(
                       changes.items(), records or [None] * len(changes), strict=True)]
        if len(writes) == 1 or self._link.clustered:
            self._link.write([batches.single(*one) for one in writes])
        else:
            calls = batches.calls(writes, self.options.batch_keys, self.options.batch_bytes)
            self._link.write(calls, together=len(calls) > 1)

    def delete_many(self, keys: Iterable[Any]) -> int:
        """Take ``keys`` out. Returns how many were there. Not at one instant, but batch by batch."""
        wanted = list(dict.fromkeys(map(self._key, keys)))
        self._lacks("writes", "takes no writes")
        if self._link.clustered:
            return self._delete_each(wanted)
        most = self.options.batch_keys
        return sum(super(RedisStore, self).delete_many(wanted[i:i + most]) for i in range(0, len(wanted), most))

    # -- in a cluster, where one step is of one key ----------------------------------------------------------

    def _delete_each(self, wanted: list[str]) -> int:
        """Each by itself, and all at the same time; those that others change meanwhile are looked at again."""
        self._void(wanted)
        self._end_claims(wanted)
        gone, left = 0, wanted
        while left:
            there = [(key, record) for key, record in zip(left, self._fetch(left), strict=True) if record is not None]
            done = self._link.write([self._swapping([key], [record], [(key, None)]) for key, record in there])
            ended = [one for one, yes in zip(there, done, strict=True) if yes]
            gone += sum(self._live(record) for _, record in ended)
            with self._lock:
                self._applied(wanted, [change for key, record in ended
                                       for change in self._stored([key], [record], [None])], True)
            left = [key for (key, _), yes in zip(there, done, strict=True) if not yes]
        self._queue.drain()
        return gone

    def _put(self, keys: list[str], drafts: list[Any], durable: bool = False) -> None:
        if self._link.clustered and len(keys) > 1 and self._looks(drafts):
            for key, draft in zip(keys, drafts, strict=True):
                super()._put([key], [draft], durable)
        else:
            super()._put(keys, drafts, durable)

    def _reap(self, keys: Sequence[str]) -> int:
        most = 1 if self._link.clustered else self.options.batch_keys
        return sum(super(RedisStore, self)._reap(keys[i:i + most]) for i in range(0, len(keys), most))

    # -- all of them ---------------------------------------------------------------------------------------

    def _at_once(self, work: Callable[[], None], op: str, what: Any) -> None:
        self._open()
        self._void_all()
        work()
        self._void_all()
        with self._lock:
            self._queue.push(op, what, "user")
        self._queue.drain()

    def _erase(self, low: str, high: str | None) -> None:
        """Page by page; with everything go the generations of tags, which revives nothing."""
        names: Iterator[str] = self.names("")
        if low or high is not None:
            self._end_claims(key for key in (name[len(naming.FLIGHT):] for name in self.names(naming.FLIGHT))
                             if key >= low and (high is None or key < high))
            names = map(self.name_of, self._within(low, high))
        while page := list(islice(names, self.options.batch_keys)):
            self.write(dict.fromkeys(page))

    # -- tags ------------------------------------------------------------------------------------------------

    def _generations(self, tags: Sequence[str]) -> dict[str, int]:
        """The generations that a record with ``tags`` is stored with; one is made where there is none.

        They are random and not counted: so a record stays revoked when the server makes room and forgets its tag.
        """
        names = [self._names.tag(tag) for tag in tags]
        self._link.write([Call(name, ("SET", name, naming.generation(), "NX")) for name in names])
        return {tag: int(one) for tag, one in zip(tags, self._frames(names), strict=True)}

    def _revoke(self, tag: str) -> None:
        name = self._names.tag(tag)
        self._link.write([Call(name, ("SET", name, naming.generation()))])

    # -- for a memory tier above -----------------------------------------------------------------------------

    def _epoch(self) -> int:
        """A number that is the same only while a tier above may serve what it holds; see ``listener.py``."""
        listener = self._listener
        # As in its epoch(), without a call more: this is asked at every hit.
        if passed() < listener.until and listener.version == self._link.version:
            return listener.news
        self._open()
        return listener.epoch()

    def _tells(self, tier: Any) -> None:
        """A tier above, as a weak reference: it is told of each key that changes, by ``_evicted(keys)``."""
        self._listener.tier(tier)

    # -- expiry, care ----------------------------------------------------------------------------------------

    def _due(self, now: float) -> list[str]:
        return [] if self._serves_time else super()._due(now)

    def _forked(self) -> None:
        self._link.renew()
        self._leases = Leases(self._link)
        self._turns = Turns()
        self._listener = self._listener.renewed()

    def shut(self) -> None:
        self._listener.close()
        self._leases.close()
        self._link.close()

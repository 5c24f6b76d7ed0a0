"""What every floor may rely on: the contracts of stores, codecs and plugins, and the event record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, runtime_checkable

# Marks that say in a value's frame how its bytes are to be read. Never renumber: they are on disk.
RAW, STR, MSGPACK, JSON, NUMPY, PICKLE = range(6)

class Missing:
    """The type of :data:`MISSING`: what an engine's ``_read`` gives for a key that has no value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()  # there is one, compared by identity, so that a stored None is told from a miss

Seconds = float | int | timedelta
DEADLINE = 30.0     # seconds that a process waits for another that computes, if not told
Progress = Callable[[int, int, str], Any]   # of what is done, of what is to be done, and a name for it
Items = Mapping[Any, Any] | Iterable[tuple[Any, Any]]


class Found(NamedTuple):
    """What a layered store has under a key: see ``find``."""

    value: Any
    state: str              # "fresh", or "stale": past its time in a fast layer, while the slow one fails or is asked
    left: float | None      # seconds that it is kept in its layer, None for no end; negative where it is past its time


class Capabilities(NamedTuple):
    """What a store can do beyond reading; what is False answers with ``UnsupportedError``."""

    writes: bool = True
    ordered: bool = True
    ttl: bool = True
    tags: bool = True
    pins: bool = True
    transactions: bool = True
    events: bool = True
    packed: bool = True
    compute: bool = True
    persistent: bool = False
    backup: bool = False
    shared: bool = False
    journal: bool = False
    traces: bool = False
    streams: bool = False
    listing: bool = True


class Event(NamedTuple):
    """One change of a store, as a listener gets it.

    ``op`` is ``"set"``, ``"delete"`` or ``"clear"``; ``reason`` is ``"user"``, ``"expire"``, ``"evict"`` or
    ``"coherence"``. For ``clear``, ``key`` is the prefix that was cleared. ``time`` is Unix time in seconds.
    ``value`` is None unless the subscription asked for values. Who subscribed to a tag also gets ``"invalidate"``, with
    the tag as ``key``; who reads from a queue that was full gets ``"lost"``, with how many as ``value``.
    """

    seq: int
    op: str
    key: Any
    reason: str
    origin: str
    time: float
    value: Any = None


class Change(NamedTuple):
    """One change of a store, as its journal keeps it.

    ``op`` is ``"set"``, ``"delete"``, ``"expire"``, ``"evict"``, ``"clear"`` or ``"invalidate"``. For ``clear``,
    ``key`` is the prefix that was cleared; for ``invalidate``, the tag. ``hash`` tells one version of a record from
    another, and ``base`` is the hash of the one that was replaced or taken out; 0 stands for none. ``origin`` names the
    open store that made the change, ``time`` is Unix time in seconds.
    """

    seq: int
    op: str
    key: Any
    hash: int
    base: int
    origin: str
    time: float


class Reader(NamedTuple):
    """A place in the table of readers of a store on disk.

    ``transaction`` is the state that it reads in and keeps from being overwritten, ``lag`` how many transactions
    were committed since; None for both while it reads nothing. ``alive`` says whether a process ``pid`` runs on this
    system: what a dead one has left is cleared by ``clear_readers()``.
    """

    pid: int
    thread: int
    transaction: int | None
    lag: int | None
    alive: bool


class Codec(Protocol):
    """Turns a value into a mark and bytes, and back; what was set is what comes back."""

    @property
    def name(self) -> str: ...

    def encode(self, value: Any) -> tuple[int, bytes]: ...

    def decode(self, mark: int, payload: bytes) -> Any: ...


@runtime_checkable
class Store(Protocol):
    """A key-value store. Every method of the design's table, with the same meaning in every backend."""

    @property
    def capabilities(self) -> Capabilities: ...

    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...
    def __delitem__(self, key: Any) -> None: ...
    def __contains__(self, key: Any) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...

    def get(self, key: Any, default: Any = None) -> Any: ...
    def set(self, key: Any, value: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (),
            pin: bool = False, durable: bool = False) -> None: ...
    def delete(self, key: Any) -> bool: ...
    def touch(self, key: Any, ttl: Seconds | None) -> bool: ...
    def ttl(self, key: Any) -> float | None: ...
    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool: ...
    def replace(self, key: Any, expected: Any, value: Any) -> bool: ...
    def incr(self, key: Any, by: int = 1) -> int: ...

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]: ...
    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None: ...
    def delete_many(self, keys: Iterable[Any]) -> int: ...
    def contains_many(self, keys: Iterable[Any]) -> list[bool]: ...
    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Any: ...
    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None: ...

    def invalidate(self, tag: str) -> None: ...

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]: ...
    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Any, Any]]: ...
    def keys(self, prefix: Any = "") -> Iterator[Any]: ...
    def count(self, prefix: Any = "") -> int: ...

    def reader(self, key: Any) -> Any: ...
    def writer(self, key: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
               durable: bool = False) -> Any: ...
    def transaction(self) -> AbstractContextManager[Any]: ...
    def get_or_compute(self, key: Any, fn: Callable[[], Any], *, ttl: Seconds | None = None,
                       stale: Seconds | None = None, deadline: Seconds = DEADLINE) -> Any: ...
    def memoize(self, *, ttl: Seconds | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...
    def subscribe(self, pattern: str | None = None, callback: Callable[[Event], Any] | None = None, *, key: Any = None,
                  prefix: Any = None, tag: str | None = None, values: bool = False, queue: int | None = None,
                  overflow: str = "drop", others: bool = False, since: int | None = None,
                  every: Seconds | None = None) -> Any: ...
    def changes(self, since: int = 0) -> Iterator[Any]: ...

    def stats(self) -> dict[str, Any]: ...
    def record_trace(self, path: Any, *, sample: float = 1.0) -> Any: ...
    def flush(self) -> None: ...
    def verify(self, *, progress: Progress | None = None) -> dict[str, Any]: ...
    def backup(self, path: Any, *, progress: Progress | None = None) -> None: ...
    def clear(self, prefix: Any = "") -> None: ...
    def expire(self) -> int: ...
    def close(self) -> None: ...


class AsyncStore(Protocol):
    """The same names and meanings as :class:`Store`, as coroutines; scans are asynchronous iterators."""

    def get(self, key: Any, default: Any = None) -> Awaitable[Any]: ...
    def set(self, key: Any, value: Any, **options: Any) -> Awaitable[None]: ...
    def delete(self, key: Any) -> Awaitable[bool]: ...
    def get_many(self, keys: Iterable[Any], default: Any = None) -> Awaitable[list[Any]]: ...
    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> Awaitable[None]: ...
    def close(self) -> Awaitable[None]: ...


class Plugin(Protocol):
    """A backend that can be opened by name: the schema of its options, and how these become a store."""

    Options: type[Any]

    def open(self, options: Any) -> Store: ...

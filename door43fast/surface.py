"""The methods that every store has because of what its engine can do: said once, in terms of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from door43fast.contracts import DEADLINE, MISSING, Event, Items, Seconds
from door43fast.errors import ClosedError, UnsupportedError

if TYPE_CHECKING:
    from door43fast.aio import AsyncSurface
    from door43fast.metrics import Metrics
    from door43fast.streams import ValueReader, ValueWriter
    from door43fast.transactions import Transaction

FRESH = 1   # the state in which ``_lookup`` finds a value that has not expired


class StoreSurface:
    """Mixed in before an engine. It defines no name that engines have, so that their methods stay in C."""

    __slots__ = ()

    # -- mapping ---------------------------------------------------------------------------------------------

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``; where it is missing, ``default`` is stored first. Atomic."""
        while True:
            value = self.get(key, MISSING)
            if value is not MISSING:
                return value
            if self.add(key, default):
                return default

    def popitem(self) -> tuple[Any, Any]:
        """Take out some key and return it with its value; KeyError when the store is empty."""
        while True:
            for key in self:
                value = self.pop(key, MISSING)
                if value is not MISSING:
                    return key, value
                break
            else:
                raise KeyError(f"popitem: {self!r} is empty")

    def update(self, items: Items = (), /, **named: Any) -> None:
        """``set_many`` with the signature of ``dict.update``."""
        self.set_many(items)
        if named:
            self.set_many(named)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield every ``(key, value)``; in the order of keys where they are ordered."""
        try:
            return iter(self.scan())
        except UnsupportedError:    # keys without an order
            return self._unordered()

    def _unordered(self) -> Iterator[tuple[Any, Any]]:
        for key in self:
            value = self._read(key)[1]
            if value is not MISSING:
                yield key, value

    def values(self) -> Iterator[Any]:
        """Yield every value, in the order of :meth:`items`."""
        return (value for _, value in self.items())

    # -- compute ---------------------------------------------------------------------------------------------

    def get_or_compute(self, key: Any, fn: Callable[[], Any], *, ttl: Seconds | None = None,
                       stale: Seconds | None = None, deadline: Seconds = DEADLINE) -> Any:
        """The value under ``key``; where it is missing, ``fn()`` gives it and it is stored.

        One call of ``fn`` runs at a time per key; whoever else asks for the key waits for it and shares the
        result, or the exception. A set or delete of the key while ``fn`` runs keeps the result from being stored.
        Where other processes have the store too, one of all of them computes; see docs/compute.md.

        Parameters
        ----------
        key
            The key.
        fn : callable
            Called without arguments and outside of every lock; it may use this store.
        ttl : seconds, optional
            Time to live of what is stored; the store's own where it is None.
        stale : seconds, optional
            For so long after its expiry the old value is given to others while the first caller computes anew.
        deadline : seconds
            How long to wait for another process that computes the key before this one does so too.

        Returns
        -------
        object
            What is stored, or what ``fn`` gave.

        Raises
        ------
        DeadlockError
            If ``fn`` asks, itself or through other keys and threads, for a key that waits for it.
        """
        state, value = self._lookup(key)
        if state == FRESH:
            return value
        from door43fast.compute import compute
        return compute(self, key, fn, ttl, stale, deadline)

    def memoize(self, *, ttl: Seconds | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that keeps what a function, or a coroutine function, returns for its arguments.

        The decorated function has ``__wrapped__``, ``cache_key(*args, **kwargs)`` and
        ``invalidate(*args, **kwargs) -> bool``. A store on disk takes arguments that are None, bool, int, float,
        str, bytes, tuples, lists, dicts and sets of them, or have a method ``__cache_key__`` that gives such; a
        store in memory takes whatever is hashable.
        """
        from door43fast.compute import memoized
        return memoized(self, ttl)

    # -- streams ---------------------------------------------------------------------------------------------

    def reader(self, key: Any) -> ValueReader:
        """The value under ``key``, which must be bytes, as a binary file to read: an ``io.RawIOBase`` that can seek.

        A store on disk reads a large value in chunks, each checked before it is handed out, and holds no snapshot
        between them.

        Raises
        ------
        KeyError
            If ``key`` has no value.
        TypeError
            If its value is not bytes.
        ConflictError
            From a read, when the value was replaced or deleted meanwhile: open a reader anew.
        """
        from door43fast.streams import ValueReader
        self._needs("streams", "gives no values as files")
        return ValueReader(self, key)

    def writer(self, key: Any, *, ttl: Seconds | None = None, tags: Iterable[str] = (), pin: bool = False,
               durable: bool = False) -> ValueWriter:
        """A binary file to write the value of ``key`` into; nobody sees it before ``close()``, which sets the key.

        A store on disk writes in chunks, and no more than one is in memory. ``with`` closes it at the end of its
        block; after an exception it is abandoned, as by ``abandon()``. The options are those of ``set``; the event of
        a large value carries no value.

        Raises
        ------
        ReadOnlyError
            If the store takes no writes.
        ConflictError
            From a write or ``close``, if others have removed what was written so far.
        """
        from door43fast.streams import ValueWriter
        self._needs("streams", "takes no values as files")
        return ValueWriter(self, key, ttl, tags, pin, durable)

    # -- transactions, events --------------------------------------------------------------------------------

    def transaction(self) -> Transaction:
        """``with store.transaction() as t:`` all that is written through ``t``, or nothing.

        Raises
        ------
        ConflictError
            At the end of the block, if anything that it read was changed by another. Run it again.
        UnsupportedError
            If this backend has no transactions.
        """
        from door43fast.transactions import Transaction
        self._needs("transactions", "has no transactions")
        return Transaction(self)

    def subscribe(self, pattern: str | None = None, callback: Callable[[Event], Any] | None = None, *, key: Any = None,
                  prefix: Any = None, tag: str | None = None, values: bool = False, queue: int | None = None,
                  overflow: str = "drop", others: bool = False, since: int | None = None,
                  every: Seconds | None = None) -> Any:
        """Be told after each change of certain keys; see docs/changes.md.

        Parameters
        ----------
        pattern : str
            A glob that matches keys as a whole, such as ``"en_tn@84/*"``. Or one of ``key``, ``prefix`` and ``tag``
            instead; ``tag`` is told of what happens to entries that carry the tag, before or after it, and of
            ``invalidate(tag)``.
        callback : callable
            ``callback(event)`` is called in order, by a thread that changes the store. Without it, give ``queue``.
        values : bool
            Have each event carry the value that was set.
        queue : int
            The events wait for you, up to so many, and the result is iterated.
        overflow : {"drop", "block", "raise"}
            What happens where the queue is full: the oldest goes, told by an event ``lost``; whoever brings one waits;
            or the reader gets ``LostEventsError``.
        others : bool
            Be told of what every process changes, this one too, from the journal and with its numbers. A journal keeps
            no tags of entries: ``tag`` is then told of ``invalidate`` and ``clear`` alone.
        since : int
            The same, beginning after this number of the journal.
        every : seconds
            How often to look whether others have changed anything; 0.01 if not given.

        Returns
        -------
        Subscription
            With ``cancel()``; also a context manager.
        """
        self._needs("events", "tells of no events")
        from door43fast.events import stream_of, wanted
        from door43fast.following import listen
        name, chosen = wanted(pattern, key=key, prefix=prefix, tag=tag)
        hear = partial(listen, self, name, values=values, wants=chosen, tag=tag, others=others, since=since,
                       every=every)
        if callback is None and queue is not None:
            return stream_of(self, hear, queue, overflow)
        if callback is None and overflow == "drop":
            raise TypeError("subscribe needs a callable to be told, or queue= with a number of events to read")
        if queue is not None or overflow != "drop":
            raise TypeError("queue= and overflow= are for subscriptions that are read: leave the callback out, and "
                            "give queue=")
        return hear(callback)

    def changes(self, since: int = 0) -> Iterator[Any]:
        """Yield the changes after number ``since``, the oldest first, as the journal keeps them.

        Parameters
        ----------
        since : int
            The number of the last change that is known; 0 for all since the store has a journal.

        Yields
        ------
        Change
            ``(seq, op, key, hash, base, origin, time)``; see :class:`door43fast.contracts.Change`. What is written
            while it runs is yielded too.

        Raises
        ------
        PrunedError
            If the journal no longer holds all of them: here, or on the way if they go while it runs.
        ValueError
            If ``since`` is beyond the last change.
        UnsupportedError
            If the store keeps no journal.
        """
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        if not self.capabilities.journal:
            raise UnsupportedError(f"{type(self).__name__} keeps no journal, so it cannot list the changes since "
                                   f"{since}: open a LmdbStore with journal=True, or use subscribe() for those to come")
        return self._changes(since)

    # -- metrics ---------------------------------------------------------------------------------------------

    def metrics(self) -> Metrics:
        """What it did since it was opened, as a whole and by layer: counters, sizes, and latencies if measured."""
        from door43fast.metrics.reading import read
        return read(self)

    def measure(self, every: int | str | None = "auto") -> None:
        """Measure how long one single call in ``every`` takes, and each batch; None to stop. See docs/metrics.md.

        ``"auto"`` is one in 512 for stores in the native core, one in 16 for others.
        """
        from door43fast.metrics.measuring import measure
        measure(self, every)

    def _needs(self, capability: str, lack: str) -> None:
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        if not getattr(self.capabilities, capability):
            raise UnsupportedError(f"{type(self).__name__} {lack}, as its capabilities say: use a MemoryStore or a "
                                   "LmdbStore for that")

    # -- as an object ----------------------------------------------------------------------------------------

    @property
    def aio(self) -> AsyncSurface:
        """The same methods as coroutines."""
        from door43fast.aio import AsyncSurface
        return AsyncSurface(self)

    def __enter__(self) -> Any:
        if self.closed:
            raise ClosedError(f"{type(self).__name__} is closed: open it again before use")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        path = getattr(getattr(self, "options", None), "path", None)
        place = f"at {id(self):#x}" if path is None else repr(path)
        return f"<{type(self).__name__} {place}, {'closed' if self.closed else 'open'}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.capabilities.persistent:
            return self.__reduce__()
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied: its contents live in this process "
                        "only, and an empty copy would be a silent loss; copy them with other.set_many(store.items())")

    if TYPE_CHECKING:   # what the engine brings
        capabilities: Any
        closed: bool
        _events: Any
        get: Any
        add: Any
        pop: Any
        set_many: Any
        scan: Any
        close: Any
        _lookup: Any
        _read: Any
        _changes: Any

        def __iter__(self) -> Iterator[Any]: ...


MutableMapping.register(StoreSurface)

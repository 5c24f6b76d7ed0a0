"""The face of diskcache: its class ``Cache`` with its names and meanings, over a store on disk without pickle.

``from door43fast.compat.diskcache import Cache`` in the place of ``from diskcache import Cache``. What is the same,
what differs, and why: docs/diskcache.md.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from io import BytesIO
from typing import Any

from door43fast.compat.diskcache_blocks import Block, Blocks, Timeout, left
from door43fast.compat.diskcache_keys import TAG, call_key, name_of
from door43fast.compat.diskcache_many import ManyFace, shown
from door43fast.compat.diskcache_queue import QueueFace
from door43fast.contracts import MISSING, Codec
from door43fast.errors import ConfigError, ConflictError, did_you_mean
from door43fast.lmdb import LmdbStore

__all__ = ["Cache", "Timeout"]

# Settings of diskcache that have nothing to set here: they are named in a warning, and nothing depends on them.
POLICIES = {"least-recently-stored": "fifo", "least-recently-used": "clock", "none": "none"}
IDLE = {"tag_index", "cull_limit", "disk_min_file_size", "disk_pickle_protocol", "sqlite_auto_vacuum",
        "sqlite_cache_size", "sqlite_journal_mode", "sqlite_mmap_size", "sqlite_synchronous"}
SETTINGS = {"statistics", "size_limit", "eviction_policy"}


class Cache(QueueFace, ManyFace):
    """A cache in a directory, with the methods of ``diskcache.Cache`` 5.6.

    Parameters
    ----------
    directory : path, optional
        The directory, made where it is missing; a new temporary one if not given.
    timeout : float
        Seconds that :meth:`transact` waits for another transaction before it raises ``Timeout``.
    codec : str or Codec
        How values become bytes, as for ``LmdbStore``. ``"auto"`` takes numbers, str, bytes, None, datetime, tuples,
        lists, sets, dicts and NumPy arrays. ``"pickle"`` takes whatever pickle takes, also as keys: whoever can write
        to the directory can then run code in every process that reads it.
    durability : {"batch", "commit", "none"}
        What survives; see docs/durability.md.
    **settings
        ``size_limit``, the most bytes that the file may take: there is no limit unless it is given. ``statistics``.
        ``eviction_policy`` beside a limit: ``"least-recently-stored"``, the default, ``"least-recently-used"``, or
        ``"none"``. Other settings of diskcache are named in a warning.

    Raises
    ------
    ConfigError
        If a setting is unknown, or the directory holds a cache of diskcache's own.

    Examples
    --------
    >>> with Cache() as cache:
    ...     cache.set("TIT 1:1", "Paul, a servant of God", expire=60, tag="en")
    ...     cache.get("TIT 1:1", tag=True)
    True
    ('Paul, a servant of God', 'en')
    """

    def __init__(self, directory: Any = None, timeout: float = 60, *, codec: str | Codec = "auto",
                 durability: str = "batch", **settings: Any) -> None:
        if directory is None:
            directory = tempfile.mkdtemp(prefix="door43fast-")
        self._directory = os.path.expandvars(os.path.expanduser(os.fspath(directory)))
        self._timeout = timeout
        self._plan = {"codec": codec, "durability": durability, **settings}
        self._pickles = codec == "pickle"
        for name in settings:
            if name not in SETTINGS | IDLE:
                raise ConfigError(f"Cache has no setting {name!r}: {did_you_mean(name, SETTINGS | IDLE)}")
        policy = settings.get("eviction_policy", "least-recently-stored")
        if policy not in POLICIES:
            raise ConfigError(f"eviction_policy={policy!r} is not there: {did_you_mean(policy, POLICIES)}")
        idle = sorted(set(settings) & IDLE)
        if idle:
            warnings.warn(f"{', '.join(idle)}: there is nothing here that this could set; see docs/diskcache.md",
                          stacklevel=2)
        if os.path.exists(os.path.join(self._directory, "cache.db")):
            raise ConfigError(f"{self._directory} holds a cache of diskcache: bring it over with door43fast "
                              f"import-diskcache {self._directory} --into NEW, and open NEW")
        self._counting = bool(settings.get("statistics", False))
        self._hits = self._misses = 0
        self._known: dict[bytes, str] = {}      # tags by their hashes, of those whose names are in the store
        self._tags: set[str] = set()
        self._blocks = Blocks(os.path.join(self._directory, "transact.lock"))
        self._store = self._open()

    def _open(self) -> LmdbStore:
        limit = self._plan.get("size_limit")
        policy = POLICIES[self._plan["eviction_policy"]] if "eviction_policy" in self._plan else None
        if policy == "none":        # then diskcache keeps no limit
            limit = policy = None
        return LmdbStore(self._directory, keys="any", codec=self._plan["codec"], max_bytes=limit,
                         durability=self._plan["durability"], policy=policy or ("fifo" if limit else None))

    @property
    def store(self) -> LmdbStore:
        """The store underneath; opened again if :meth:`close` had closed it, as diskcache does."""
        if self._store.closed:
            self._store = self._open()
        return self._store

    @property
    def directory(self) -> str:
        """The directory of the cache."""
        return self._directory

    @property
    def timeout(self) -> float:
        """Seconds that :meth:`transact` waits."""
        return self._timeout

    # -- what the rest is made of ------------------------------------------------------------------------------

    def _tag_names(self, tag: str | None) -> tuple[str, ...]:
        """``tag`` as the store takes it; its name is put into the store first, which keeps hashes only."""
        if tag is None:
            return ()
        if tag not in self._tags:
            if not isinstance(tag, str):
                raise TypeError(f"a tag is a str, not {type(tag).__name__} {tag!r}: give str(tag)")
            hash = self.store._tag_hashes((tag,))
            self.store.set((*TAG, hash), tag, pin=True)
            self._known[hash] = tag
            self._tags.add(tag)
        return (tag,)

    def _tag_of(self, tags: bytes | None) -> str | None:
        """The name of the tag that a record carries, by its hash."""
        if tags is None:
            return None
        hash = tags[:16]
        if hash not in self._known:
            name = self.store.get((*TAG, hash))
            if name is None:
                return None
            self._known[hash] = name
        return self._known[hash]

    def _whole(self, name: Any) -> tuple[Any, float | None, str | None] | None:
        """Value, expiry and tag of a record, outside of any block; None if there is none."""
        _, value, deadline, _, tags, _ = self.store._read_whole(name)
        return None if value is MISSING else (value, deadline / 1e9 if deadline else None, self._tag_of(tags))

    def _atomically(self, step: Callable[[Block], Any]) -> Any:
        """What ``step`` gives: within the block of this thread, or in a transaction that is repeated on conflict."""
        block = self._blocks.mine()
        if block is not None:
            return step(block)
        while True:
            try:
                with self.store.transaction() as transaction:
                    result = step(Block(transaction, self))
                return result
            except ConflictError:
                continue

    # -- single ------------------------------------------------------------------------------------------------

    def set(self, key: Any, value: Any, expire: float | None = None, read: bool = False, tag: str | None = None,
            retry: bool = False) -> bool:
        """Set ``key``; with ``read`` the value is a file open for reading. Always True."""
        name = name_of(key, self._pickles)
        value = _content(value) if read else value
        block = self._blocks.mine()
        if block is not None:
            block.write(name, value, expire, tag)
        elif expire is None and tag is None:
            self.store[name] = value
        else:
            self.store.set(name, value, ttl=left(expire), tags=self._tag_names(tag))
        return True

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def get(self, key: Any, default: Any = None, read: bool = False, expire_time: bool = False, tag: bool = False,
            retry: bool = False) -> Any:
        """The value of ``key``, or ``default``; in a tuple with its Unix time of expiry and its tag if asked for.

        With ``read`` a value of bytes comes as a file open for reading.
        """
        name = name_of(key, self._pickles)
        if expire_time or tag:
            found = self._blocks.read(self, name)
            value = MISSING if found is None else found[0]
        else:
            found = None
            value = (self._blocks.mine() or self.store).get(name, MISSING)
        if self._counting:
            self._hits += value is not MISSING
            self._misses += value is MISSING
        if value is MISSING:
            value = default
        elif read and type(value) is bytes:
            value = BytesIO(value)
        return shown(value, found, expire_time, tag)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def read(self, key: Any, retry: bool = False) -> Any:
        """The value of ``key`` as a file open for reading; KeyError if there is none."""
        value = self.get(key, MISSING, read=True)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        return name_of(key, self._pickles) in (self._blocks.mine() or self.store)

    def add(self, key: Any, value: Any, expire: float | None = None, read: bool = False, tag: str | None = None,
            retry: bool = False) -> bool:
        """Set ``key`` if it has no value; True if it was set."""
        name = name_of(key, self._pickles)
        value = _content(value) if read else value
        if tag is None and self._blocks.mine() is None:
            return self.store.add(name, value, ttl=left(expire))

        def step(block: Block) -> bool:
            if name in block:
                return False
            block.write(name, value, expire, tag)
            return True

        return self._atomically(step)

    def incr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Add ``delta`` to the number at ``key``; a missing one is ``default``, and KeyError if that is None."""
        name = name_of(key, self._pickles)
        if type(delta) is int and default == 0 and self._blocks.mine() is None:
            try:
                return self.store.incr(name, delta)
            except TypeError:       # it holds no int
                pass

        def step(block: Block) -> Any:
            found = block.read(name)
            if found is None:
                if default is None:
                    raise KeyError(key)
                found = default, None, None
            block.write(name, found[0] + delta, None if found[1] is None else found[1] - time.time(), found[2])
            return found[0] + delta

        return self._atomically(step)

    def decr(self, key: Any, delta: Any = 1, default: Any = 0, retry: bool = False) -> Any:
        """Take ``delta`` from the number at ``key``; see :meth:`incr`."""
        return self.incr(key, -delta, default)

    def touch(self, key: Any, expire: float | None = None, retry: bool = False) -> bool:
        """Give ``key`` a new expiry, None for none; False if it has no value."""
        name = name_of(key, self._pickles)
        if self._blocks.mine() is None:
            return self.store.touch(name, left(expire))

        def step(block: Block) -> bool:
            found = block.read(name)
            if found is not None:
                block.write(name, found[0], expire, found[2])
            return found is not None

        return self._atomically(step)

    def pop(self, key: Any, default: Any = None, expire_time: bool = False, tag: bool = False,
            retry: bool = False) -> Any:
        """Delete ``key`` and return what :meth:`get` would have."""
        name = name_of(key, self._pickles)
        if not (expire_time or tag):
            return (self._blocks.mine() or self.store).pop(name, default)

        def step(block: Block) -> Any:
            found = block.read(name)
            if found is not None:
                block.delete(name)
            return found

        found = self._atomically(step)
        return shown(default if found is None else found[0], found, expire_time, tag)

    def delete(self, key: Any, retry: bool = False) -> bool:
        """Delete ``key``; True if it had a value."""
        return (self._blocks.mine() or self.store).delete(name_of(key, self._pickles))

    def __delitem__(self, key: Any) -> None:
        if not self.delete(key):
            raise KeyError(key)

    # -- functions, blocks --------------------------------------------------------------------------------------

    def memoize(self, name: str | None = None, typed: bool = False, expire: float | None = None,
                tag: str | None = None, ignore: Collection[Any] = ()) -> Callable[..., Any]:
        """A decorator that keeps what a function returns for its arguments.

        ``ignore`` holds places and names of arguments that make no difference. With ``expire=0`` nothing is kept. The
        function has ``__wrapped__`` and ``__cache_key__(*args, **kwargs)``.
        """
        if callable(name):
            raise TypeError("name cannot be callable: write @cache.memoize() with parentheses")

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            base = f"{function.__module__}.{function.__qualname__}" if name is None else name

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                key = cache_key(*args, **kwargs)
                result = self.get(key, MISSING)
                if result is MISSING:
                    result = function(*args, **kwargs)
                    if expire is None or expire > 0:
                        self.set(key, result, expire, tag=tag)
                return result

            def cache_key(*args: Any, **kwargs: Any) -> Any:
                return call_key(base, args, kwargs, typed, ignore, self._pickles)

            wrapper.__cache_key__ = cache_key       # type: ignore[attr-defined]
            return wrapper

        return decorate

    def transact(self, retry: bool = False) -> AbstractContextManager[None]:
        """``with cache.transact():`` all that this thread sets and deletes in the block, or nothing.

        One block runs at a time, over all processes; blocks within a block are part of it. Iteration, ``evict``,
        ``expire`` and ``clear`` are not.

        Raises
        ------
        Timeout
            If other blocks take longer than ``timeout``, unless ``retry``.
        ConflictError
            At the end, if a write outside of every block changed what this one had read. Run it again.
        """
        return self._blocks.enter(self, None if retry else self._timeout)

    # -- care --------------------------------------------------------------------------------------------------

    def stats(self, enable: bool = True, reset: bool = False) -> tuple[int, int]:
        """Hits and misses that this object has counted; counting goes on if ``enable``."""
        counted = self._hits, self._misses
        if reset:
            self._hits = self._misses = 0
        self._counting = bool(enable)
        return counted

    def volume(self) -> int:
        """Bytes of the file on disk."""
        return self.store.stats()["bytes"]

    def close(self) -> None:
        """Sync and close the files. The next call opens them again."""
        self._store.close()

    def __enter__(self) -> Cache:
        self.store  # noqa: B018 (opened again if it was closed)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<door43fast.compat.diskcache.Cache {self._directory!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._directory, self._timeout, self._plan)


def _reopen(directory: str, timeout: float, plan: dict[str, Any]) -> Cache:
    return Cache(directory, timeout, **plan)


def _content(file: Any) -> bytes:
    """All that is in a file open for reading in binary mode."""
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"read=True takes a file open in binary mode, whose read() gives bytes, not "
                        f"{type(data).__name__}: open it with mode 'rb'")
    return data

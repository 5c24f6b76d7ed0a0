"""The store on disk: LMDB underneath, every value with a checksum."""

from __future__ import annotations

from typing import Any

from door43fast.claims import Claim, claim_by, name_hash
from door43fast.following import flush
from door43fast.native.lmdb import LmdbEngine
from door43fast.native.upkeep import compact
from door43fast.surface import StoreSurface


class LmdbStore(StoreSurface, LmdbEngine):
    """A store in a directory, over LMDB.

    Many threads and many processes may have the same directory open. Two stores on one directory within a process
    share its files. A store may be used after ``fork``: the child opens the files anew by itself.

    Parameters
    ----------
    path : str or os.PathLike
        The directory; it is created unless ``create=False``.
    keys : {"str", "bytes", "int", "any"}
        The type of the keys; fixed when the store is created. A key has up to 65,535 bytes, and those of more than
        511 cost more: see docs/long-keys.md.
    codec : str or Codec
        How values become bytes: ``"auto"``, ``"raw"``, ``"json"``, ``"msgpack"``, ``"numpy"``, ``"pickle"``.
    compression : {None, "zstd"}
        Compress values where it makes them smaller, with the dictionaries of ``train``. Stores without it read them
        too.
    durability : {"commit", "batch", "none"}
        What survives; see docs/durability.md.
    sync_interval : float
        Seconds between two syncs under ``"batch"``.
    readonly : bool
        Refuse every write with ``ReadOnlyError``.
    map_size : int, optional
        Bytes of address space to start with; it grows by itself. 1 TiB, or less under a limit, if not given.
    index_bytes : int
        Bound of the index in memory that finds records in the map; 0 for none. See docs/lmdb-reads.md.
    ttl : float or timedelta, optional
        Time to live of values that are set without one.
    clock : door43fast.native.clock.Clock, optional
        The clock of deadlines; the wall clock if not given.
    create : bool
        Create the store where there is none.
    journal : bool or dict, optional
        Keep an ordered log of the changes beside the data, for ``changes(since)``; see docs/changes.md. True gives the
        store a journal of up to 64 MiB and a week; ``{"max_bytes": bytes, "max_age": seconds}`` sets its bounds,
        None in it for no bound. It is a property of the store: whoever opens it later, with None, keeps it too.
        False refuses a store that has one.
    on_damage : {"raise", "set_aside"}
        What happens where the files are found damaged at opening. ``"raise"``: ``CorruptError``, and they stay.
        ``"set_aside"``, for a cache: they are moved into a directory ``<path>.damaged-<time>`` beside it, a
        ``RuntimeWarning`` names it, and an empty store takes their place; never while another process has them open.
        What is found damaged later is raised by whoever reads it. See docs/care.md.
    max_bytes : int, optional
        The most that the file may take; records are evicted to stay within it. It is a property of the store, which
        whoever opens it later with None keeps; another number is the new budget. See docs/budget.md.
    policy : {"clock", "fifo", "none"}, optional
        What is evicted: what came first and was not read since, what came first, or nothing; ``"clock"`` if not given.

    Raises
    ------
    ConfigError
        If an option is unknown, out of range, or differs from that of a store that has the directory open.
    FormatError
        If the files are not door43fast's, or of a newer version; they are left untouched.
    CorruptError
        If the files are damaged.

    Examples
    --------
    >>> import tempfile
    >>> from door43fast.lmdb import LmdbStore
    >>> with LmdbStore(tempfile.mkdtemp()) as store:
    ...     store["TIT 1:1"] = {"text": "Paul, a servant of God"}
    ...     store["TIT 1:1"]["text"]
    'Paul, a servant of God'
    """

    __slots__ = ()

    def flush(self) -> None:
        """Sync everything, and return when every listener has had what happened before this call."""
        super().flush()
        flush(self)

    def _claim(self, flight: Any, name: Any, deadline: float) -> Claim | None:
        """What keeps other processes from computing the same key."""
        return claim_by(self._marks, name_hash(name), flight, deadline)

    def _shared_marks(self) -> Any:
        return self._marks

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}, {'closed' if self.closed else 'open'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (type(self), self.path, self._plan)


def _reopen(kind: type[LmdbStore], path: str, options: dict[str, Any]) -> LmdbStore:
    """Open a store by its plan: what unpickling does, also in a spawned worker."""
    return kind(path, **options)

"""The memory store: any object under any hashable key, in this process."""

from __future__ import annotations

from door43fast.native.memory import MemoryEngine
from door43fast.surface import StoreSurface


class MemoryStore(StoreSurface, MemoryEngine):
    """A store in memory that holds any object under any hashable key.

    Parameters
    ----------
    max_entries : int, optional
        The most entries that it holds; beyond it one makes room for another, by ``policy``.
    max_bytes : int, optional
        The most bytes that keys, values and bookkeeping may hold. Bytes, str, numbers, arrays, and tuples, lists,
        sets and dicts of these are weighed by what they hold when they are set; other objects need ``weigher``.
    policy : {"lru", "s3fifo", "wtinylfu", "sieve", "adaptive", "none"}
        What makes room: the least recently used entry by default; see ``docs/policies.md`` for the others. With "none"
        nothing does, and a full store raises ``BudgetError``.
    ttl : float or timedelta, optional
        Seconds after which an entry expires, unless ``set`` says otherwise.
    idle : float or timedelta, optional
        Seconds without a ``get`` after which an entry expires. Entries set with a ``ttl`` of their own do not slide.
    weigher : callable, optional
        ``weigher(key, value)`` gives the whole weight of an entry in bytes. Needs ``max_bytes``.
    clock : door43fast.native.clock.Clock, optional
        Where the time comes from; the monotonic clock by default. Deadlines have a resolution of 8.4 ms (on top of
        the clock's own, 4 ms as a rule) and never come early.

    Raises
    ------
    ConfigError
        An option is unknown or out of range.

    Examples
    --------
    >>> store = MemoryStore(max_entries=1000)
    >>> store["a"] = {"any": "object"}
    >>> store.get("a")
    {'any': 'object'}
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol):
        raise TypeError("a MemoryStore cannot be pickled: the copy would be empty, which is silent loss; "
                        "share a directory with door43fast.open(path) instead")

"""Which tags an entry carries, where a store can tell."""

from __future__ import annotations

from typing import Any


def tags_of(store: Any, key: Any) -> tuple[str, ...] | None:
    """The tags of the entry under ``key``, None if they cannot be told.

    A store over records keeps their names. A store on disk keeps hashes of them, and can tell only that there are none.
    Of a cascade and a guard the store underneath knows; over a buffer it may lack what is not flushed yet, and of
    several layers each may owe the key.
    """
    if not store.capabilities.tags:
        return ()
    while hasattr(store, "slow"):
        if hasattr(store, "dirty"):
            return None
        store = store.slow
    if hasattr(store, "_read_whole"):
        return () if store._read_whole(key)[4] is None else None
    if hasattr(store, "_fetch") and hasattr(store, "_key"):
        record = store._fetch((store._key(key),))[0]
        return () if record is None else tuple(tag for tag, _ in record.tags)
    return None

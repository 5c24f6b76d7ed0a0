"""Which tags entries carry: what is asked of a store whose entries are copied, so that their tags go with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def tags_of(store: Any, keys: Sequence[Any]) -> list[tuple[str, ...] | None]:
    """For each of ``keys`` the tags of its entry, () where it has none or is not there, None if they cannot be told.

    Every store of ours that takes tags tells them, by its method ``_tags_of(keys)``. What cannot be told is of records
    that LMDB has from before their frames held the names of tags, of stores of others that have no such method, and of
    those that only event loops can use.
    """
    if not store.capabilities.tags:
        return [()] * len(keys)
    if not hasattr(store, "_tags_of") or getattr(store, "asynchronous", False):
        return [None] * len(keys)
    return store._tags_of(keys)

from collections.abc import Iterable
from typing import Any

from door43fast.contracts import Items, Seconds
from door43fast.native.lmdb_changes import ChangeEngine

class Batch:
    """The keys of one batch call, sorted and held in C memory."""

class BatchEngine(ChangeEngine):
    """What a store on disk does to many keys in one transaction."""

    def get_many(self, keys: Iterable[Any], default: Any = None) -> list[Any]: ...
    def contains_many(self, keys: Iterable[Any]) -> list[bool]: ...
    def set_many(self, items: Items, *, ttl: Seconds | None = None) -> None: ...
    def delete_many(self, keys: Iterable[Any]) -> int: ...

from collections.abc import Iterator
from typing import Any

from door43fast.native.lmdb_batches import BatchEngine

class Bounds:
    """The first key of a range and the one beyond its last."""

class RangeEngine(BatchEngine):
    """What a store on disk does to a range of keys."""

    def scan(self, prefix: Any = "", *, start: Any = None, stop: Any = None, reverse: bool = False,
             limit: int | None = None) -> Iterator[tuple[Any, Any]]: ...
    def keys(self, prefix: Any = "") -> Iterator[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def count(self, prefix: Any = "") -> int: ...
    def clear(self, prefix: Any = "") -> None: ...

from collections.abc import Iterable, Iterator
from typing import Any

from door43fast.native.lmdb_training import TrainingEngine

class Snapshot:
    """One consistent view of a store on disk, for a transaction."""

    def read(self, key: Any) -> tuple[bytes, Any]: ...
    def scan(self, prefix: Any = "", start: Any = None, stop: Any = None,
             reverse: bool = False) -> Iterator[tuple[Any, bytes, Any]]: ...
    def close(self) -> None: ...

class Commit:
    """The checks and writes of one transaction, held in C memory."""

    def __new__(cls) -> Commit: ...

class TransactionEngine(TrainingEngine):
    """What a store on disk does for transactions."""

    def _snapshot(self) -> Snapshot: ...
    def _commit(self, reads: dict[Any, Any], writes: dict[Any, Any],
                ranges: Iterable[tuple[Any, Any, Any, Any]] = ()) -> None: ...

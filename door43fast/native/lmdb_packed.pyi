from collections.abc import Iterable, Iterator
from typing import Any

from door43fast.native.lmdb_care import CareEngine
from door43fast.native.packed import Packed

class PackedEngine(CareEngine):
    """Batches of a store on disk, packed: no Python object for each record."""

    def get_packed(self, keys: Iterable[Any], *, out: Any = None) -> Packed: ...
    def set_packed(self, keys: Iterable[Any], data: Any, offsets: Any) -> None: ...
    def scan_packed(self, prefix: Any = "", chunk: int = 65536) -> Iterator[tuple[Packed, Packed]]: ...

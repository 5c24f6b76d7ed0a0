import weakref
from typing import Any

from door43fast.native.lmdb_reads import ReadEngine

class RoomEngine(ReadEngine):
    """What a store on disk does to keep its budget."""

    def _stand_below(self, cascade: weakref.ref[Any]) -> None: ...

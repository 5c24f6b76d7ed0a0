from collections.abc import Iterable
from typing import Any

from door43fast.native.lmdb_groups import GroupEngine

class ChangeEngine(GroupEngine):
    """One change of one record; its other methods are called from native code alone."""

    def _tags_of(self, keys: Iterable[Any]) -> list[tuple[str, ...] | None]: ...

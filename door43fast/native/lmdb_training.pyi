from collections.abc import Iterable
from typing import Any

from door43fast.native.lmdb_packed import PackedEngine

class TrainingEngine(PackedEngine):
    """What a store on disk learns from its values: dictionaries for compression."""

    def train(self, prefix: Any = "", *, samples: Iterable[Any] | None = None,
              size: int = 262144) -> dict[str, Any]: ...

from typing import Any

from door43fast.native.lmdb_streams import StreamEngine

class BudgetEngine(StreamEngine):
    """What a store on disk does with its budget."""

    def _keep_budget(self, limit: int | None, policy: str | None) -> None: ...
    def _budget(self) -> dict[str, Any] | None: ...

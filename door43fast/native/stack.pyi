from typing import Any, Literal

from door43fast.contracts import Found, Seconds
from door43fast.native.memory import MemoryEngine
from door43fast.native.stack_writes import Publishing

class CascadeEngine(Publishing):
    """A memory store over a slower one, with the methods of a store."""

    def __new__(cls, *args: object, **options: object) -> CascadeEngine: ...
    def __init__(self, fast: MemoryEngine, slow: Any, *, share: bool = False,
                 promote: Literal["always", "second", "never"] = "always",
                 write: Literal["through", "around"] = "through",
                 negative: Seconds | None = None, stale: Seconds | None = None,
                 stale_on_error: Seconds | None = None) -> None: ...
    def get(self, key: Any, default: Any = None) -> Any: ...
    def find(self, key: Any) -> Found | None: ...

from typing import Any

from door43fast.native.memory import MemoryEngine
from door43fast.native.stack_writes import Publishing

class CascadeEngine(Publishing):
    """A memory store over a slower one, with the methods of a store."""

    def __new__(cls, *args: object, **options: object) -> CascadeEngine: ...
    def __init__(self, fast: MemoryEngine, slow: Any, *, share: bool = False) -> None: ...
    def get(self, key: Any, default: Any = None) -> Any: ...

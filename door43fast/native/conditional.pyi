from typing import Any

from door43fast.contracts import Seconds
from door43fast.native.singles import Singles

class Conditional(Singles):
    """Writes of the memory engine that depend on what is there."""

    def add(self, key: Any, value: Any, *, ttl: Seconds | None = None) -> bool: ...
    def replace(self, key: Any, expected: Any, value: Any) -> bool: ...
    def incr(self, key: Any, by: int = 1) -> int: ...

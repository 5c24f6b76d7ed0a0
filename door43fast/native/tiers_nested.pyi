from typing import Any

from door43fast.native.coherence import Coherent
from door43fast.native.tiers import Tier

class NestedTier(Tier):
    """A native cascade: what it answers from memory goes up as what it fetches does, without a call of Python."""

    def __new__(cls, store: Coherent, share: bool) -> NestedTier: ...

def with_deadlines(store: Any, keys: list[Any]) -> list[tuple[Any, float | None]]: ...

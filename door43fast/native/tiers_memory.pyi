from door43fast.native.memory import MemoryEngine
from door43fast.native.tiers import Tier

class MemoryTier(Tier):
    """A memory store."""

    def __new__(cls, store: MemoryEngine, share: bool) -> MemoryTier: ...

from door43fast.native.lmdb import LmdbEngine
from door43fast.native.tiers import Tier

class LmdbTier(Tier):
    """A native store on disk."""

    def __new__(cls, store: LmdbEngine, share: bool) -> LmdbTier: ...

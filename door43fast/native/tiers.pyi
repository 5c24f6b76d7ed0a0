from typing import Any

from door43fast.native.lmdb import LmdbEngine

class Tier:
    """The slow tier of a cascade, as the cascade sees it; called from native code alone."""

    def __new__(cls, store: Any, share: bool) -> Tier: ...
    @property
    def store(self) -> Any: ...

class LmdbTier(Tier):
    """A native store on disk."""

    def __new__(cls, store: LmdbEngine, share: bool) -> LmdbTier: ...

class TellingTier(Tier):
    """A store in Python that tells when others have written, by ``_epoch()``: a number that only grows."""

    def __new__(cls, store: Any, share: bool) -> TellingTier: ...

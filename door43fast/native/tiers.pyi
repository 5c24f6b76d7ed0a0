from typing import Any

class Tier:
    """The slow tier of a cascade, as the cascade sees it; called from native code alone."""

    def __new__(cls, store: Any, share: bool) -> Tier: ...
    @property
    def store(self) -> Any: ...

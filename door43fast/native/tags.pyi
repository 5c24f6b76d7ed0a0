class TagTable:
    """Generations of tags; called from native code alone."""

    def __new__(cls) -> TagTable: ...

import sys

class Span:
    """C memory of a result, as a buffer."""

    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...

def kept() -> int:
    """Bytes of memory of former results that are kept for the next ones."""

"""For backends: the base of what ``store.reader(key)`` gives."""

from door43fast.pieces import PieceReader

__all__ = ["PieceReader"]

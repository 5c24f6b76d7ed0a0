"""The memory store and the cascade in plain Python: slow, short, and obviously right.

They are the oracle of the state-machine tests, and what runs where there is no native wheel.
"""

from door43fast.reference.cascade import CascadeEngine
from door43fast.reference.clock import ManualClock
from door43fast.reference.engine import ReferenceEngine
from door43fast.surface import StoreSurface

__all__ = ["Cascade", "ManualClock", "MemoryStore"]


class MemoryStore(StoreSurface, ReferenceEngine):
    """A store in memory that holds any object under any hashable key; see ``door43fast.MemoryStore``."""


class Cascade(StoreSurface, CascadeEngine):
    """A fast store in front of a slow one; see ``door43fast.cascade``."""

from typing import Any

from door43fast.contracts import RAW as RAW, STR as STR
from door43fast.native.core import Core

class ValueEngine(Core):
    """Keys and values of a store on disk: to bytes and back; its methods are called from native code alone."""

    @property
    def plan(self) -> dict[str, Any]: ...

from typing import Any

from door43fast.contracts import RAW as RAW, STR as STR
from door43fast.native.core import Core

class RecordEngine(Core):
    """One record of a store on disk; its methods are called from native code alone."""

    @property
    def plan(self) -> dict[str, Any]: ...

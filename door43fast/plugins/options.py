"""The options that every backend written in Python has."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from door43fast.config import Duration, Options


class BackendOptions(Options, kw_only=True):
    """Inherited by the options of a backend."""

    codec: Annotated[Any, Meta(description="How values become bytes: `auto`, `raw`, `json`, `msgpack`, `numpy`, "
                                           "`pickle`, or a codec object.")] = "auto"
    ttl: Annotated[Duration | None, Meta(description="Time to live of values that are set without one.")] = None
    clock: Annotated[Any, Meta(description="The clock of deadlines, with `seconds`; the wall clock if not given.",
                               extra={"textual": False})] = None

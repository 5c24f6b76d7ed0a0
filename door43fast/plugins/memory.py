"""The memory store as a plugin: ``memory:`` and ``{"type": "memory"}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.config import Duration, Options, Size, given

Policy = Literal["lru", "s3fifo", "wtinylfu", "sieve", "adaptive", "none"]


class MemoryOptions(Options, kw_only=True):
    """The options of ``MemoryStore``."""

    max_entries: Annotated[int | None, Meta(description="The most entries that it holds.")] = None
    max_bytes: Annotated[Size | None, Meta(description="The most bytes that it holds.")] = None
    policy: Annotated[Policy, Meta(description="What makes room: see policies.md.")] = "lru"
    ttl: Annotated[Duration | None, Meta(description="Time to live of entries set without one.")] = None
    idle: Annotated[Duration | None, Meta(description="Time without a `get` after which an entry expires.")] = None
    weigher: Annotated[Any, Meta(description="`weigher(key, value)` gives the bytes of an entry.",
                                 extra={"textual": False})] = None
    clock: Annotated[Any, Meta(description="Where the time comes from; the monotonic clock if not given.",
                               extra={"textual": False})] = None


class MemoryPlugin:
    """Opens a ``MemoryStore``."""

    Options = MemoryOptions

    @staticmethod
    def open(options: MemoryOptions) -> Any:
        from door43fast.memory import MemoryStore

        return MemoryStore(**given(options))

"""The LMDB store as a plugin: ``lmdb:///path`` and ``{"type": "lmdb"}``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from door43fast.config import Duration, Location, Options, Size, given

Keys = Literal["str", "bytes", "int", "any"]


class LmdbOptions(Options, kw_only=True):
    """The options of ``LmdbStore``."""

    path: Annotated[Location, Meta(description="The directory.")]
    keys: Annotated[Keys, Meta(description="The type of the keys; fixed when the store is created.")] = "str"
    codec: Annotated[Any, Meta(description="How values become bytes: `auto`, `raw`, `json`, `msgpack`, `numpy`, "
                                           "`pickle`, or a codec object.")] = "auto"
    compression: Annotated[Literal["zstd"] | None, Meta(description="See compression.md.")] = None
    durability: Annotated[Literal["commit", "batch", "none"], Meta(description="See durability.md.")] = "commit"
    sync_interval: Annotated[Duration, Meta(description="Time between two syncs under `batch`.")] = 0.1
    readonly: Annotated[bool, Meta(description="Refuse every write.")] = False
    map_size: Annotated[Size | None, Meta(description="Address space to start with.")] = None
    index_bytes: Annotated[Size, Meta(description="Bound of the index in memory: see lmdb-reads.md.")] = 268435456
    ttl: Annotated[Duration | None, Meta(description="Time to live of values set without one.")] = None
    clock: Annotated[Any, Meta(description="The clock of deadlines; the wall clock if not given.",
                               extra={"textual": False})] = None
    create: Annotated[bool, Meta(description="Create the store where there is none.")] = True
    journal: Annotated[bool | dict[str, Any] | None, Meta(description="Keep a log of changes: see changes.md.")] = None
    on_damage: Annotated[Literal["raise", "set_aside"], Meta(description="What happens at opening where the files are "
                                                                         "damaged: see care.md.")] = "raise"
    max_bytes: Annotated[Size | None, Meta(description="The most that the file may take: see budget.md.")] = None
    policy: Annotated[Literal["clock", "fifo", "none"] | None, Meta(
        description="What makes room within `max_bytes`; `clock` by default.")] = None


class LmdbPlugin:
    """Opens a ``LmdbStore``."""

    Options = LmdbOptions

    @staticmethod
    def open(options: LmdbOptions) -> Any:
        from door43fast.lmdb import LmdbStore

        return LmdbStore(**given(options))

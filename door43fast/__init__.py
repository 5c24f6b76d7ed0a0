"""door43fast: an embedded, tiered storage engine, and the Door43 resource cache on top.

The names below are handed out on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from door43fast.deferred import handing_on

__version__ = "0.1.0"

_HOMES = {
    "open": "assembly",
    "MemoryStore": "memory",
    "LmdbStore": "lmdb",
    "Cascade": "layers",
    "cascade": "layers",
    "Replicated": "replication",
    "replicated": "replication",
    "Guard": "layers",
    "Parallel": "layers",
    "parallel": "layers",
    "PrimaryFallback": "layers",
    "ReadThrough": "layers",
    "primary_fallback": "layers",
    "Namespace": "namespaces",
    "namespace": "namespaces",
    "Packed": "native.packed",
    "Capabilities": "contracts",
    "Event": "contracts",
    "Error": "errors",
    "BackendUnavailableError": "errors",
    "BudgetError": "errors",
    "ClosedError": "errors",
    "ConfigError": "errors",
    "ConflictError": "errors",
    "CorruptError": "errors",
    "DeadlockError": "errors",
    "FencedError": "errors",
    "FormatError": "errors",
    "KeyTooLongError": "errors",
    "LostEventsError": "errors",
    "MapFullError": "errors",
    "PartialWriteError": "errors",
    "PrunedError": "errors",
    "QuotaError": "errors",
    "RateError": "errors",
    "ReadOnlyError": "errors",
    "ReplicationError": "errors",
    "UnsupportedError": "errors",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from door43fast.assembly import open
    from door43fast.contracts import Capabilities, Event
    from door43fast.errors import (
        BackendUnavailableError,
        BudgetError,
        ClosedError,
        ConfigError,
        ConflictError,
        CorruptError,
        DeadlockError,
        Error,
        FencedError,
        FormatError,
        KeyTooLongError,
        LostEventsError,
        MapFullError,
        PartialWriteError,
        PrunedError,
        QuotaError,
        RateError,
        ReadOnlyError,
        ReplicationError,
        UnsupportedError,
    )
    from door43fast.layers import (
        Cascade,
        Guard,
        Parallel,
        PrimaryFallback,
        ReadThrough,
        cascade,
        parallel,
        primary_fallback,
    )
    from door43fast.lmdb import LmdbStore
    from door43fast.memory import MemoryStore
    from door43fast.namespaces import Namespace, namespace
    from door43fast.native.packed import Packed
    from door43fast.replication import Replicated, replicated

__getattr__ = handing_on(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

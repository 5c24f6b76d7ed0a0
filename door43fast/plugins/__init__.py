"""Backends by name: the registry, and what the author of a backend inherits.

This is the whole public contract of a plugin, and our own use nothing else: see docs/plugins.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from door43fast.deferred import handing_on

_HOMES = {
    "Registry": "roster",
    "registry": "roster",
    "Backend": "backend",
    "AsyncBackend": "asynchronous",
    "AsyncRecords": "awaiting",
    "RecordStore": "records",
    "PieceReader": ".pieces",
    "Record": "record",
    "TAIL": "record",
    "outline": "record",
    "pack": "record",
    "unpack": "record",
    "BackendOptions": "options",
    "lock_alone": "disk",
    "sync_path": "disk",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from door43fast.pieces import PieceReader
    from door43fast.plugins.asynchronous import AsyncBackend
    from door43fast.plugins.awaiting import AsyncRecords
    from door43fast.plugins.backend import Backend
    from door43fast.plugins.disk import lock_alone, sync_path
    from door43fast.plugins.options import BackendOptions
    from door43fast.plugins.record import TAIL, Record, outline, pack, unpack
    from door43fast.plugins.records import RecordStore
    from door43fast.plugins.roster import Registry, registry

__getattr__ = handing_on(__name__, _HOMES)

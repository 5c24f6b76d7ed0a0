"""The methods of a store as coroutines: what ``store.aio`` gives."""

from __future__ import annotations

from door43fast.aio.surface import AsyncSurface

__all__ = ["AsyncSurface"]

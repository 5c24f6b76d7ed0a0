"""The AsyncStorage backend: ``asyncstorage:///RKStorage`` and ``{"type": "asyncstorage", "path": "RKStorage"}``."""

from door43fast.plugins.asyncstorage.store import AsyncStorageOptions, AsyncStorageStore

__all__ = ["AsyncStorageOptions", "AsyncStorageStore"]

"""The SQLite backend: ``sqlite:///file.db`` and ``{"type": "sqlite", "path": "file.db"}``."""

from door43fast.plugins.sqlite.store import SqliteOptions, SqliteStore

__all__ = ["SqliteOptions", "SqliteStore"]

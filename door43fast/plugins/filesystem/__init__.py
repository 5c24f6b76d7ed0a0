"""The file-system backend: ``file:///folder`` and ``{"type": "filesystem", "path": "folder"}``."""

from door43fast.plugins.filesystem.store import FilesystemOptions, FilesystemStore

__all__ = ["FilesystemOptions", "FilesystemStore"]

"""The HTTP backend, which reads: ``https://host/folder`` and ``{"type": "http", "url": "https://host/folder"}``."""

from door43fast.plugins.http.options import HttpOptions
from door43fast.plugins.http.store import HttpStore

__all__ = ["HttpOptions", "HttpStore"]

"""The Redis backend: ``redis://host:6379/0``, ``rediss://`` with TLS, ``redis+cluster://`` for a cluster."""

from door43fast.plugins.redis.options import RedisOptions
from door43fast.plugins.redis.store import RedisStore

__all__ = ["RedisOptions", "RedisStore"]

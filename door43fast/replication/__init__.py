"""Replication: one store kept in several, which follow the log of the one that decides. See docs/replication.md."""

from door43fast.replication.store import Replicated, replicated

__all__ = ["Replicated", "replicated"]

"""Replication: one store kept in several, which follow the log of the one that decides. See docs/replication.md."""

from door43fast.replication.comparing import Comparison
from door43fast.replication.promotion import promote
from door43fast.replication.session import Session
from door43fast.replication.store import Replicated, replicated

__all__ = ["Comparison", "Replicated", "Session", "promote", "replicated"]

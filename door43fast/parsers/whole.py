"""Files that are one record each: Markdown, YAML, JSON and anything else."""

from __future__ import annotations


def split(data: bytes) -> list[tuple[str, bytes]]:
    """The whole file as its one piece, at the place ``""``."""
    return [("", data)]

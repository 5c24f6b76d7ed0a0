"""``door43fast recommend``."""

from door43fast.cli.host import advise as command

__all__ = ["command"]

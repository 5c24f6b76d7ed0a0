"""The options of each strategy, beside its layers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from door43fast.config import Options


class CascadeOptions(Options, kw_only=True):
    """Memory over slower layers: reads promote, writes and deletes begin at the slowest."""

    share: Annotated[bool, Meta(description="Hand out the same list, dict or array to every caller.")] = False

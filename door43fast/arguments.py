"""The reading of arguments that several methods take: time spans, tags, items."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from door43fast.contracts import Items

LONGEST = 3e9  # seconds; what the native clocks can add to the time of this century


def span(seconds: object, what: str) -> float:
    """Seconds of a span given as a number or a timedelta; negative, NaN and endless ones are refused."""
    if isinstance(seconds, timedelta):
        value = seconds.total_seconds()
    elif isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        value = float(seconds)
    else:
        raise TypeError(f"{what} is seconds (a number) or a timedelta, not {type(seconds).__name__}")
    if math.isnan(value) or not 0 <= value <= LONGEST:
        raise ValueError(f"{what}={seconds!r} is out of range: give seconds from 0 to {LONGEST:.0f}, "
                         "or None for no expiry")
    return value


def tag_names(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags of a call, each once; a bare str is refused, since it would be taken letter by letter."""
    if type(tags) is tuple and not tags:
        return ()
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r} is one str: give a list or tuple of tags, such as tags=({tags!r},)")
    names = tuple(dict.fromkeys(tags))
    for tag in names:
        if not isinstance(tag, str):
            raise TypeError(f"a tag is a str, not {type(tag).__name__}: {tag!r}")
    return names


def pairs(items: Items) -> list[tuple[Any, Any]]:
    """The pairs of a mapping or an iterable, taken whole."""
    if hasattr(items, "keys"):
        return [(key, items[key]) for key in items.keys()]   # type: ignore[index]
    taken = []
    for pair in items:
        try:
            key, value = pair
        except (TypeError, ValueError):
            raise TypeError(f"set_many takes a mapping or pairs (key, value), not {pair!r}") from None
        taken.append((key, value))
    return taken

"""The keys that somebody may have meant who asked for one that is not there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from door43fast.resources.keys import RESERVED

MOST_CHILDREN = 500
_BEHIND_SLASH = chr(ord("/") + 1)


def _children(store: Any, prefix: str) -> list[str]:
    """The next segments below a prefix, with their slash where more follows: one seek each, however many lie below."""
    found: list[str] = []
    start = prefix
    while len(found) < MOST_CHILDREN:
        record = next(iter(store.scan(prefix, start=start or None, limit=1)), None)
        if record is None:
            break
        segment, slash, _ = record[0][len(prefix) :].partition("/")
        start = prefix + segment + (_BEHIND_SLASH if slash else "\0")
        if prefix or not segment.startswith(RESERVED):
            found.append(segment + slash)
    return found


def _closest(wanted: str, children: list[str], most: int) -> list[str]:
    begun = [child for child in children if wanted and child.startswith(wanted)]
    return begun[:most] or get_close_matches(wanted, children, most, 0.0)


def keys(store: Any, wanted: str, most: int = 3) -> list[str]:
    """The keys, or beginnings of keys, that come nearest: the right segments as far as they go, then the closest."""
    prefix = ""
    rest = wanted
    while True:
        segment, slash, rest = rest.partition("/")
        children = _children(store, prefix)
        if segment + slash in children and rest:
            prefix += segment + slash
            continue
        near = _closest(segment + slash, children, most)
        if not rest or not near:
            return [prefix + child for child in near]
        prefix += near[0]
        if not near[0].endswith("/"):
            return [prefix]


def sentence(store: Any, wanted: str, what: str) -> str:
    """What to say of a key that is not there."""
    if store.plan["keys"] != "str":
        return f"there is no {what} {wanted}; door43fast ls lists them"
    near = keys(store, wanted)
    return f"there is no {what} {wanted!r}" + (
        f": did you mean {' or '.join(near)}?" if near else "; the store is empty"
    )

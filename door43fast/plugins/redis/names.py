"""What things are called in Redis: ``namespace:key`` for a record, ``namespace:`` NUL ``tag:`` for a tag, and
``namespace:`` NUL ``flight:key`` for the claim of whoever computes a key.

A namespace holds no colon, so that none is the beginning of another. A record's name never begins with one NUL (see
``name_of`` in backend.py), so that no key is a tag's name.
"""

from __future__ import annotations

import random
import re

PAGE = 1000         # names that the server is to look at for each page of a scan
TAG = b"\0tag:"
FLIGHT = "\0flight:"
SPECIAL = re.compile(rb"([*?\[\]\\^])")

_source = random.SystemRandom()


class Names:
    """The names under one namespace."""

    def __init__(self, namespace: str) -> None:
        self.prefix = f"{namespace}:".encode()

    def record(self, name: str) -> bytes:
        return self.prefix + name.encode()

    def tag(self, tag: str) -> bytes:
        return self.prefix + TAG + tag.encode("utf-8", "surrogatepass")

    def flight(self, key: str) -> bytes:
        return self.record(FLIGHT + key)

    def name(self, there: bytes) -> str:
        """The name of a record or of a tag, as text."""
        return there[len(self.prefix):].decode("utf-8", "surrogatepass")

    def keys(self, changed: list[bytes]) -> list[str] | None:
        """The keys of records with these names; None if a tag is among them."""
        found = []
        for there in changed:
            name = there[len(self.prefix):]
            if name.startswith(TAG):
                return None
            if name.startswith(FLIGHT.encode()):
                continue
            try:
                found.append((name[1:] if name.startswith(b"\0") else name).decode())
            except UnicodeDecodeError:      # no name of ours, and so no key
                continue
        return found

    def pattern(self, prefix: str) -> bytes:
        """The glob of all names that begin with ``prefix``."""
        return SPECIAL.sub(rb"\\\1", self.record(prefix)) + b"*"


def generation() -> bytes:
    """A generation of a tag, unlike all others; never 0."""
    return b"%d" % (_source.getrandbits(62) + 1)

"""Where the keys of a namespace lie in the store underneath.

Four regions for each namespace, each a prefix: its book, its records, the order in which they came, the generations of
its tags. A prefix is NUL, a sign, and then the name and a NUL. A name holds no control character, so the first NUL
behind the sign ends it: no prefix begins another, whatever the names are, and what follows is the key as it is, in its
own order. The book has nothing behind its name.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from door43fast.errors import ConfigError

BOOKS, ROWS, ORDER, TAGS = "\0@", "\0=", "\0<", "\0#"
LONGEST = 128       # characters of a name


def checked_name(name: Any) -> str:
    """The name, if it can be one."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a namespace is a str, not {type(name).__name__}")
    if not 0 < len(name) <= LONGEST:
        raise ConfigError(f"a namespace needs a name of 1 to {LONGEST} characters, and {name[:20]!r} has {len(name)}")
    for letter in name:
        if unicodedata.category(letter) in ("Cc", "Cs"):
            raise ConfigError(f"the name {name!r} of a namespace holds {letter!r}: control characters and lone "
                              "surrogates are not allowed in it, everything else is")
    return str.__str__(name)


class Regions:
    """The keys of one namespace in the store underneath, which are text there, or bytes."""

    def __init__(self, base: Any, name: str) -> None:
        self.in_bytes = takes_bytes(base)
        self.book = self._made(BOOKS + name)
        self.rows, self.order, self.tags = (self._made(f"{sign}{name}\0") for sign in (ROWS, ORDER, TAGS))

    def _made(self, key: str) -> Any:
        return key.encode() if self.in_bytes else key

    def row(self, key: str) -> Any:
        """Where the record of ``key`` is."""
        return self.rows + (key.encode() if self.in_bytes else key)

    def key(self, row: Any) -> str:
        """The key of a record that is at ``row``."""
        key = row[len(self.rows):]
        return key.decode() if self.in_bytes else key

    def turn(self, seq: int) -> Any:
        """Where it stands which key came as number ``seq``."""
        return self.order + self._made(f"{seq:016x}")

    def tag(self, tag: str) -> Any:
        """Where the generation of ``tag`` is."""
        try:
            made = tag.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the tag {tag!r} holds a lone surrogate, which UTF-8 cannot store, and so no namespace: "
                             "decode its source with the right encoding") from None
        return self.tags + (made if self.in_bytes else tag)

    def tag_weight(self, at: Any) -> int:
        """Bytes that a generation, which is at ``at``, counts."""
        name = at[len(self.tags):]
        return 8 + len(name if self.in_bytes else name.encode())


def takes_bytes(base: Any) -> bool:
    """Whether the keys of a store are bytes; ConfigError if they are neither text nor bytes."""
    for key in (BOOKS, BOOKS.encode()):
        try:
            key in base     # noqa: B015 - it is asked for what it takes
        except TypeError:
            continue
        return isinstance(key, bytes)
    raise ConfigError(f"{base!r} has keys that are neither text nor bytes, so namespaces have no place in it: open it "
                      "with keys='str', 'bytes' or 'any'")


def books_of(base: Any) -> Any:
    """The prefix under which the books of all namespaces are, and what it takes to read a name out of a key."""
    return BOOKS.encode() if takes_bytes(base) else BOOKS

"""The grammar of resource keys: written and read here only; docs/keys.md explains it."""

from __future__ import annotations

import re
from typing import NamedTuple

# What the importer keeps for itself stands under "~", which no owner's name starts with.
RESERVED = "~"
REPOSITORIES = "~repo/"
PASSAGES = "~at/"
ORDERS = "~order/"

# USFM and TSV files of no known book are still cut into pieces; they read behind the books.
NO_BOOK = "C0-UNK"

_PLACED = re.compile(
    r"(?P<section>[0-9A-C][0-9]-[0-9A-Z]{3})/(?P<place>(?P<chapter>[0-9]{3})/(?P<verse>[^/#]+)(?:/(?P<row>[^/#]+))?)#"
)


class Name(NamedTuple):
    """Which repository in which version: the first two segments of each of its keys."""

    owner: str
    repository: str
    version: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.repository}@{self.version}"


class Key(NamedTuple):
    """A key taken apart. ``section`` and ``place`` are empty for a record that is a whole file."""

    name: Name
    section: str
    place: str
    path: bytes


def quote(raw: bytes) -> str:
    """A file's path for use in a key: ``%``, ``#``, control bytes and what is not UTF-8 as ``%XX``, else as is."""
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable() and "%" not in text and "#" not in text:
        return text
    return "".join(
        character
        if character.isprintable() and character not in "%#"
        else "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
        for character in text
    )


def unquote(text: str) -> bytes:
    """The path that `quote` was given."""
    parts = text.encode("utf-8").split(b"%")
    return parts[0] + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in parts[1:])


def quote_name(text: str) -> str:
    """An owner's, a repository's or a version's name for use in a key: no ``/ @ # %``, no blanks, no leading ``~``."""
    kept = re.sub(r"\s+", "-", re.sub(r"[®™©]", "", text).strip())
    kept = "".join(character for character in kept if character.isprintable() and character not in "/@#%\\")
    return kept.lstrip(RESERVED + ".") or "unnamed"


def name_of(text: str) -> Name | None:
    """``owner/repository@version`` taken apart, or None if it is not that."""
    match = re.fullmatch(r"([^/@#%]+)/([^/@#%]+)@([^/@#%]+)", text)
    if match is None or any(quote_name(part) != part for part in match.groups()):
        return None
    return Name(*match.groups())


def piece(name: Name | str, section: str, place: str, path: bytes) -> str:
    """The key of one piece of a file, or of a whole file if ``place`` is empty."""
    return f"{name}/{section}/{place}#{quote(path)}" if place else f"{name}/{quote(path)}"


def parse(key: str) -> Key | None:
    """A content key taken apart; None if it is not one (a key of the importer's own, or somebody else's)."""
    owner, _, rest = key.partition("/")
    name = name_of(f"{owner}/{rest.partition('/')[0]}")
    rest = rest.partition("/")[2]
    if name is None or not rest or key.startswith(RESERVED):
        return None
    match = _PLACED.match(rest)
    if match is None:
        return None if "#" in rest else Key(name, "", "", unquote(rest))
    return Key(name, match["section"], match["place"], unquote(rest[match.end() :]))

"""USFM cut into verses without changing a byte.

A piece starts at its ``\\v`` or ``\\c`` marker and ends where the next one starts. So a paragraph marker that stands
before a verse is the end of the piece before it; what stands before the first verse of a chapter is the chapter's head
(verse 000), and what stands before the first chapter the book's head (``000/000``).
"""

from __future__ import annotations

import re

_VERSE = rb"[0-9]{1,3}[a-z]?"
# Between the numbers of a bridge, right-to-left texts have an invisible mark (U+200B to U+200F).
_MARK = rb"(?:\xe2\x80[\x8b-\x8f])?"
_TOKEN = re.compile(
    rb"\\(?:v[ \t\r\n]+(" + _VERSE + rb"(?:" + _MARK + rb"(?:[-,]|\xe2\x80\x93)" + _MARK + _VERSE + rb")*)"
    rb"|c[ \t\r\n]+([0-9]{1,3}))(?![0-9A-Za-z])"
)
_ID = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*\\id[ \t]+([0-9A-Za-z]{3})(?![0-9A-Za-z])")
_PART = re.compile(rb"([0-9]+)([a-z]?)")
_BRIDGE = re.compile(rb"[0-9]+[a-z]?|,|[-\x93]")


def book_of(data: bytes) -> str | None:
    """The code that the ``\\id`` marker names, in capitals, or None."""
    match = _ID.match(data)
    return match[1].decode().upper() if match else None


def _in_attribute(data: bytes, at: int) -> bool:
    """Whether ``at`` stands between the quotes of an attribute; attributes end with their line at the latest."""
    bar = data.rfind(b"|", data.rfind(b"\n", 0, at) + 1, at)
    return bar >= 0 and data.count(b'"', bar, at) % 2 == 1


def _designation(token: bytes) -> str:
    """``2-3`` as ``002-003``: zero-padded, so that bytes sort as numbers do."""
    if token.isdigit():
        return f"{int(token):03}"
    text = ""
    for part in _BRIDGE.findall(token):
        match = _PART.match(part)
        text += f"{int(match[1]):03}{match[2].decode()}" if match else ("," if part == b"," else "-")
    return text


def split(data: bytes) -> list[tuple[str, bytes]]:
    """Cut a USFM file into the heads of the book and its chapters, and its verses.

    Parameters
    ----------
    data : bytes
        A USFM file, whatever its line ends, with or without a byte order mark.

    Returns
    -------
    list of (str, bytes)
        Places such as ``000/000``, ``001/000``, ``001/001``, ``001/002-003`` and ``001/004a``, and pieces that give
        ``data`` when joined. A place that occurs again has ``~2``, ``~3``, ... behind it. Verses before any ``\\c``
        count as chapter 1.
    """
    pieces: list[tuple[str, bytes]] = []
    seen: dict[str, int] = {}
    chapter, place, start = "000", "000/000", 0

    def close(end: int) -> None:
        times = seen[place] = seen.get(place, 0) + 1
        pieces.append((place if times == 1 else f"{place}~{times}", data[start:end]))

    for match in _TOKEN.finditer(data):
        at = match.start()
        if _in_attribute(data, at):
            continue
        # A file that starts with its first marker has no head, unless that would leave it without a piece.
        if at > start:
            close(at)
        start = at
        if match[2] is not None:
            chapter = f"{int(match[2]):03}"
            place = f"{chapter}/000"
        else:
            if chapter == "000":
                chapter = "001"
            place = f"{chapter}/{_designation(match[1])}"
    close(len(data))
    return pieces


def covers(place: str) -> tuple[tuple[int, int, int, int], ...]:
    """The spans that a place of `split` covers: two for ``001/002,004``, one from 2 to 3 for ``001/002-003``."""
    chapter, _, verses = place.partition("/")
    found = []
    for part in verses.partition("~")[0].split(","):
        first, _, last = part.partition("-")
        number = int(first[:3])
        found.append((int(chapter), number, int(chapter), max(number, int(last.rpartition("-")[2][:3] or number))))
    return tuple(found)

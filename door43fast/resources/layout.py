"""One file of a container laid out as records: its book, its pieces, and the verses that each of them covers."""

from __future__ import annotations

import re
from typing import NamedTuple

from door43fast.parsers import books, tsv, usfm, whole
from door43fast.parsers.reference import Span
from door43fast.resources.keys import NO_BOOK

# What a passage calls the records that it finds.
TEXT, NOTE, QUESTION, LINK, ROW, ARTICLE = KINDS = ("text", "note", "question", "link", "row", "article")

_FILE_BOOK = re.compile(r"(?:\A|[-_ ])([1-4]?[A-Za-z]{2,3}|[A-Za-z][A-Za-z0-9]{2})\.(?:usfm|sfm|tsv)\Z", re.ASCII)
# Notes and questions of the older layout are one Markdown file a verse: 1ch/01/10.md, psa/119/intro.md.
_VERSE_FILE = re.compile(r"(?:\A|/)([0-9a-zA-Z]{3})/([0-9]{1,3}|front)/([0-9]{1,3}|intro|front|title)\.(?:md|txt)\Z")


class Piece(NamedTuple):
    """A place within the section (empty for a whole file), the exact bytes, and the spans covered."""

    place: str
    data: bytes
    covers: tuple[Span, ...]


class Layout(NamedTuple):
    """A file as records. ``order`` gives, for each piece in the order of the keys, its position in the file; it is
    None where the keys tell the order by themselves."""

    section: str
    kind: str
    pieces: list[Piece]
    order: list[int] | None


def _book_in_name(path: str) -> str | None:
    match = _FILE_BOOK.search(path)
    return match[1].upper() if match and books.is_book(match[1]) else None


def _section(code: str | None) -> str:
    return books.SECTIONS.get(code or "", NO_BOOK)


def _usfm(data: bytes, listed: str | None, path: str) -> Layout:
    code = usfm.book_of(data)
    if code not in books.SECTIONS:
        code = listed or _book_in_name(path)
    pieces = [Piece(place, piece, usfm.covers(place)) for place, piece in usfm.split(data)]
    places = [piece.place for piece in pieces]
    order = None
    if places != sorted(places):
        order = sorted(range(len(places)), key=places.__getitem__)
    return Layout(_section(code), TEXT, pieces, order)


def _tsv(data: bytes, listed: str | None, path: str) -> Layout | None:
    rows = tsv.rows(data)
    if not rows:
        return None
    names = tsv.columns(data)
    code = listed or _book_in_name(path)
    if code is None and "Book" in names and len(rows) > 1:
        cells = rows[1].data.split(b"\t")
        spoken = cells[names.index("Book")].decode("utf-8", "replace").strip().upper() if len(cells) > 1 else ""
        code = spoken if books.is_book(spoken) else None
    kind = (
        QUESTION
        if "Question" in names
        else LINK
        if "TWLink" in names
        else NOTE
        if "Note" in names or "OccurrenceNote" in names
        else ROW
    )
    return Layout(_section(code), kind, [Piece(*row) for row in rows], None)


def _verse_file(data: bytes, path: str, identifier: str) -> Layout | None:
    match = _VERSE_FILE.search(path)
    if match is None or not books.is_book(match[1]):
        return None
    chapter = 0 if match[2] == "front" else int(match[2])
    verse = int(match[3]) if match[3].isdigit() else 0
    kind = {"tq": QUESTION, "tn": NOTE}.get(identifier, ARTICLE)
    piece = Piece(f"{chapter:03}/{verse:03}", data, ((chapter, verse, chapter, verse),))
    return Layout(_section(match[1].upper()), kind, [piece], None)


def lay_out(path: bytes, data: bytes, listed: dict[bytes, str], identifier: str) -> Layout:
    """Cut a file into records by what it is.

    Parameters
    ----------
    path : bytes
        The file's path below the container's root.
    data : bytes
        Its content.
    listed : dict of bytes to str
        The books that the manifest gives to paths.
    identifier : str
        The resource's identifier, such as ``tq``: it tells questions from notes where one file is one verse.
    """
    text = path.decode("utf-8", "replace")
    suffix = text[-5:].lower()
    found: Layout | None = None
    if suffix.endswith((".usfm", ".sfm")):
        found = _usfm(data, listed.get(path), text)
    elif suffix.endswith(".tsv"):
        found = _tsv(data, listed.get(path), text)
    elif suffix.endswith((".md", ".txt")):
        found = _verse_file(data, text, identifier)
    if found is None:
        found = Layout("", ARTICLE, [Piece(place, piece, ()) for place, piece in whole.split(data)], None)
    return found

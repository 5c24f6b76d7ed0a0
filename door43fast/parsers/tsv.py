"""TSV cut into rows without changing a byte: notes, questions and links in every layout that Door43 has had.

Tabs split and nothing quotes. A line is a row; a cell that holds a raw line break makes two lines, and the second is a
piece of its own that stays with the reference of the first. What the columns mean is read from the header.
"""

from __future__ import annotations

from typing import NamedTuple

from door43fast.parsers.reference import Span, spans

BOM = b"\xef\xbb\xbf"
MOST_ROWS = 999_999


class Row(NamedTuple):
    """One line: its place (``chapter/verse/row:id``), its exact bytes, and the spans that its reference covers."""

    place: str
    data: bytes
    covers: tuple[Span, ...]


def columns(data: bytes) -> list[str]:
    """The names in the header, without a byte order mark; empty if the header has no reference to go by."""
    header = data[:4096].partition(b"\n")[0].removeprefix(BOM).rstrip(b"\r")
    names = [name.strip() for name in header.decode("utf-8", "replace").split("\t")]
    return names if "Reference" in names or {"Chapter", "Verse"} <= set(names) else []


def quote_id(cell: bytes) -> str:
    """A row's id for use in a key: bytes other than letters, digits, ``-`` and ``_`` as ``%XX``, blanks kept so."""
    text = cell.decode("ascii", "replace")
    if text.isalnum() and text.isascii():
        return text
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 or byte in b"-_" else f"%{byte:02X}" for byte in cell
    )


def rows(data: bytes) -> list[Row]:
    """Cut a TSV file into its header (row 0) and its rows; empty if `columns` finds no reference column."""
    names = columns(data)
    lines = data.split(b"\n")
    if not names or len(lines) > MOST_ROWS:
        return []
    tail = lines.pop()
    pieces = [line + b"\n" for line in lines]
    if tail:
        pieces.append(tail)
    one = names.index("Reference") if "Reference" in names else -1
    chapter, verse = (-1, -1) if one >= 0 else (names.index("Chapter"), names.index("Verse"))
    identity = names.index("ID") if "ID" in names else -1
    width = len(names)
    found = [Row("000/000/000000:", pieces[0], ())]
    at = "000/000"
    before: tuple[Span, ...] = ()
    for number in range(1, len(pieces)):
        piece = pieces[number]
        cells = piece.rstrip(b"\r\n").split(b"\t")
        count = len(cells)
        text = b""
        if one >= 0:
            if count > one:
                text = cells[one]
        elif count > verse and count > chapter:
            text = cells[chapter] + b":" + cells[verse]
        covered = spans(text.decode("utf-8", "replace")) if count >= width or b":" in text and count > 1 else ()
        name = ""
        if covered:
            at, before = f"{covered[0][0]:03}/{covered[0][1]:03}", covered
            if 0 <= identity < count:
                name = quote_id(cells[identity])
        elif count >= width:
            before = ()
        elif any(cells):
            # What a raw line break cut off a row stays with that row's reference.
            covered = before
        found.append(Row(f"{at}/{number:06}:{name}", piece, covered))
    return found


def split(data: bytes) -> list[tuple[str, bytes]]:
    """Cut a TSV file into places and pieces that give ``data`` when joined, in the order of the file.

    A file without a known header, or with a million lines, is one piece at the place ``""``.
    """
    return [(row.place, row.data) for row in rows(data)] or [("", data)]

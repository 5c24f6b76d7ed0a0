"""Which records cover which verse: one index record a repository, book and chapter, written at import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from door43fast.parsers.reference import LAST, Span
from door43fast.resources import keys
from door43fast.resources.layout import Layout

_encode = msgspec.json.Encoder().encode

# One file's part of an index record: kind, quoted path, and (first verse, last verse, place) of each piece.
Group = tuple[str, str, list[tuple[int, int, str]]]
_decoder = msgspec.json.Decoder(list[Group])


def key(name: keys.Name | str, section: str, chapter: int) -> str:
    """The key of the index record of one chapter; chapter 0 is what stands before the first."""
    return f"{keys.PASSAGES}{name}/{section}/{chapter:03}"


def decode(data: bytes) -> list[Group]:
    """The groups of an index record."""
    return _decoder.decode(data)


def _chapters(span: Span) -> Iterator[tuple[int, int, int]]:
    """The (chapter, first verse, last verse) that a span touches; what it passes through is covered whole."""
    first, verse, last, end = span
    for chapter in range(first, last + 1):
        # A range that came out of an earlier chapter reads on at verse 1: introductions are asked for by themselves.
        yield chapter, verse if chapter == first or verse == 0 else 1, end if chapter == last else LAST


class Index:
    """Collects what the pieces of one repository cover, and hands it out as records.

    Written once a repository, after all of its files; the records of an import before it are deleted with it.
    """

    def __init__(self) -> None:
        self._chapters: dict[tuple[str, int], dict[tuple[str, str], list[tuple[int, int, str]]]] = {}

    def add(self, path: bytes, layout: Layout) -> None:
        """Take in the pieces of one file."""
        if not layout.section:
            return
        file = (layout.kind, keys.quote(path))
        for piece in layout.pieces:
            for span in piece.covers:
                for chapter, first, last in _chapters(span):
                    files = self._chapters.setdefault((layout.section, chapter), {})
                    files.setdefault(file, []).append((first, last, piece.place))

    def records(self, name: keys.Name) -> Iterator[tuple[str, bytes]]:
        """The index records, in the order of their keys."""
        for section, chapter in sorted(self._chapters):
            files = self._chapters[section, chapter]
            groups: list[Any] = [(kind, path, found) for (kind, path), found in files.items()]
            yield key(name, section, chapter), _encode(groups)

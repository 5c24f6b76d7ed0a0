"""References: from ``2:5-6``, ``42:3,10`` or ``Titus 1:15-2:3`` to spans of verses and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from door43fast.errors import PassageError
from door43fast.parsers import books

# A span is (chapter, verse, chapter, verse), both ends included. Verse 0 is what stands before the first verse
# (headings, introductions); chapter 0 what stands before the first chapter. LAST is beyond every real number.
LAST = 999
Span = tuple[int, int, int, int]

_NUMBER = r"[0-9]{1,3}"
_ITEM = re.compile(
    rf"(?:(?P<chapter>{_NUMBER}|front)\s*:\s*)?(?P<verse>{_NUMBER}[a-z]?|intro|front)"
    rf"(?:\s*[-\u2013]\s*(?:(?P<chapter2>{_NUMBER})\s*:\s*)?(?P<verse2>{_NUMBER})[a-z]?)?\Z"
)
_BOOK = re.compile(r"\s*(?P<book>[1-4]?\s*[^\W\d][^\d:;,]*?)\s*(?P<rest>[0-9].*|front.*)?\Z", re.DOTALL)


class Reference(NamedTuple):
    """A book, and the spans of it that are meant: ``spans`` is one span over everything for a whole book."""

    book: str
    spans: tuple[Span, ...]


def _before_verses(word: str) -> bool:
    return word in ("intro", "front")


def _verse(text: str) -> int:
    return 0 if _before_verses(text) else int(text.rstrip("abcdefghijklmnopqrstuvwxyz"))


@lru_cache(65536)
def spans(text: str) -> tuple[Span, ...]:
    """The spans that a row's reference covers, in the order given; empty if it is not a reference.

    Parameters
    ----------
    text : str
        ``1:4``, ``2:5-6``, ``1:15-2:3``, ``42:3,10``, ``1:3,1:6,2:1``, ``18:17, 25-26``, ``3`` (a chapter),
        ``3:intro``, ``3:front``, ``front:intro``. A number without a chapter behind ``,`` is a verse of the last
        chapter; a first number without a colon is a whole chapter.

    Returns
    -------
    tuple of (chapter, verse, chapter, verse)
        An introduction is verse 0 of its chapter, ``front:intro`` verse 0 of chapter 0.
    """
    found: list[Span] = []
    chapter: int | None = None
    for item in re.split(r"[,;]", text.strip()):
        match = _ITEM.match(item.strip())
        if match is None:
            return ()
        first, last = match["verse"], match["verse2"]
        if match["chapter"]:
            chapter = 0 if match["chapter"] == "front" else int(match["chapter"])
        elif chapter is None:
            if _before_verses(first):
                return ()
            # Whole chapters: "3" or "3-4", with what stands before their first verses.
            if match["chapter2"]:
                return ()
            found.append((int(first.rstrip("abc")), 0, int(last or first.rstrip("abc")), LAST))
            continue
        start = _verse(first)
        chapter2 = int(match["chapter2"] or chapter)
        found.append((chapter, start, chapter2, start if last is None else int(last)))
        chapter = chapter2
    return tuple(found) if all(span[:2] <= span[2:] for span in found) else ()


def parse(text: str) -> Reference:
    """A passage as a person types it.

    Parameters
    ----------
    text : str
        A book by code or English name, in any case, then nothing, a chapter, or what `spans` takes:
        ``"TIT 1:1"``, ``"titus 1:1-3"``, ``"1 John 2"``, ``"PSA 42:3,10"``, ``"TIT 1:15-2:3"``, ``"Jude"``.

    Raises
    ------
    PassageError
        If the book is unknown (the message names the nearest) or the rest is not a reference.
    """
    match = _BOOK.match(text)
    if match is None:
        raise PassageError(f"{text!r} is not a passage; write a book and a reference, such as 'TIT 1:1' or 'Titus 1'")
    book = books.find(match["book"])
    rest = (match["rest"] or "").strip().lower()
    if not rest:
        return Reference(book, ((0, 0, LAST, LAST),))
    found = spans(rest)
    if not found:
        raise PassageError(f"{rest!r} in {text!r} is not a reference; write 1:1, 1:1-3, 1:3,5, 1:15-2:3 or a chapter")
    return Reference(book, found)

"""The passage query: everything that covers a verse, in canonical order, by the index that the import wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from door43fast.contracts import Store
from door43fast.errors import PassageError
from door43fast.parsers import books, reference
from door43fast.parsers.reference import LAST, Reference, Span
from door43fast.resources import index, keys
from door43fast.resources.layout import KINDS

_RANK = {kind: rank for rank, kind in enumerate(KINDS)}


class Found(NamedTuple):
    """One record that a passage found: its key, its repository, what it is, the place it starts at, its bytes."""

    key: str
    repository: str
    kind: str
    place: str
    path: str
    value: bytes


def _wanted(spans: Iterable[Span], chapter: int) -> list[tuple[int, int]]:
    """The verses of a chapter that are asked for; its head and introduction only with the whole chapter."""
    found = []
    for first, verse, last, end in spans:
        if first <= chapter <= last:
            start = verse if chapter == first or verse == 0 else 1
            found.append((start, end if chapter == last else LAST))
    return found


def _index_keys(
    store: Store, names: list[str], section: str, spans: tuple[Span, ...]
) -> Iterator[tuple[str, int, bytes]]:
    """(repository, chapter, index record) of every chapter asked for."""
    if any(span[2] == LAST for span in spans):
        for name in names:
            for key, data in store.scan(f"{keys.PASSAGES}{name}/{section}/"):
                yield name, int(key[-3:]), data
        return
    chapters = sorted({chapter for first, _, last, _ in spans for chapter in range(first, last + 1)})
    asked = [(name, chapter) for name in names for chapter in chapters]
    records = store.get_many([index.key(name, section, chapter) for name, chapter in asked])
    for (name, chapter), data in zip(asked, records, strict=True):
        if data is not None:
            yield name, chapter, data


def passage(
    store: Store, text: str | Reference, *, kinds: Iterable[str] | None = None, repositories: str = ""
) -> list[Found]:
    """Everything in a store that belongs to a passage: texts, notes, questions and links whose reference covers it.

    Ranges and lists count for each verse they cover, bridged verses too. Introductions (``front:intro``,
    ``3:intro``, ``3:front``) and the heads of books and chapters belong to no verse; they come with the whole chapter
    or book (``"TIT 1"``, ``"TIT"``), or by their own name (``"TIT 1:intro"``).

    Parameters
    ----------
    store : Store
        A store that `import_resources` has filled.
    text : str or Reference
        Such as ``"TIT 1:1"``, ``"titus 1:1-3"``, ``"PSA 42:3,10"``, ``"TIT 1:15-2:3"``, ``"TIT 1"``.
    kinds : iterable of str, optional
        Which of ``text``, ``note``, ``question``, ``link``, ``row``, ``article``; all without it.
    repositories : str
        Only repositories whose name begins so.

    Returns
    -------
    list of Found
        By the place where each record starts; at one place texts, notes, questions, links; then by key. A record
        that the passage meets twice comes once.

    Raises
    ------
    PassageError
        If the text is not a passage; the message names the nearest book.
    """
    book, spans = reference.parse(text) if isinstance(text, str) else text
    chosen = set(KINDS if kinds is None else kinds)
    if chosen - _RANK.keys():
        raise PassageError(
            f"no kind of record is called {sorted(chosen - _RANK.keys())[0]!r}; there are {', '.join(KINDS)}"
        )
    section = books.SECTIONS[book]
    # The records of the index say all that is needed, but only a repository that is there whole counts.
    names = [key[len(keys.REPOSITORIES) :] for key in store.keys(keys.REPOSITORIES + repositories)]
    found: dict[str, tuple[str, int, str, str, str]] = {}
    for name, chapter, data in _index_keys(store, names, section, spans):
        wanted = _wanted(spans, chapter)
        for kind, path, entries in index.decode(data):
            if kind not in chosen:
                continue
            for first, last, place in entries:
                if any(first <= end and start <= last for start, end in wanted):
                    found[f"{name}/{section}/{place}#{path}"] = (place[:7], _RANK[kind], name, place, path)
    ordered = sorted(found, key=lambda key: (*found[key][:2], key))
    values = store.get_many(ordered)
    return [
        Found(key, found[key][2], KINDS[found[key][1]], found[key][3], found[key][4], value)
        for key, value in zip(ordered, values, strict=True)
        if value is not None
    ]

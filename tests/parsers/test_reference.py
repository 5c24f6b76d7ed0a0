"""References, as rows write them and as people type them."""

import pytest

from door43fast.errors import PassageError
from door43fast.parsers import books, reference

LAST = reference.LAST


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("1:4", ((1, 4, 1, 4),)),
        (" 1:4 ", ((1, 4, 1, 4),)),
        ("2:5-6", ((2, 5, 2, 6),)),
        ("2:5\u20136", ((2, 5, 2, 6),)),
        ("1:15-2:3", ((1, 15, 2, 3),)),
        ("42:3,10", ((42, 3, 42, 3), (42, 10, 42, 10))),
        ("5:1,5:3,5:8, 5:12", ((5, 1, 5, 1), (5, 3, 5, 3), (5, 8, 5, 8), (5, 12, 5, 12))),
        ("18:17, 25-26", ((18, 17, 18, 17), (18, 25, 18, 26))),
        ("1:3;2:1", ((1, 3, 1, 3), (2, 1, 2, 1))),
        ("1:15-2:3,5", ((1, 15, 2, 3), (2, 5, 2, 5))),
        ("4:2a", ((4, 2, 4, 2),)),
        ("front:intro", ((0, 0, 0, 0),)),
        ("3:intro", ((3, 0, 3, 0),)),
        ("42:front", ((42, 0, 42, 0),)),
        ("3", ((3, 0, 3, LAST),)),
        ("3-4", ((3, 0, 4, LAST),)),
    ],
)
def test_spans(text, spans):
    assert reference.spans(text) == spans


@pytest.mark.parametrize(
    "text",
    [
        "",
        "intro",
        "front",
        "x",
        "1:",
        ":1",
        "1:2:3",
        "1:2-",
        "2:6-5",
        "1:1000",
        "1:1,,2",
        "3-4:5",
        "-1",
        "1:1\n2:2",
        "١:١",
    ],
)
def test_what_is_no_reference(text):
    assert reference.spans(text) == ()


@pytest.mark.parametrize(
    ("text", "book", "spans"),
    [
        ("TIT 1:1", "TIT", ((1, 1, 1, 1),)),
        ("titus 1:1-3", "TIT", ((1, 1, 1, 3),)),
        ("TIT1:1", "TIT", ((1, 1, 1, 1),)),
        ("1 John 2", "1JN", ((2, 0, 2, LAST),)),
        ("1jn 2:1", "1JN", ((2, 1, 2, 1),)),
        ("Song of Solomon 1:1", "SNG", ((1, 1, 1, 1),)),
        ("Psalm 42:3,10", "PSA", ((42, 3, 42, 3), (42, 10, 42, 10))),
        ("Philem 1:2", "PHM", ((1, 2, 1, 2),)),
        ("Jude", "JUD", ((0, 0, LAST, LAST),)),
        ("TIT front:intro", "TIT", ((0, 0, 0, 0),)),
        ("TIT 2:Intro", "TIT", ((2, 0, 2, 0),)),
    ],
)
def test_parse(text, book, spans):
    assert reference.parse(text) == (book, spans)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Titos 1:1", "TIT (Titus)"),
        ("Phil 1:1", "PHM (Philemon) or PHP (Philippians)"),
        ("TIT 1:x", "not a reference"),
        ("", "not a passage"),
        ("1:1", "not a passage"),
        ("TIT 3:2-1", "not a reference"),
        ("qqqq 1:1", "a code such as TIT"),
    ],
)
def test_what_is_no_passage_says_what_would_be(text, said):
    with pytest.raises(PassageError) as caught:
        reference.parse(text)
    assert said in str(caught.value)


def test_sections_sort_in_canonical_order():
    sections = list(books.SECTIONS.values())
    assert sections == sorted(sections) and len(set(sections)) == len(sections)
    assert (
        books.SECTIONS["FRT"]
        < books.SECTIONS["GEN"]
        < books.SECTIONS["MAL"]
        < books.SECTIONS["MAT"]
        < books.SECTIONS["REV"]
    )
    assert len([code for code in books.SECTIONS if "01" <= books.SECTIONS[code][:2] <= "67"]) == 66

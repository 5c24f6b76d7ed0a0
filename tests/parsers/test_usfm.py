"""USFM is cut at verses and chapters, and the pieces are the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast.parsers import usfm


def places(data):
    pieces = usfm.split(data)
    assert b"".join(piece for _, piece in pieces) == data
    return [place for place, _ in pieces]


def test_heads_and_verses():
    data = b"\\id TIT\n\\h Titus\n\\c 1\n\\p\n\\v 1 One\n\\v 2 Two\n\\c 2\n\\s A head\n\\v 1 Three"
    assert usfm.split(data) == [
        ("000/000", b"\\id TIT\n\\h Titus\n"),
        ("001/000", b"\\c 1\n\\p\n"),
        ("001/001", b"\\v 1 One\n"),
        ("001/002", b"\\v 2 Two\n"),
        ("002/000", b"\\c 2\n\\s A head\n"),
        ("002/001", b"\\v 1 Three"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"\\va 3\\va*",
        b"\\vp 1b\\vp*",
        b"\\ca 2\\ca*",
        b"\\cl Psalm",
        b"\\cp A",
        b"\\cd what",
        b"\\f + \\fv 3\\fv* x\\f*",
        b'\\w sing|x-note="not \\v 9 "\\w*',
        b'\\zaln-s |x-content="\\c 4 "\\*',
        b"\\v",
        b"\\v x",
        b"\\v 1234 many",
        b"\\c one",
    ],
)
def test_what_only_looks_like_a_verse(text):
    assert places(b"\\id TIT\n\\c 1\n\\v 1 a " + text + b" b\n\\v 2 c") == ["000/000", "001/000", "001/001", "001/002"]


@pytest.mark.parametrize(
    ("token", "place", "spans"),
    [
        (b"\\v 2-3 ", "001/002-003", ((1, 2, 1, 3),)),
        (b"\\v 2\xe2\x80\x8f-\xe2\x80\x8f3 ", "001/002-003", ((1, 2, 1, 3),)),
        (b"\\v 2\xe2\x80\x933\n", "001/002-003", ((1, 2, 1, 3),)),
        (b"\\v 4a ", "001/004a", ((1, 4, 1, 4),)),
        (b"\\v 4b-6a ", "001/004b-006a", ((1, 4, 1, 6),)),
        (b"\\v 2,4 ", "001/002,004", ((1, 2, 1, 2), (1, 4, 1, 4))),
        (b"\\v 119\r\n", "001/119", ((1, 119, 1, 119),)),
        (b'\\v 7\\zaln-s |x="1"\\*', "001/007", ((1, 7, 1, 7),)),
        (b"\\v\n8 ", "001/008", ((1, 8, 1, 8),)),
    ],
)
def test_designations(token, place, spans):
    assert places(b"\\c 1\n" + token + b"text")[-1] == place
    assert usfm.covers(place) == spans


def test_places_are_unique_and_a_file_without_chapters_is_chapter_one():
    assert places(b"\\v 1 a\\v 1 b\\v 1 c") == ["001/001", "001/001~2", "001/001~3"]
    assert places(b"") == ["000/000"]
    assert places(b"\\id FRT front matter only") == ["000/000"]


def test_a_milestone_that_ends_with_its_line_does_not_hide_the_next_verse():
    data = b'\\c 1\n\\v 1\n\\zaln-s | x-lemma="a" x-content="b\n\\w c\\w*\n\\zaln-e\\*\n\\v 2 d'
    assert places(data) == ["001/000", "001/001", "001/002"]


@pytest.mark.parametrize(
    ("data", "book"),
    [
        (b"\\id TIT x", "TIT"),
        (b"\xef\xbb\xbf\\id 1jn", "1JN"),
        (b"\n\\id PSA\n", "PSA"),
        (b"\\h x", None),
        (b"", None),
        (b"\\id TITUS", None),
    ],
)
def test_book_of(data, book):
    assert usfm.book_of(data) == book


@given(
    st.lists(
        st.sampled_from(
            [
                b"\\v ",
                b"\\c ",
                b"1",
                b"2",
                b"-",
                b",",
                b"a",
                b"\n",
                b" ",
                b"|",
                b'"',
                b"\\",
                b"\\va ",
                b"\\zaln-s |",
                b"\\*",
                b"\xe2\x80\x8f",
                b"\r\n",
                b"\xff",
                b"\x00",
                b"text",
            ]
        ),
        max_size=60,
    ).map(b"".join)
)
def test_any_bytes_come_back_and_places_are_unique(data):
    found = places(data)
    assert len(set(found)) == len(found)
    for place in found:
        assert all(span[:2] <= span[2:] for span in usfm.covers(place))

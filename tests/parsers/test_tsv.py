"""TSV is cut into lines, each knows what it refers to, and the lines are the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast.parsers import tsv, whole

SEVEN = b"Reference\tID\tTags\tSupportReference\tQuote\tOccurrence\tNote"
NINE = b"Book\tChapter\tVerse\tID\tSupportReference\tOrigQuote\tOccurrence\tGLQuote\tOccurrenceNote"


def test_rows_of_seven_columns():
    data = SEVEN + b"\nfront:intro\ta1\t\t\t\t0\tx\n1:4\tb2\t\t\t\t1\ty\n2:5-6\t xvs8\t\t\t\t1\tz\n2:6\t\t\t\t\t1\tw"
    assert tsv.split(data) == [
        ("000/000/000000:", SEVEN + b"\n"),
        ("000/000/000001:a1", b"front:intro\ta1\t\t\t\t0\tx\n"),
        ("001/004/000002:b2", b"1:4\tb2\t\t\t\t1\ty\n"),
        ("002/005/000003:%20xvs8", b"2:5-6\t xvs8\t\t\t\t1\tz\n"),
        ("002/006/000004:", b"2:6\t\t\t\t\t1\tw"),
    ]
    assert [row.covers for row in tsv.rows(data)] == [
        (),
        ((0, 0, 0, 0),),
        ((1, 4, 1, 4),),
        ((2, 5, 2, 6),),
        ((2, 6, 2, 6),),
    ]


def test_rows_of_nine_columns():
    data = (
        NINE
        + b"\nTIT\tfront\tintro\tm2jl\t\t\t0\t\t# x\nTIT\t1\tintro\tc7me\t\t\t0\t\ty\nTIT\t3\t15\trtc9\t\t\t1\t\tz\n"
    )
    assert [(row.place, row.covers) for row in tsv.rows(data)[1:]] == [
        ("000/000/000001:m2jl", ((0, 0, 0, 0),)),
        ("001/000/000002:c7me", ((1, 0, 1, 0),)),
        ("003/015/000003:rtc9", ((3, 15, 3, 15),)),
    ]


def test_byte_order_mark_and_windows_line_ends():
    data = tsv.BOM + SEVEN.replace(b"Note", b"Note\r\n") + b"1:1\taa\t\t\t\t1\tx\r\n"
    assert tsv.columns(data)[0] == "Reference" and tsv.columns(data)[-1] == "Note"
    assert [place for place, _ in tsv.split(data)] == ["000/000/000000:", "001/001/000001:aa"]
    assert b"".join(piece for _, piece in tsv.split(data)) == data


def test_a_row_cut_by_a_raw_line_break_keeps_its_rest():
    data = SEVEN + b"\n1:3\taa\t\t\tcut\nhere\t1\tx\n1:4\tbb\t\t\t\t1\ty\n\nmore\nx9\tx\t\t\t\t1\t\n\tcc\t\t\t\t1\tz\n"
    rows = tsv.rows(data)
    assert [(row.place, row.covers) for row in rows[1:]] == [
        ("001/003/000001:aa", ((1, 3, 1, 3),)),
        ("001/003/000002:", ((1, 3, 1, 3),)),
        ("001/004/000003:bb", ((1, 4, 1, 4),)),
        ("001/004/000004:", ()),
        ("001/004/000005:", ((1, 4, 1, 4),)),
        ("001/004/000006:", ()),
        ("001/004/000007:", ()),
    ]
    assert b"".join(row.data for row in rows) == data


@pytest.mark.parametrize("data", [b"", b"a\tb\n1:1\tx\n", b"no table", b"\n\n"])
def test_a_table_without_references_is_one_piece(data):
    assert tsv.split(data) == whole.split(data) == [("", data)]


@given(
    st.lists(
        st.sampled_from([b"1:1", b"2:5-6", b"\t", b"\n", b"\r\n", b"a/b#", b"\xff", b"3:intro", b"", b"~", b"x"]),
        max_size=50,
    ).map(b"".join),
    st.sampled_from([SEVEN, NINE, tsv.BOM + SEVEN + b"\r"]),
)
def test_any_bytes_come_back_and_places_are_unique(data, header):
    data = header + b"\n" + data
    pieces = tsv.split(data)
    assert b"".join(piece for _, piece in pieces) == data
    assert len({place for place, _ in pieces}) == len(pieces)
    assert all(place.count("/") == 2 and "#" not in place for place, _ in pieces)

"""Keys: what they hold can be read back from them, and their order is the order of reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from door43fast.resources import import_resources, keys
from door43fast.resources.keys import Key, Name

from .conftest import SAMPLE, folders

UW = Name("unfoldingWord", "en_tn", "84")


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        (
            "unfoldingWord/en_tn@84/57-TIT/001/004/000007:xvs8#tn_TIT.tsv",
            Key(UW, "57-TIT", "001/004/000007:xvs8", b"tn_TIT.tsv"),
        ),
        ("unfoldingWord/en_tn@84/57-TIT/001/004#a/57-TIT.usfm", Key(UW, "57-TIT", "001/004", b"a/57-TIT.usfm")),
        ("unfoldingWord/en_tn@84/bible/kt/god.md", Key(UW, "", "", b"bible/kt/god.md")),
        ("unfoldingWord/en_tn@84/100%25%23%FF.md", Key(UW, "", "", b"100%#\xff.md")),
        ("unfoldingWord/en_tn@84/a#b", None),
        ("~repo/unfoldingWord/en_tn@84", None),
        ("unfoldingWord/en_tn/x", None),
        ("x", None),
        ("", None),
    ],
)
def test_parse(key, parsed):
    assert keys.parse(key) == parsed
    if parsed is not None:
        assert keys.piece(*parsed) == key


@given(st.binary(min_size=1))
def test_a_path_comes_back_and_holds_no_separator(path):
    quoted = keys.quote(path)
    assert keys.unquote(quoted) == path
    assert "#" not in quoted and "\x00" not in quoted
    quoted.encode("utf-8")


@given(st.text())
def test_names_are_safe(text):
    name = keys.quote_name(text)
    assert name and not set(name) & set("/@#%\\") and not name.startswith((".", "~"))
    assert keys.quote_name(name) == name


def test_order_is_reading_order_and_prefixes_are_parts(store):
    import_resources(store, [SAMPLE])
    content = [key for key in store.keys() if not key.startswith(keys.RESERVED)]
    titus = [
        key.removeprefix("door43fast/en_lit@3/") for key in content if key.startswith("door43fast/en_lit@3/57-TIT/")
    ]
    assert titus == [
        f"57-TIT/{place}#57-TIT.usfm"
        for place in (
            "000/000",
            "001/000",
            "001/001",
            "001/002",
            "001/003-004",
            "001/005",
            "002/000",
            "002/001",
            "002/002",
            "002/003",
        )
    ]
    notes = list(store.keys("door43fast/en_tn@3/57-TIT/001/"))
    assert [key.split("/")[5].partition("#")[0] for key in notes] == [
        "000002:k7d2",
        "000003:aa11",
        "000004:aa12",
        "000005:ab21",
        "000006:ab22",
        "000007:%20xvs8",
        "000008:",
        "000009:ab23",
    ]
    books = [key.split("/")[2] for key in content if key.startswith("door43fast/en_lit@3/")]
    assert sorted(set(books)) == list(dict.fromkeys(books)) == ["32-JON", "57-TIT", "LICENSE.md", "manifest.yaml"]


@pytest.mark.parametrize("folder", folders("rc", "sb"), ids=lambda folder: folder.name)
def test_every_key_of_real_data_parses_and_is_written_the_same(folder, store):
    (report,) = import_resources(store, [folder])
    count = 0
    for key in store.keys(f"{report.repository.name}/"):
        parsed = keys.parse(key)
        assert parsed is not None and keys.piece(*parsed) == key
        count += 1
    assert count == report.repository.records

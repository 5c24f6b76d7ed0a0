"""The passage query against the oracle that reads the files, over every verse of some books and seeded ones of all."""

import random

import pytest

from door43fast.errors import PassageError
from door43fast.resources import import_resources, passage

from .conftest import REAL, SAMPLE, archives, folders
from .oracle import Oracle, archive_files, files_of

BOOKS = (
    ["TIT", "RUT", "OBA", "JON", "HAB", "MAL", "EPH", "PHM", "1JN", "JUD", "MRK", "2SA", "LEV"]
    if REAL.is_dir()
    else ["TIT", "JON"]
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    from door43fast.lmdb import LmdbStore

    with LmdbStore(tmp_path_factory.mktemp("passages") / "store", durability="none") as store:
        import_resources(store, folders("rc"))
        yield store


@pytest.mark.parametrize("book", BOOKS)
def test_against_a_brute_force_reading(filled, book):
    oracle = Oracle(files_of(folders("rc")), book)
    verses = oracle.verses()
    assert verses
    if len(verses) > 150:
        verses = random.Random(book).sample(verses, 150)
    for chapter, verse in verses:
        found = passage(filled, f"{book} {chapter}:{verse}")
        assert sorted(one.value for one in found) == oracle.covering(chapter, verse), (book, chapter, verse)
        assert all(filled[one.key] == one.value for one in found)


@pytest.mark.nightly
@pytest.mark.skipif(not REAL.is_dir(), reason="the Door43 data lies beside the project only where it is developed")
def test_whole_archives_against_a_brute_force_reading(store):
    import_resources(store, archives())
    files = [file for archive in archives() for file in archive_files(archive)]
    for book in ("PSA", "GEN", "RUT", "1CH", "EST", "MAT", "TIT", "PHP", "REV"):
        oracle = Oracle(files, book)
        verses = oracle.verses()
        lists = [at for spans, _ in oracle.pieces if len(spans) > 1 for span in spans for at in span]
        for chapter, verse in random.Random(book).sample(verses, 60 if len(verses) > 60 else len(verses)) + lists:
            found = passage(store, f"{book} {chapter}:{verse}")
            assert sorted(one.value for one in found) == oracle.covering(chapter, verse), (book, chapter, verse)


def test_ranges_against_the_oracle(filled):
    oracle = Oracle(files_of(folders("rc")), "TIT")
    verses = oracle.verses()
    draw = random.Random(43)
    for _ in range(60):
        (first, last) = sorted(draw.sample(verses, 2))
        inside = [at for at in verses if first <= at <= last]
        expected = {data for at in inside for data in oracle.covering(*at)}
        found = passage(filled, f"Titus {first[0]}:{first[1]}-{last[0]}:{last[1]}")
        assert {one.value for one in found} == expected
        places = [one.place[:7] for one in found]
        assert places == sorted(places) and len({one.key for one in found}) == len(found)


@pytest.fixture
def sample(store):
    import_resources(store, [SAMPLE])
    return store


def short(found):
    return [(one.kind, one.place) for one in found]


def test_one_verse_of_the_sample(sample):
    assert short(passage(sample, "TIT 1:1")) == [
        ("text", "001/001"),
        ("note", "001/001/000003:aa11"),
        ("note", "001/001/000004:aa12"),
        ("note", "001/001/000005:ab21"),
        ("question", "001/001/000001:qa01"),
        ("link", "001/001/000001:t001"),
    ]


def test_bridges_lists_and_ranges(sample):
    assert short(passage(sample, "TIT 1:4")) == [
        ("text", "001/003-004"),
        ("note", "001/003/000007:%20xvs8"),
        ("question", "001/003/000002:qa02"),
        ("note", "001/004/000008:"),
    ]
    assert short(passage(sample, "TIT 2:1")) == [
        ("note", "001/003/000007:%20xvs8"),
        ("note", "001/005/000009:ab23"),
        ("text", "002/001"),
        ("question", "002/001/000003:qa03"),
        ("link", "002/001/000002:t002"),
    ]
    assert ("question", "002/001/000003:qa03") in short(passage(sample, "TIT 2:3"))
    assert ("question", "002/001/000003:qa03") not in short(passage(sample, "TIT 2:2"))
    assert short(passage(sample, "JON 2:1")) == [
        ("text", "002/001a"),
        ("text", "002/001b"),
        ("note", "002/001/000004:j004"),
        ("note", "002/001/000005:"),
        ("note", "002/001/000006:j005"),
    ]


def test_introductions_come_with_the_whole_and_by_their_name(sample):
    chapter = short(passage(sample, "TIT 1"))
    assert chapter[:2] == [("text", "001/000"), ("note", "001/000/000002:k7d2")]
    assert all(not place.startswith("000") for _, place in chapter)
    book = short(passage(sample, "Titus"))
    assert book[:2] == [("text", "000/000"), ("note", "000/000/000001:m2p7")]
    assert len(book) == 10 + 11 + 3 + 2
    assert short(passage(sample, "TIT 1:intro")) == chapter[:2]
    assert short(passage(sample, "TIT front:intro")) == book[:2]
    assert "001/000" not in [place for _, place in short(passage(sample, "TIT 1:1-5"))]


def test_kinds_and_repositories(sample):
    assert {one.kind for one in passage(sample, "TIT 1", kinds=["note", "link"])} == {"note", "link"}
    assert {one.repository for one in passage(sample, "TIT 1", repositories="door43fast/en_t")} == {
        "door43fast/en_tn@3",
        "door43fast/en_tq@2",
        "door43fast/en_twl@3",
    }
    with pytest.raises(PassageError, match="nots"):
        passage(sample, "TIT 1", kinds=["nots"])
    with pytest.raises(PassageError, match="Titus"):
        passage(sample, "Tituss 1:1")
    assert passage(sample, "REV 1:1") == []


def test_questions_in_one_file_a_verse(store, tmp_path):
    root = tmp_path / "en_tq@v17"
    for path in ("tit/01/01.md", "tit/01/02.md", "tit/02/01.md", "tit/front/intro.md"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    import_resources(store, [root])
    assert [(one.kind, one.value) for one in passage(store, "TIT 1:2")] == [("question", b"tit/01/02.md")]
    assert [one.value for one in passage(store, "TIT")] == [
        b"tit/front/intro.md",
        b"tit/01/01.md",
        b"tit/01/02.md",
        b"tit/02/01.md",
    ]

"""What is imported comes back byte for byte: every set, every archive, and files that no sane person would write."""

import io
import os
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from door43fast import MemoryStore
from door43fast.resources import export_resources, import_resources, repositories
from door43fast.resources.sources import Container, Entry

from .conftest import REAL, SAMPLE, archives, folders, truth

QUICK = {"en_ult_v83.zip", "en_tn_v84.zip", "el-x-koine_ugnt_v0.34.zip", "hi_tw_v8.1.tar.xz"}


def assert_same(store, source, out):
    (report,) = import_resources(store, [source])
    (exported,) = export_resources(store, out)
    expected = truth(source)
    assert truth(exported.folder) == expected
    assert (exported.files, exported.bytes) == (len(expected), sum(map(len, expected.values())))
    assert (report.repository.files, report.repository.bytes) == (exported.files, exported.bytes)
    assert store.count(f"{report.repository.name}/") == report.repository.records


@pytest.mark.parametrize("folder", folders("rc", "sb", "updates"), ids=lambda folder: folder.name)
def test_every_folder(folder, store, tmp_path):
    assert_same(store, folder, tmp_path / "out")


@pytest.mark.parametrize("folder", sorted(SAMPLE.iterdir()), ids=lambda folder: folder.name)
def test_our_own_sample(folder, store, tmp_path):
    assert_same(store, folder, tmp_path / "out")


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(archive, id=archive.name, marks=() if archive.name in QUICK else pytest.mark.nightly)
        for archive in archives()
    ],
)
def test_every_archive(archive, store, tmp_path):
    assert_same(store, archive, tmp_path / "out")


@pytest.mark.nightly
@pytest.mark.skipif(not REAL.is_dir(), reason="the Door43 data lies beside the project only where it is developed")
def test_all_archives_together(store, tmp_path):
    reports = import_resources(store, archives())
    exported = export_resources(store, tmp_path / "out")
    by_name = {one.name: one for one in exported}
    for archive, report in zip(archives(), reports, strict=True):
        assert truth(by_name[report.repository.name].folder) == truth(archive)


def test_a_folder_of_containers_is_all_of_them(store, tmp_path):
    reports = import_resources(store, [SAMPLE])
    assert [report.repository.name for report in reports] == [
        "door43fast/en_lit@3",
        "door43fast/en_tn@3",
        "door43fast/en_tq@2",
        "door43fast/en_tw@3",
        "door43fast/en_twl@3",
    ]
    assert repositories(store) == [report.repository for report in reports]
    export_resources(store, tmp_path / "out")
    for report, folder in zip(reports, sorted(SAMPLE.iterdir()), strict=True):
        assert truth(tmp_path / "out" / report.repository.name) == truth(folder)


def test_the_same_by_zip_and_by_tar(store, tmp_path):
    files = truth(SAMPLE / "en_tn")
    with zipfile.ZipFile(tmp_path / "en_tn_v3.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr("en_tn/" + path.decode(), data)
    for suffix, mode in ((".tar.gz", "w:gz"), (".tar.xz", "w:xz"), (".tar", "w"), (".tar.bz2", "w:bz2")):
        with tarfile.open(tmp_path / f"en_tn_v3{suffix}", mode) as archive:
            archive.add(SAMPLE / "en_tn", "./en_tn")
    reports = []
    for suffix in (".zip", ".tar.gz", ".tar.xz", ".tar", ".tar.bz2"):
        reports += import_resources(store, [tmp_path / f"en_tn_v3{suffix}"])
    assert {report.repository.name for report in reports} == {"door43fast/en_tn@3"}
    # The first wrote it; for the others only the repository's own record, with origin and time, was new.
    assert [report.written for report in reports[1:]] == [1] * 4
    export_resources(store, tmp_path / "out")
    assert truth(tmp_path / "out/door43fast/en_tn@3") == files


NAMES = [
    b"a.md",
    b"b b.md",
    b"100%.md",
    b"#1.tsv",
    b"57-TIT/001/001",
    b"\xff\xfe.md",
    b".hidden/x",
    "é/ü.usfm".encode(),
    b"new\nline.md",
    b"a@b.yaml",
    b"tit/01/01.md",
    b"tit/front/intro.md",
    b"57-TIT.usfm",
    b"tn_TIT.tsv",
    b"~repo/x",
    b"%23.md",
    b"q.tsv",
    b"LICENSE",
]
CONTENT = st.lists(
    st.sampled_from(
        [
            b"\\id TIT\n",
            b"\\c 1\n",
            b"\\c 2\n",
            b"\\v 1 a\n",
            b"\\v 2-3 b",
            b"\\v 1 c",
            b"Reference\tID\tNote\n",
            b"1:1\taa\tx\n",
            b"2:5-6\t\ty\n",
            b"1:1\t/#~\tz\r\n",
            b"\xff\x00",
            b"",
            b"front:intro\taa\n",
            b"no\n",
        ]
    ),
    max_size=12,
).map(b"".join)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(NAMES), CONTENT, min_size=1))
def test_any_names_and_any_content(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("odd")
    source = root / "xx_odd@v7"
    for path, data in files.items():
        target = os.path.join(os.fsencode(source), path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)
    store = MemoryStore()
    assert_same(store, source, root / "out")
    assert repositories(store)[0].name == "local/xx_odd@7"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("only/" + "x.md", b"1")
    (root / "yy_z_v2.zip").write_bytes(buffer.getvalue())
    (report,) = import_resources(store, [root / "yy_z_v2.zip"])
    assert report.repository.name == "local/only@2"


def test_entries_read_once_each(store):
    """An archive on a slow disk is read once: the reader of each file is called once."""
    from door43fast.resources import importing
    from door43fast.resources.manifest import from_folder

    calls = []
    entries = [
        Entry(b"a.md", 1, lambda: calls.append("a") or b"a"),
        Entry(b"b.md", 1, lambda: calls.append("b") or b"b"),
    ]
    container = Container(from_folder("xx_once@v1", ""), "here", entries)
    importing._import_one(store, importing._Reader(container, lambda size: None))
    assert calls == ["a", "b"]

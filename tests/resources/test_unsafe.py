"""Sources that are out to do harm, or are only broken, are refused with a sentence and nothing written."""

import io
import os
import tarfile
import zipfile

import pytest

from door43fast.errors import BackendUnavailableError, SourceError
from door43fast.resources import export_resources, import_resources, keys

from .conftest import SAMPLE


def refused(store, source, words, **options):
    with pytest.raises(SourceError, match=words):
        import_resources(store, [SAMPLE / "en_tq", source], **options)
    assert len(store) == 0


def zipped(tmp_path, *files, mode=None):
    path = tmp_path / "bad_zip@v1.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode or 0o100644) << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def tarred(tmp_path, *members):
    path = tmp_path / "bad_tar@v1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["../evil.md", "a/../../evil.md", "/etc/evil.md", "a//b.md", "a/./b.md"])
def test_paths_that_leave(store, tmp_path, name):
    refused(store, zipped(tmp_path, ("a/ok.md", b"x"), (name, b"x")), "leaves its folder")
    refused(
        store, tarred(tmp_path, ("a/ok.md", tarfile.REGTYPE, b"x"), (name, tarfile.REGTYPE, b"x")), "leaves its folder"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates(store, tmp_path):
    refused(store, zipped(tmp_path, ("a/b.md", b"x"), ("a/b.md", b"y")), "twice")
    refused(
        store,
        tarred(tmp_path, ("a/b", tarfile.REGTYPE, b"x"), ("a/b/c", tarfile.REGTYPE, b"y")),
        "both as a file and as a folder",
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_tar(store, tmp_path, kind):
    source = tarred(tmp_path, ("a/b.md", tarfile.REGTYPE, b"x"), ("a/c.md", kind, b""))
    refused(store, source, "link")
    (report,) = import_resources(store, [source], skip_links=True)
    assert report.repository.files == 1


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_devices_in_tar(store, tmp_path, kind):
    refused(store, tarred(tmp_path, ("a/c.md", kind, b"")), "no plain file")


def test_links_in_zip(store, tmp_path):
    source = zipped(tmp_path, ("a/c.md", b"/etc/passwd"), mode=0o120777)
    refused(store, source, "link")


def test_links_and_pipes_in_folders(store, tmp_path):
    source = tmp_path / "some_folder"
    source.mkdir()
    (source / "a.md").write_bytes(b"x")
    (source / "b.md").symlink_to("/etc/passwd")
    refused(store, source, "symbolic link")
    (report,) = import_resources(store, [source], skip_links=True)
    assert report.repository.files == 1
    (source / "b.md").unlink()
    store.clear()
    os.mkfifo(source / "pipe")
    refused(store, source, "neither a file nor a folder")


def test_bombs(store, tmp_path):
    bomb = zipped(tmp_path, *((f"a/{number}.md", bytes(1 << 20)) for number in range(4)))
    assert bomb.stat().st_size < 20_000
    refused(store, bomb, "max_bytes", max_bytes=3 << 20)
    assert import_resources(store, [bomb], max_bytes=4 << 20)[0].repository.bytes == 4 << 20
    store.clear()
    refused(store, tarred(tmp_path, ("a/b", tarfile.REGTYPE, bytes(4 << 20))), "max_bytes", max_bytes=3 << 20)
    (tmp_path / "plain_folder").mkdir()
    (tmp_path / "plain_folder/x").write_bytes(bytes(2000))
    refused(store, tmp_path / "plain_folder", "max_bytes", max_bytes=1999)


def test_a_zip_that_lies_about_sizes(store, tmp_path):
    source = zipped(tmp_path, ("a/b.md", bytes(100_000)))
    raw = source.read_bytes()
    source.write_bytes(raw.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(SourceError, match="damaged|declared"):
        import_resources(store, [source])
    assert not [key for key in store.keys(keys.REPOSITORIES)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:60] + b"\xff" * 20 + raw[80:],
        lambda raw: b"",
        lambda raw: b"no archive",
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda path: zipped(path, ("a/b.md", os.urandom(5000))),
        lambda path: tarred(path, ("a/b.md", tarfile.REGTYPE, os.urandom(50000))),
    ],
)
def test_damaged_archives(store, tmp_path, damage, make):
    source = make(tmp_path)
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(SourceError):
        import_resources(store, [source])
    assert not [key for key in store.keys(keys.REPOSITORIES)]


def test_a_missing_source(store, tmp_path):
    refused(store, tmp_path / "nowhere", "does not exist")


@pytest.mark.parametrize(
    "text", [b"{", b"a: [", b"!!python/object/apply:os.system ['true']", b"a: &a [*a", b"- 1: 2\n 3"]
)
def test_bad_manifests(store, tmp_path, text):
    source = tmp_path / "xx_yy"
    source.mkdir()
    (source / "manifest.yaml").write_bytes(text)
    refused(store, source, "not sound YAML")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1",
        b"[]",
        b"dublin_core: 3",
        b"dublin_core:\n  language: 3\n  version: [1]\nprojects: {a: b}",
        b"dublin_core:\n  publisher: '../..'\n  version: '../x'\n  identifier: '~'",
    ],
)
def test_strange_manifests_are_no_danger(store, tmp_path, text):
    source = tmp_path / "xx_yy"
    source.mkdir()
    (source / "manifest.yaml").write_bytes(text)
    (report,) = import_resources(store, [source])
    export_resources(store, tmp_path / "out")
    assert (tmp_path / "out" / report.repository.name / "manifest.yaml").read_bytes() == text
    assert keys.name_of(report.repository.name) is not None


def test_a_manifest_without_pyyaml_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(BackendUnavailableError, match=r"door43fast\[door43\]"):
        import_resources(store, [SAMPLE / "en_tn"])


def test_export_stays_in_its_folder(store, tmp_path):
    (report,) = import_resources(store, [SAMPLE / "en_tq"])
    name = report.repository.name
    outside = tmp_path / "outside"
    outside.mkdir()
    for evil in (
        "../../../outside/evil",
        "a/../../../../outside/evil",
        "/evil",
        "57-TIT/001/001#../../../outside/evil",
    ):
        store[f"{name}/{evil}"] = b"evil"
        with pytest.raises(SourceError, match="leaves the folder"):
            export_resources(store, tmp_path / "out")
        del store[f"{name}/{evil}"]
    (tmp_path / "linked" / "door43fast" / "en_tq@2").mkdir(parents=True)
    (tmp_path / "linked" / "door43fast" / "en_tq@2" / "tq_TIT.tsv").symlink_to(outside / "evil")
    with pytest.raises(SourceError, match="cannot be written"):
        export_resources(store, tmp_path / "linked")
    store[f"{name}/sub/evil"] = b"evil"
    (tmp_path / "linked" / "door43fast" / "en_tq@2" / "tq_TIT.tsv").unlink()
    (tmp_path / "linked" / "door43fast" / "en_tq@2" / "sub").symlink_to(outside)
    with pytest.raises(SourceError, match="no folder"):
        export_resources(store, tmp_path / "linked")
    (tmp_path / "piped" / "door43fast" / "en_tq@2").mkdir(parents=True)
    os.mkfifo(tmp_path / "piped" / "door43fast" / "en_tq@2" / "tq_TIT.tsv")
    with pytest.raises(SourceError, match="cannot be written"):
        export_resources(store, tmp_path / "piped")
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "door43fast").symlink_to(outside)
    with pytest.raises(SourceError, match="no folder"):
        export_resources(store, tmp_path / "owner")
    assert list(outside.iterdir()) == []


def test_zip_paths_keep_their_bytes(store, tmp_path):
    source = tmp_path / "xx_names@v1.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("top/caf\u00e9.md", b"flagged as UTF-8")
        archive.writestr("top/sub/plain.md", b"x")
    raw = source.read_bytes().replace(b"sub/plain.md", b"s\xffb/plain.md")
    source.write_bytes(raw)
    import_resources(store, [source])
    export_resources(store, tmp_path / "out")
    root = os.fsencode(tmp_path / "out/local/top@1")
    assert open(root + "/caf\u00e9.md".encode(), "rb").read() == b"flagged as UTF-8"
    assert open(root + b"/s\xffb/plain.md", "rb").read() == b"x"

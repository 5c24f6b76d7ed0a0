"""Importing again: stale records vanish, versions stand side by side, a failure in the middle changes nothing."""

import shutil

import pytest

from door43fast.errors import ConfigError, CorruptError, SourceError
from door43fast.resources import export_resources, import_resources, importing, keys, passage, repositories

from .conftest import SAMPLE, truth


@pytest.fixture
def notes(tmp_path):
    return shutil.copytree(SAMPLE / "en_tn", tmp_path / "en_tn")


def contents(store, *, about=False):
    return {key: value for key, value in store.scan() if about or not key.startswith(keys.REPOSITORIES)}


def test_the_same_again_writes_nothing_but_the_time(store, notes):
    import_resources(store, [notes])
    before = contents(store)
    (report,) = import_resources(store, [notes])
    assert (report.replaced, report.written, report.deleted) == (True, 1, 0)
    assert contents(store) == before


def test_stale_records_vanish(store, notes, tmp_path):
    import_resources(store, [notes])
    (notes / "tn_JON.tsv").unlink()
    titus = notes / "tn_TIT.tsv"
    titus.write_bytes(b"".join(titus.read_bytes().splitlines(keepends=True)[:4]))
    (report,) = import_resources(store, [notes])
    assert report.deleted > 0
    assert [found.key for found in passage(store, "TIT 1:5")] == []
    assert passage(store, "JON") == []
    export_resources(store, tmp_path / "out")
    assert truth(tmp_path / "out/door43fast/en_tn@3") == truth(notes)
    import_resources(fresh := type(store)(tmp_path / "fresh", durability="none"), [notes])
    with fresh:
        assert contents(fresh) == contents(store)


def test_two_versions_side_by_side(store, notes, tmp_path):
    import_resources(store, [notes])
    manifest = notes / "manifest.yaml"
    manifest.write_bytes(manifest.read_bytes().replace(b"version: 3", b"version: 4"))
    (notes / "tn_JON.tsv").unlink()
    import_resources(store, [notes])
    assert [held.name for held in repositories(store)] == ["door43fast/en_tn@3", "door43fast/en_tn@4"]
    assert {found.repository for found in passage(store, "TIT 1:1")} == {"door43fast/en_tn@3", "door43fast/en_tn@4"}
    assert {found.repository for found in passage(store, "JON 1:1")} == {"door43fast/en_tn@3"}
    export_resources(store, tmp_path / "out", names=["door43fast/en_tn@4"])
    assert truth(tmp_path / "out") == {b"door43fast/en_tn@4/" + path: data for path, data in truth(notes).items()}


def test_a_failure_while_replacing_changes_nothing(store, notes, monkeypatch):
    import_resources(store, [notes])
    before = contents(store, about=True)
    (notes / "tn_TIT.tsv").write_bytes(b"Reference\tID\tNote\n1:1\tzzzz\tnew\n")
    monkeypatch.setattr(importing, "lay_out", _fails_on(importing.lay_out, b"tn_TIT.tsv"))
    with pytest.raises(ZeroDivisionError):
        import_resources(store, [notes])
    assert contents(store, about=True) == before


def test_a_first_import_that_failed_is_no_repository_and_leaves_nothing_behind(store, notes, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_RECORDS", 4)
    whole = importing.lay_out
    monkeypatch.setattr(importing, "lay_out", _fails_on(whole, b"tn_TIT.tsv"))
    with pytest.raises(ZeroDivisionError):
        import_resources(store, [notes])
    assert len(store) > 0 and repositories(store) == [] and passage(store, "JON") == []
    monkeypatch.setattr(importing, "lay_out", whole)
    (notes / "tn_JON.tsv").unlink()
    import_resources(store, [notes])
    assert not list(store.keys("door43fast/en_tn@3/32-JON/"))


def _fails_on(whole, path):
    def lay_out(this, *rest):
        if this == path:
            raise ZeroDivisionError
        return whole(this, *rest)

    return lay_out


def test_two_sources_of_one_name_are_refused(store, notes):
    with pytest.raises(SourceError, match="--as owner/repository@version"):
        import_resources(store, [SAMPLE / "en_tn", notes])
    assert len(store) == 0
    import_resources(store, [notes], name="me/en_tn@mine")
    assert [held.name for held in repositories(store)] == ["me/en_tn@mine"]


@pytest.mark.parametrize("name", ["x", "a/b", "a/b@", "~a/b@1", "a/b/c@1", "a b/c@1", "a/../b@1"])
def test_a_bad_name_is_refused(store, notes, name):
    with pytest.raises(ConfigError, match="owner/repository@version"):
        import_resources(store, [notes], name=name)


def test_one_name_for_many_is_refused(store):
    with pytest.raises(ConfigError, match="5 repositories"):
        import_resources(store, [SAMPLE], name="a/b@1")


def test_export_says_what_is_missing(store, notes, tmp_path):
    import_resources(store, [notes])
    store.delete(next(iter(store.keys("door43fast/en_tn@3/57-TIT/001/004"))))
    with pytest.raises(CorruptError, match="of its 20 records"):
        export_resources(store, tmp_path / "out")
    export_resources(store, tmp_path / "out", partial=True)
    with pytest.raises(KeyError):
        export_resources(store, tmp_path / "out", names=["nobody/"])


def test_progress_ends_at_the_total(store, notes):
    seen = []
    import_resources(store, [notes], progress=lambda done, total, name: seen.append((done, total, name)))
    assert seen[-1][0] == seen[-1][1] == sum(map(len, truth(notes).values())) and len(seen) == len(truth(notes))

"""Every command, its JSON, and its exit codes."""

import json
import os

import pytest

from door43fast.cli.program import COMMANDS
from door43fast.lmdb import LmdbStore

from .conftest import SAMPLE

VERSE = "door43fast/en_lit@3/57-TIT/001/002#57-TIT.usfm"


def test_import_says_what_it_brought_and_replaces(empty):
    report = empty.json("import", SAMPLE / "en_tn")
    (repository,) = report["repositories"]
    assert repository["repository"]["name"] == "door43fast/en_tn@3" and repository["repository"]["records"] == 20
    assert (repository["replaced"], report["store"]) == (False, str(empty.directory))
    again = empty("import", SAMPLE / "en_tn")
    assert again.exit_code == 0 and "replaced: 1 written, 0 deleted" in again.stdout


def test_import_into_a_directory_by_option(empty, tmp_path):
    other = tmp_path / "other"
    assert empty("import", SAMPLE / "en_tq", "--into", other, "--as", "me/questions@x").exit_code == 0
    assert not empty.directory.exists()
    assert [one["name"] for one in empty.json("stats", "--store", other)["repositories"]] == ["me/questions@x"]


def test_a_refused_source_leaves_no_store(empty, tmp_path):
    assert "does not exist" in empty.refused(3, "import", tmp_path / "nowhere")
    assert not empty.directory.exists()
    assert "max-bytes" in empty.refused(3, "import", SAMPLE, "--max-bytes", "10")
    os.symlink("/etc/passwd", tmp_path / "link")
    (tmp_path / "folder").mkdir()
    os.symlink("/etc/passwd", tmp_path / "folder" / "link")
    assert "--skip-links" in empty.refused(3, "import", tmp_path / "folder")
    assert empty("import", tmp_path / "folder", "--skip-links").exit_code == 0


def test_export_is_byte_for_byte(run, tmp_path):
    assert run("export", run.directory, "--to", tmp_path / "out").exit_code == 0
    for folder in SAMPLE.iterdir():
        (back,) = (tmp_path / "out" / "door43fast").glob(f"{folder.name}@*")
        files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*") if path.is_file()} == files
    one = run.json("export", "--to", tmp_path / "one", "-r", "door43fast/en_tw@")
    assert [repository["name"] for repository in one["repositories"]] == ["door43fast/en_tw@3"]
    assert "no imported repository" in run.refused(1, "export", "--to", tmp_path / "two", "-r", "nobody")


def test_export_of_what_lacks_records(run, tmp_path):
    with LmdbStore(run.directory) as store:
        del store[VERSE]
    assert "--partial" in run.refused(3, "export", "--to", tmp_path / "out")
    assert run("export", "--to", tmp_path / "out", "--partial").exit_code == 0
    assert "of its 19 records" in run.refused(1, "verify")


def test_get_prints_the_very_bytes(run):
    result = run("get", VERSE)
    assert result.stdout_bytes == (
        b"\\v 2 Who eats it\n\\q1 is glad,\n\\q2 and who bakes it\n"
        b"\\f + \\ft A baker, \\fv 3\\fv* or two.\\f* is gladder.\n\\p\n"
    )
    assert run.json("get", VERSE) == [{"key": VERSE, "type": "bytes", "value": result.stdout}]


def test_get_of_other_values(run):
    with LmdbStore(run.directory) as store:
        store["dict"], store["text"], store["odd"] = {"a": [1, None]}, "plain", b"\xff"
    assert json.loads(run("get", "dict").stdout) == {"a": [1, None]}
    assert run("get", "text", "odd").stdout_bytes == b"plain\xff"
    assert run.json("get", "dict", "odd") == [
        {"key": "dict", "type": "dict", "value": {"a": [1, None]}},
        {"key": "odd", "type": "bytes", "base64": "/w=="},
    ]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (VERSE.partition("#")[0], VERSE),
        (VERSE.replace("57-TIT/", "57-TTT/"), VERSE),
        (VERSE.replace("door43fast", "door43fas"), VERSE),
        ("door43fast/en_tw@3/bible/kt/braed.md", "door43fast/en_tw@3/bible/kt/bread.md"),
    ],
)
def test_get_of_a_wrong_key_names_the_nearest(run, wrong, meant):
    assert f"did you mean {meant}" in run.refused(1, "get", wrong)


def test_ls(run):
    listed = run("ls", "door43fast/en_lit@3/57-TIT/002/").stdout.splitlines()
    assert listed == [f"door43fast/en_lit@3/57-TIT/002/{verse}#57-TIT.usfm" for verse in ("000", "001", "002", "003")]
    assert run.json("ls", "door43fast/en_lit@3/57-TIT/002/") == listed
    assert run.json("ls", "-n", "2") == run("ls").stdout.splitlines()[:2]
    assert run("ls", "--count").stdout == "53\n" and run.json("ls", "--count") == {"prefix": "", "count": 53}
    assert any(key.startswith("~") for key in run.json("ls", "--all"))
    assert "did you mean door43fast/en_lit@3/" in run.refused(1, "ls", "door43fast/en_litt")


def test_passage(run):
    found = run.json("passage", "tit", "1:4")
    assert [(one["kind"], one["key"]) for one in found["records"]] == [
        ("text", "door43fast/en_lit@3/57-TIT/001/003-004#57-TIT.usfm"),
        ("note", "door43fast/en_tn@3/57-TIT/001/003/000007:%20xvs8#tn_TIT.tsv"),
        ("question", "door43fast/en_tq@2/57-TIT/001/003/000002:qa02#tq_TIT.tsv"),
        ("note", "door43fast/en_tn@3/57-TIT/001/004/000008:#tn_TIT.tsv"),
    ]
    assert run("passage", "Titus 1:4", "--keys").stdout.splitlines() == [one["key"] for one in found["records"]]
    assert {one["kind"] for one in run.json("passage", "TIT 1", "-k", "link", "-k", "note")["records"]} == {
        "link",
        "note",
    }
    assert "The {two} of them" in run("passage", "TIT 1:4").stdout
    assert "did you mean TIT (Titus)" in run.refused(2, "passage", "Tituss 1:1")
    assert "not a reference" in run.refused(2, "passage", "TIT 1:x")
    assert "nothing in" in run.refused(1, "passage", "REV 1:1")


def test_stats_and_verify(run):
    found = run.json("stats")
    assert [one["name"] for one in found["repositories"]] == [
        "door43fast/en_lit@3",
        "door43fast/en_tn@3",
        "door43fast/en_tq@2",
        "door43fast/en_tw@3",
        "door43fast/en_twl@3",
    ]
    assert found["counts"]["entries"] == len(run.json("ls", "--all")) and found["disk_bytes"] > 0
    assert "Sample Notes" in run("stats").stdout
    assert run.json("verify") == {"store": str(run.directory), "checked": found["counts"]["entries"], "errors": []}
    assert "all sound" in run("verify").stdout


def test_verify_finds_a_changed_byte(run):
    file = run.directory / "data.mdb"
    # Pages of earlier transactions still hold the text too.
    file.write_bytes(file.read_bytes().replace(b"Nobody had rowed it", b"Nobody had rowed at"))
    assert "damaged" in run.refused(1, "verify")


@pytest.mark.parametrize(
    "arguments", [("get", "x"), ("ls",), ("passage", "TIT 1:1"), ("stats",), ("verify",), ("export", "--to", "out")]
)
def test_without_a_store(empty, arguments):
    assert "there is no store at" in empty.refused(3, *arguments)
    assert not empty.directory.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("improt", "x"), "did you mean import?"),
        (("zzzzzz",), "there are import, export"),
        (("import",), "SOURCE"),
        (("ls", "--limt", "3"), "--limit"),
        (("export",), "--to"),
        (("passage", "TIT 1", "-k", "nots"), "note"),
        (("import", "x", "--as", "nonsense"), "owner/repository@version"),
        (("bench", "--records", "1"), "1000"),
    ],
)
def test_usage(empty, arguments, said):
    if "nonsense" in arguments:
        arguments = ("import", str(SAMPLE / "en_tn"), "--as", "nonsense")
    assert said in empty.refused(2, *arguments)


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_help_of_every_command(empty, command):
    result = empty(*([command] if command else []), "--help")
    assert result.exit_code == 0 and "--help" in result.stdout
    if command:
        assert "--json" in result.stdout
    else:
        assert all(name in result.stdout for name in COMMANDS)


def test_doctor(empty):
    found = empty.json("doctor")
    assert found["python"]["gil"] in ("on", "off") and set(found["libraries"]) == {"lmdb", "zstd", "xxhash"}
    assert found["native"]["memory"] == found["native"]["lmdb"] == "loaded"
    assert found["disk"]["free"] > 0 and found["packages"]["msgspec"]
    assert "door43fast doctor" in empty("doctor").stdout
    assert not empty.directory.exists()

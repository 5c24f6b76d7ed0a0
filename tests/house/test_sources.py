"""Files are short, named by a noun, and free of what must not be in a clone."""

import re

from sources import ROOT, files

CODE = ("*.py", "*.pyx", "*.pxd", "*.pyi", "*.h", "*.c")
LONGEST = 400
EMPTY_NAMES = re.compile(r"(?:^|[/_.])(?:utils?|helpers?|common|misc)(?:[/_.]|$)")
FOREIGN_PATH = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w")
TOP = {".ci", ".github", ".gitignore", "CHANGELOG.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "benchmarks",
       "cext", "docs", "door43fast", "examples", "pyproject.toml", "setup.py", "tests", "wheelhouse-config.toml"}
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def test_no_source_file_is_longer_than_the_limit():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
               for path in files(*CODE)}
    assert {name: count for name, count in lengths.items() if count > LONGEST} == {}, "split these by noun"


def test_names_say_what_is_in_a_file():
    assert [name for path in files(*CODE) if EMPTY_NAMES.search(name := str(path.relative_to(ROOT)))] == []


def test_nothing_else_lies_at_the_top():
    """Such as a store that a program tried out has left there."""
    assert {path.relative_to(ROOT).parts[0] for path in files()} - TOP == set()


def places(pattern, paths):
    for path in paths:
        if path.suffix in {".zip", ".gz", ".xz", ".png"} or path.parts[-2:] == ("house", "test_sources.py"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"


def test_no_path_of_one_machine_is_in_a_file():
    ours = [path for path in files() if not path.is_relative_to(ROOT / "examples")]
    assert list(places(FOREIGN_PATH, ours)) == []


def test_nothing_is_marked_unfinished():
    assert list(places(UNFINISHED, files(*CODE))) == []


def test_lines_fit():
    too_long = [f"{path.relative_to(ROOT)}:{number}" for path in files(*CODE)
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 120]
    assert too_long == []

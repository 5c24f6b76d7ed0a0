"""What the documentation says is so: links, commands, options, the first example, the version."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib

import click
import pytest

import door43fast
import door43fast.errors
from door43fast.cli.program import program
from door43fast.contracts import Store
from door43fast.surface import StoreSurface
from sources import ROOT, files

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PAGES = files("*.md")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    lost = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target) if target else page
        if not path.exists():
            lost.append(link)
        elif anchor and anchor not in headings(path):
            lost.append(link)
    assert lost == []


def headings(path):
    """The anchors of a page, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
            for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")}


def test_tests_named_in_the_documentation_exist():
    named = {match for page in PAGES for match in re.findall(
        r"\b(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text(encoding="utf-8"))}
    assert len(named) > 20
    assert [pair for pair in sorted(named) if not (ROOT / pair[0]).exists() or f"def {pair[1]}" not in (
        ROOT / pair[0]).read_text(encoding="utf-8")] == []


def test_pages_named_in_sources_exist():
    named = {(name, path) for path in files("*.py", "*.pyx", "*.pxd", "*.pyi", "Makefile")
             for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8"))}
    assert sorted({f"{name} (in {path.relative_to(ROOT)})" for name, path in named
                   if not (ROOT / name).exists() and path.parent.name != "house"}) == []


def test_every_page_is_on_the_map():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = set(LINK.findall(index))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - linked - {"index.md"} == set()


def test_commands_named_in_the_documentation_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(
        r"(?:^|`)make ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE)}
    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_the_first_example_runs_as_pasted(tmp_path):
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    for _ in range(2):      # and again, over the store that the first run left
        done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = [re.split(r"  +# ", line)[1].split(", computed")[0].strip()
                for line in example.splitlines() if line.strip().startswith("print(")]
        assert done.stdout.splitlines() == said


def test_the_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert project["version"] == door43fast.__version__ == newest


def options_of(stub, cls):
    """The options of a class's constructor, out of its stub: the compiled signature does not always tell."""
    tree = ast.parse((ROOT / "door43fast" / "native" / stub).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls)
    init = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__").args
    return {arg.arg for arg in init.args[1:] + init.kwonlyargs}


def documented(thing):
    """The names under the heading Parameters of a NumPy docstring."""
    part = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", inspect.getdoc(thing), re.DOTALL | re.MULTILINE)
    return {name.strip() for line in re.findall(r"^(\w[\w, ]*) : ", part.group(1), re.MULTILINE)
            for name in line.split(",")}


@pytest.mark.parametrize(("stub", "engine", "store"), [
    ("memory.pyi", "MemoryEngine", "MemoryStore"), ("lmdb.pyi", "LmdbEngine", "LmdbStore"),
    ("stack.pyi", "CascadeEngine", "Cascade")])
def test_every_option_of_a_store_is_documented(stub, engine, store):
    assert documented(getattr(door43fast, store)) == options_of(stub, engine)


def commands():
    context = click.Context(program)
    return [(name, program.get_command(context, name)) for name in program.list_commands(context)]


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_is_documented(name, command):
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.search(rf"^#+ .*\b{name}\b", page, re.MULTILINE) or f"`{name}" in page
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts} has no help"
            assert max(option.opts, key=len) in page, f"docs/cli.md does not name {option.opts} of {name}"


def test_public_names_are_where_they_are_said_to_be():
    for name in door43fast.__all__:
        thing = getattr(door43fast, name)
        assert inspect.getdoc(thing), f"door43fast.{name} has no docstring"
    assert importlib.util.find_spec("door43fast.testing") is not None


def test_every_method_of_a_store_is_in_the_tables():
    page = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    methods = {name for kind in (Store, StoreSurface, door43fast.LmdbStore) for name in dir(kind) if name[0] != "_"}
    assert {"get", "set_packed", "memoize", "train"} <= methods
    assert sorted(name for name in methods - {"aio", "plan"} if not re.search(rf"\b{name}\b", page)) == []


def test_every_error_is_in_the_table():
    page = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    raised = {name for name, kind in vars(door43fast.errors).items() if isinstance(kind, type)
              and issubclass(kind, door43fast.Error)} - {"Error", "SourceError", "PassageError"}
    assert sorted(name for name in raised if f"`{name}`" not in page or not hasattr(door43fast, name)) == []

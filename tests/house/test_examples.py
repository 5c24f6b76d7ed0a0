"""The examples in README, documentation and docstrings run as they are printed."""

import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from example_page import INSTEAD, PREPARED, ROOT, blocks
from sources import files

PAGES = [str(path.relative_to(ROOT)) for path in files("README.md", "docs/*.md")
         if list(blocks(path.read_text(encoding="utf-8")))]
DOCUMENTED = [path for path in files("door43fast/*.py") if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page, tmp_path, redis):
    text = (ROOT / page).read_text(encoding="utf-8")
    url = redis.url.replace("/0", f"/{1 + PAGES.index(page) % 15}")     # a database of its own
    done = subprocess.run([sys.executable, str(Path(__file__).parent / "example_page.py"), page, str(tmp_path), url],
                          capture_output=True, text=True, timeout=120, cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"{len(list(blocks(text)))} examples ran\n")


def test_what_is_prepared_is_for_a_page_that_there_is():
    assert not (PREPARED.keys() | INSTEAD.keys()) - set(PAGES)


@pytest.mark.parametrize("path", DOCUMENTED, ids=[path.stem for path in DOCUMENTED])
def test_the_examples_of_docstrings_run(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert result.attempted and not result.failed

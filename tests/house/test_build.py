"""The build says in one sentence what it lacks, and its settings name what exists."""

import ast
import os
import subprocess
import sys
import tomllib

from sources import ROOT, files


def test_a_missing_library_is_one_sentence():
    done = subprocess.run([sys.executable, "setup.py", "--name"], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": os.devnull})
    assert done.returncode == 1
    [sentence] = done.stderr.strip().splitlines()
    assert "liblmdb-dev" in sentence
    assert "libzstd-dev" in sentence
    assert "libxxhash-dev" in sentence


def test_setup_compiles_every_native_source():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert len(setup.splitlines()) < 200
    table = setup[setup.index("EXTENSIONS = {"):]
    table = ast.literal_eval(table[table.index("{"):table.index("\n}") + 2])
    listed = [module for modules in table.values() for module in modules.split()]
    assert sorted(listed) == sorted(path.stem for path in files("cext/door43fast/native/*.pyx"))


def test_wheel_settings_name_what_exists():
    wheels = tomllib.loads((ROOT / "wheelhouse-config.toml").read_text(encoding="utf-8"))["tool"]["cibuildwheel"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [source for source in wheels["test-sources"] if not (ROOT / source).exists()] == []
    assert set(wheels["test-groups"]) <= set(project["dependency-groups"])
    oldest = project["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert f"cp{oldest}-*" in wheels["build"]

"""The stubs of the native modules say what the modules are, and each module has one."""

import os
import subprocess
import sys

from sources import ROOT, files

ALLOWED = ROOT / "tests" / "house" / "stubtest-allowlist.txt"


def test_every_native_module_has_a_stub():
    modules = {path.stem for path in files("cext/door43fast/native/*.pyx")}
    stubs = {path.stem for path in files("door43fast/native/*.pyi")} - {"__init__"}
    assert modules == stubs


def test_stubs_match_the_modules(tmp_path):
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nfollow_imports = silent\n")      # what is in the package itself is another test's
    # PEP 800's mark for classes with a native layout is not in the typing module of our Pythons yet.
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--concise", "--ignore-disjoint-bases", "--allowlist", str(ALLOWED),
         "--mypy-config-file", str(settings), "door43fast.native"],
        cwd=ROOT, env=os.environ | {"MYPY_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

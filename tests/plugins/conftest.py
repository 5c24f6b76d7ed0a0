"""A package of somebody else's, installed as its user would, beside a door43fast that knows nothing of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Installed:
    """Runs Python where the package is installed."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, code, *arguments):
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": path}, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "thirdparty"
    shutil.copytree(Path(__file__).parent / "thirdparty", source)
    target = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "install", "--no-index", "--no-deps",
                    "--no-build-isolation", "--target", str(target), str(source)], check=True, timeout=300)
    return Installed(target)

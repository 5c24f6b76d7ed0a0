"""What the tests of the LMDB engine share: stores that are closed afterwards, and judges in another process."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def make(tmp_path):
    """Open stores below the test's directory; all are closed at its end."""
    from door43fast.lmdb import LmdbStore

    opened = []

    def make(name="store", **options):
        options.setdefault("durability", "none")
        store = LmdbStore(tmp_path / name, **options)
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def judge():
    """Run Python code in a process of its own and return what it prints as JSON.

    Two copies of LMDB in one process break each other's locks, so py-lmdb never runs in this one.
    """

    def judge(code, *arguments, limit=60):
        run = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True,
                             timeout=limit)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout) if run.stdout.strip() else None

    return judge

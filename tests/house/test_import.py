"""Importing the package is quick and brings in no optional library."""

import os
import subprocess
import sys

TRIES = 10
LIMIT_MS = 30

MEASURE = """
import time
start = time.perf_counter_ns()
import door43fast
print(time.perf_counter_ns() - start)
"""

HEAVY = ("numpy", "msgspec", "click", "rich", "yaml", "pyarrow", "redis", "lmdb", "asyncio", "sqlite3")


def child(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                          env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""}, timeout=60).stdout


def test_import_takes_less_than_its_limit():
    best = min(int(child(MEASURE)) for _ in range(TRIES)) / 1e6
    assert best < LIMIT_MS, f"the quickest of {TRIES} imports took {best:.1f} ms"


def test_import_brings_in_nothing_heavy():
    loaded = child("import door43fast, sys; print(' '.join(sys.modules))").split()
    assert [name for name in HEAVY if name in loaded] == []

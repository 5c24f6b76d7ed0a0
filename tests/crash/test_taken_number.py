"""Commits that fail, whose numbers another process takes: LMDB gives back its lock before it says that one failed."""

import json
import subprocess
import sys

from preloaded import compiled, under

JOURNALLED = """
import json, os, resource, subprocess, sys
import door43fast as d43
path = sys.argv[1]
store = d43.LmdbStore(path, durability="none")
store["a"] = 1
number = store.stats()["transactions"] + 1
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
try:
    store["large"] = bytes(8 << 20)
except d43.MapFullError:
    failed = True
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
subprocess.run([sys.executable, "-c", "import sys, door43fast as d43; d43.LmdbStore(sys.argv[1], journal=True).close()",
                path], check=True)
taken = store.stats()["transactions"]
store["b"] = 2
with d43.LmdbStore(path, readonly=True) as reader:
    print(json.dumps([failed, taken - number, [change.key for change in reader.changes(0)]]))
"""


def test_a_read_of_memory_sees_who_took_the_number(tmp_path):
    """While the thread whose commit failed is stopped before it can say so, and afterwards."""
    run = under(compiled("unlocks", tmp_path), "taken.py", tmp_path / "store", timeout=120)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found.pop("number") == found.pop("taken")        # else the number alone would have told of it
    assert found == {"between": "theirs", "after": "theirs", "b": "ours again", "raised": 1}


def test_a_journal_that_another_has_made_under_the_number_is_kept(tmp_path):
    """What is known of a store up to a transaction is known of none that failed."""
    run = subprocess.run([sys.executable, "-c", JOURNALLED, str(tmp_path / "store")], capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [True, 0, ["b"]]


def test_where_the_number_cannot_be_looked_at_lmdb_is_asked(tmp_path):
    run = under(compiled("faults", tmp_path), "unshown.py", tmp_path, root=tmp_path, timeout=120)
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["mapped"] for one in found].count(1) == 1 and {one["mapped"] for one in found} <= {1, 2}
    assert all(one["work"] == [["ours", "ours", "ours"], "theirs", None] for one in found), found


def test_it_can_be_looked_at_here(tmp_path):
    """By LMDB and by us: else each read of memory would ask LMDB, and be right, but slow."""
    run = subprocess.run([sys.executable, "-c", "import sys, door43fast as d43\nwith d43.LmdbStore(sys.argv[1]):\n"
                          "    print(open('/proc/self/maps').read())", str(tmp_path / "s")], capture_output=True,
                         text=True, timeout=120, check=True)
    assert sum(line.endswith("/s/lock.mdb") for line in run.stdout.splitlines()) == 2

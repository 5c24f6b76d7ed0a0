"""Calls that fail: each write, sync, open, rename, ... of a fixed piece of work in turn, at each level of durability.

After each: a clear error or none, the store goes on or says that it cannot, and opened afresh it holds what was
acknowledged (and of a step that raised all or nothing), sound for ``verify()`` and for py-lmdb's verifier.
DOOR43FAST_FAULTS says how many calls of each kind; the nightly run takes them all.
"""

import collections
import errno
import os
import sys

import pytest
from preloaded import answers, compiled, under

FAULTS = int(os.environ.get("DOOR43FAST_FAULTS", "3"))
EVERY = 1000            # of which on all calls are tried
KINDS = [
    ("write", "once", errno.ENOSPC), ("write", "once", errno.EIO), ("write", "always", errno.ENOSPC),
    ("write", "short", errno.ENOSPC), ("sync", "once", errno.EIO), ("sync", "always", errno.EIO),
    ("truncate", "once", errno.ENOSPC), ("open", "once", errno.ENOSPC), ("open", "always", errno.EMFILE),
    ("rename", "once", errno.EIO), ("unlink", "once", errno.EIO), ("mmap", "once", errno.ENOMEM),
    ("malloc", "once", errno.ENOMEM),
]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the shim is loaded as Linux does it")


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    return compiled("faults", tmp_path_factory.mktemp("shim"))


def tried(faults, folder, level, kind, way, error):
    """What came of each call that failed. A sample takes every fifth, from another one on for each kind and level."""
    few = FAULTS >= EVERY or kind in ("rename", "truncate", "unlink", "mmap")
    first, step = (1, 1) if few else (1 + len(level + way) % 3, 5)
    run = under(faults, "faulty.py", folder / "w", level, kind, way, error, first, step, FAULTS,
                root=folder / "w", timeout=3000)
    assert run.returncode == 0, run.stderr
    return answers(lambda _: run, run.stdout.count("\n"))


@pytest.mark.parametrize("level", ["commit", "batch", "none"])
@pytest.mark.parametrize(("kind", "way", "error"), KINDS)
def test_a_call_that_fails_loses_nothing(faults, tmp_path, level, kind, way, error, capsys):
    sites = tried(faults, tmp_path, level, kind, way, error)
    assert [site for site in sites if site["found"] != "sound"] == []
    assert sites
    said = [one for site in sites for one in site["errors"]]
    assert all(len(words) > 30 and "Errno" not in words for _, _, name, words in said if name != "MemoryError"), said
    with capsys.disabled():
        names = dict(collections.Counter(site["errors"][0][2] if site["errors"] else "nothing" for site in sites))
        print(f" [{level}: {len(sites)} calls of {kind}, {way} {errno.errorcode[error]}, raised: {names}] ", end="")


def test_the_harness_would_see_a_lost_write(faults, tmp_path):
    """A write that says that it was done, and was not, is what no error tells of."""
    run = under(faults, "faulty.py", tmp_path / "w", "commit", "write", "lie", 0, 3, 2, 12, root=tmp_path / "w")
    assert run.returncode == 0, run.stderr
    sites = answers(lambda _: run, run.stdout.count("\n"))
    assert len(sites) == 12 and any(site["found"] != "sound" for site in sites)

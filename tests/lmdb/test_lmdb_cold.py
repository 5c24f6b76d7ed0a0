"""Batches whose pages are not in memory ask for them ahead, in order of place; batches in memory ask for nothing."""

import os
import random
import subprocess
import sys

import pytest

from door43fast.lmdb import LmdbStore

COUNT = 60_000


def value(number):
    return b"%08d" % number * 100 if number % 50 else b"%08d" % number * 2000


def evict(path):
    """Give the pages of a closed store back to the system."""
    fd = os.open(os.path.join(path, "data.mdb"), os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def asks(log):
    """How many times pages were asked for before each line that was written."""
    counts, count = {}, 0
    for line in log.read_text().splitlines():
        if "MADV_WILLNEED" in line:
            count += 1
        for word in ("opened", "cold", "warm"):
            if f'"{word}' in line:
                counts[word], count = count, 0
    return counts


TRACED = """
import random, sys
from door43fast.lmdb import LmdbStore
sys.path.insert(0, sys.argv[2])
from test_lmdb_cold import COUNT, value
store = LmdbStore(sys.argv[1], durability="none")
print("opened", flush=True)
some = random.Random(1).sample(range(COUNT), 3000)
names = [f"{number:08d}" for number in some]
read = getattr(store, sys.argv[3])
for word in ("cold", "warm"):
    found = read(names)
    if sys.argv[3] == "contains_many":
        assert found == [True] * 3000
    else:
        assert list(found) == [value(number) for number in some]
    print(word, flush=True)
store.close()
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("cold") / "store"
    with LmdbStore(path, durability="none") as store:
        store.set_many({f"{number:08d}": value(number) for number in range(COUNT)})
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="how pages are asked for and counted is of Linux")
@pytest.mark.parametrize("method", ["get_many", "get_packed", "contains_many"])
def test_a_cold_batch_asks_ahead_and_a_warm_one_does_not(filled, tmp_path, method):
    evict(filled)
    log = tmp_path / "trace"
    run = subprocess.run(["strace", "-f", "-e", "trace=madvise,write", "-o", log, sys.executable, "-c", TRACED, filled,
                          os.path.dirname(__file__), method], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    counts = asks(log)
    assert counts["opened"] == counts["warm"] == 0
    assert counts["cold"] > 100


@pytest.mark.parametrize("seed", range(3))
def test_what_is_read_cold_is_right(tmp_path, seed):
    """Large and small values, keys that are not there, the index warm or empty, a writer between."""
    rng = random.Random(seed)
    path = tmp_path / "store"
    model = {f"{number:08d}": value(number) for number in rng.sample(range(COUNT), 8000)}
    with LmdbStore(path, durability="none") as store:
        store.set_many(model)
    for _ in range(3):
        evict(path)
        with LmdbStore(path, durability="none") as store:
            names = [f"{number:08d}" for number in rng.sample(range(COUNT), 5000)]
            assert store.get_many(names) == [model.get(name) for name in names]
            store.flush()
            evict(path)
            assert store.get_packed(names).tolist() == [model.get(name) for name in names]
            changed = {name: b"new" for name in names[::9]}
            store.set_many(changed)
            model.update(changed)
            assert store.contains_many(names) == [name in model for name in names]
            assert store.get_many(names) == [model.get(name) for name in names]

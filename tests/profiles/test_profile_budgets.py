"""Each profile stays within its bytes under load, with real texts where they are."""

import os
import random
from pathlib import Path

import pytest

import door43fast as d43
from door43fast.profiles import OURS

HOME = Path(__file__).parents[2]
DATA = Path(os.environ.get("DOOR43FAST_DATA") or HOME / ".." / "shared" / "data" / "door43") / "rc"
MB = 1 << 20


def texts(total):
    """Keys and lines of resources, over and over as of another release, up to ``total`` bytes."""
    folder = DATA if DATA.is_dir() else HOME / "examples" / "rc"
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".tsv", ".usfm", ".md") and len(lines) < 40_000:
            name = path.relative_to(folder)
            lines += [(f"{name}/{number:05}", line) for number, line in enumerate(path.read_bytes().splitlines()[:500])
                      if line]
    done = release = 0
    while done < total:
        for key, line in lines:
            yield f"@{release}/{key}", line
            done += len(line) + len(key)
            if done >= total:
                return
        release += 1


def batches(items, count=500):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == count:
            yield batch
            batch = []
    yield batch


def used(store):
    """Bytes in memory, of the file, and of the index."""
    memory, disk = store.stats()["layers"]
    return memory["bytes"], os.path.getsize(os.path.join(store.slow.path, "data.mdb")), disk["index_bytes"]


# The same settings with smaller numbers on disk, so that they are full in seconds: memory, disk, load.
SCALED = {"bible-reader": (10 * MB, 24 * MB, 34 * MB), "translation-tool": (4 * MB, 16 * MB, 40 * MB),
          "review-platform": (3 * MB, 16 * MB, 26 * MB), "server-api": (4 * MB, 16 * MB, 26 * MB)}


@pytest.mark.parametrize("name", OURS)
def test_within_its_bytes_under_load(name, tmp_path):
    memory, disk, load = SCALED[name]
    journal = {"journal": {"max_bytes": 2 * MB}} if name == "review-platform" else {}     # else 64 MB
    profile = OURS[name].extended("scaled", memory={"max_bytes": memory}, disk={"max_bytes": disk, **journal})
    index = next(one.value for one in profile.explain() if one.path == "disk.index_bytes")
    dice, written, full, most = random.Random(1), {}, False, [0, 0, 0]
    with profile.open(tmp_path / "s") as store:
        for batch in batches(texts(load)):
            try:
                store.set_many(batch)
            except d43.BudgetError:
                full = True
                break
            written.update((key, hash(line)) for key, line in batch)
            for key in dice.choices(list(written)[-5000:] + list(written)[:100], k=50):
                value = store.get(key)
                assert value is None or hash(value) == written[key]
            most = [max(pair) for pair in zip(most, used(store), strict=True)]
            assert most[0] <= memory and most[1] <= disk and most[2] <= index
        assert most[0] > memory * 0.7 and most[1] > disk * 0.7, "it was not full"
        if name == "translation-tool":      # no work is lost, and a full disk is said
            assert full and store.stats()["layers"][1]["evictions"] == 0
            assert all(hash(store[key]) == line for key, line in written.items()) and len(store) == len(written)
            assert sum(1 for _ in store.changes()) == len(written)
        else:
            assert not full and store.stats()["layers"][1]["evictions"] > 0
            assert store[batch[-1][0]] == batch[-1][1]
        assert store.stats()["layers"][0]["evictions"] > 0


def test_times_to_live_are_those_of_the_profile(tmp_path):
    for name, memory, disk in (("bible-reader", 300, None), ("translation-tool", 1800, None),
                               ("review-platform", 600, 7 * 86400), ("server-api", 3600, None)):
        with OURS[name].open(tmp_path / name) as store:
            store["k"] = b"v"
            left = store.slow.ttl("k")
            assert left is None if disk is None else disk - 60 < left <= disk + 1
            assert memory - 60 < store.fast.ttl("k") <= memory + 1

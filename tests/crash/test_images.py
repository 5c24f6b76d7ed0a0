"""Power-loss images: what a disk may hold, at any instant, of what a process wrote to it and had synced or not.

A store is written to under a shim that records each change of a file and each sync (shim/recorder.c). From the record,
disk.py makes images, judge.py opens each after a feigned restart of the system, and oracle.py knows what had been
acknowledged and synced by then. DOOR43FAST_IMAGES says how many, for each level and number of threads.
"""

import collections
import os
import random
import shutil
import signal
import sys
import warnings

import disk
import pytest
from oracle import Oracle
from preloaded import answers, compiled, under

from door43fast.lmdb import LmdbStore

IMAGES = int(os.environ.get("DOOR43FAST_IMAGES", "60"))
EACH = min(IMAGES, 200)         # of a recording
DEEDS = 300                     # of a recording, all threads together
INTERVAL = 0.1         # between two syncs under ``batch``, seconds
CASES = [(level, threads) for level in ("commit", "batch", "none") for threads in (1, 3)]

# What an image must not show. Under ``none`` a state may come back that is older than the last sync, and what was
# damaged since is refused.
FORBIDDEN = {
    "commit": {"less", "lost", "mixed", "wrong", "refused", "error", "crash"},
    "batch": {"lost", "mixed", "wrong", "refused", "error", "crash"},
    "none": {"wrong", "error", "crash"},
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the shim is loaded as Linux does it")


@pytest.fixture(scope="module")
def recorder(tmp_path_factory):
    return compiled("recorder", tmp_path_factory.mktemp("shim"))


def recorded(recorder, folder, level, threads, seed, ignore="", count=DEEDS):
    (folder / "d").mkdir(parents=True)
    for parts, ends in (((0,), -signal.SIGKILL), ((1, 2), 0)):
        run = under(recorder, "deeds.py", folder / "d", level, seed, threads, count // threads, INTERVAL, *parts,
                    root=folder / "d", log=folder / "log", sync_us=200, ignore=ignore)
        assert run.returncode == ends, run.stderr
    return folder / "log"


def judged(recorder, folder, level, threads, seed, images, ignore="", without="", count=DEEDS):
    log = recorded(recorder, folder, level, threads, seed, ignore, count)
    return answers(lambda first: under(recorder, "judge.py", log, level, seed, threads, count // threads, images,
                                       folder / "image", first, without), images)


@pytest.fixture(scope="module")
def found(recorder, tmp_path_factory):
    """What the images of a level show: a list for each case, made when it is first asked for."""
    made = {}

    def of(level, threads):
        if (level, threads) not in made:
            made[level, threads] = [
                one for seed in range(max(1, IMAGES // EACH))
                for one in judged(recorder, tmp_path_factory.mktemp("images"), level, threads, seed, EACH)]
        return made[level, threads]

    return of


def counts(images):
    return dict(collections.Counter(one["found"] for one in images))


@pytest.mark.parametrize(("level", "threads"), CASES)
def test_each_level_keeps_its_promise(found, level, threads, capsys):
    images = found(level, threads)
    assert [one for one in images if one["found"] in FORBIDDEN[level]] == []
    # Between closing a store and the next write to it nothing may be lost at any level.
    assert [one for one in images if one["clean"] and one["found"] != "complete"] == []
    with capsys.disabled():
        print(f" [{level}, {threads} threads: {counts(images)}] ", end="")


def test_each_level_shows_a_loss_that_the_next_one_forbids(found):
    """Else the images would not tell the levels apart."""
    shown = {level: {one["found"] for threads in (1, 3) for one in found(level, threads)} for level in FORBIDDEN}
    assert "less" in shown["batch"] and "less" in FORBIDDEN["commit"]
    assert "refused" in shown["none"] and "refused" in FORBIDDEN["batch"]
    assert shown["commit"] == {"complete"}


@pytest.mark.parametrize(("level", "guard"), [
    ("commit", "data.mdb"), ("commit", "dsync"), ("commit", "/"), ("batch", "data.mdb"), ("batch", "unsynced-"),
    ("batch", "/"), ("none", "data.mdb"), ("none", "/")])
def test_without_a_sync_the_promise_is_broken(recorder, tmp_path, level, guard):
    """Syncs of the data, of each head page, of the marker with its way back, of directories: one kind does nothing."""
    images = judged(recorder, tmp_path, level, 1, 4, 40, ignore=guard)
    broken = [one for one in images if one["found"] in FORBIDDEN[level]
              or (one["clean"] and one["found"] != "complete")]
    assert broken, counts(images)


@pytest.mark.parametrize(("file", "number"), [("data.mdb", 5), ("data.mdb", 7), ("unsynced-", 4), ("unsynced-", 6)])
def test_a_sync_that_fails_is_believed_for_ever(recorder, tmp_path, file, number):
    """The system forgets the pages that it could not write, and its next sync succeeds. What is on the disk is the
    state before, whole; and no process takes what is left in memory for synced.
    """
    (tmp_path / "d").mkdir()
    run = under(recorder, "deeds.py", tmp_path / "d", "batch", 6, 1, 700, INTERVAL, 0, root=tmp_path / "d",
                log=tmp_path / "log", sync_us=200, fail=f"{file}:{number}")
    assert "F" in [kind for kind, *_ in disk.records(tmp_path / "log")]
    images = answers(lambda first: under(recorder, "judge.py", tmp_path / "log", "batch", 6, 1, 700, 40,
                                         tmp_path / "image", first, ""), 40)
    assert [one for one in images if one["found"] in FORBIDDEN["batch"]] == []
    if file == "data.mdb":
        assert "whatever later ones say" in run.stderr
        assert {path.read_bytes()[:36] for path in (tmp_path / "d" / "s").glob("unsynced-*")} == {bytes(36)}


@pytest.mark.parametrize("guard", ["way", "kept"])
def test_without_the_way_back_the_promise_is_broken(recorder, tmp_path, guard):
    """What the marker file holds: the head page that was saved, and the pages that were kept for it."""
    images = []
    for seed in range(5):       # how many pages of a saved state are used again depends on the machine's pace
        images += judged(recorder, tmp_path / str(seed), "batch", 1, seed, 100, without=guard, count=900)
        if any(one["found"] in FORBIDDEN["batch"] for one in images):
            return
    pytest.fail(str(counts(images)))


def test_the_model_of_the_disk_follows_the_files(recorder, tmp_path):
    """What is recorded is all that happened: at the end the model holds the very bytes of the files."""
    log = recorded(recorder, tmp_path, "batch", 3, 5)
    state, oracle = disk.Disk(), Oracle(5, 3, DEEDS // 3)
    kinds = collections.Counter()
    for record in disk.records(log):
        oracle.take(*record, state.take(*record))
        kinds[record[0]] += 1
    for folder in ("s", "copy"):
        assert state.find(folder).live.keys() == set(os.listdir(tmp_path / "d" / folder))
        for name, file in state.find(folder).live.items():
            if name not in ("lock.mdb", "flights"):      # they are written to by a map
                assert file.live.read(0, file.live.size) == (tmp_path / "d" / folder / name).read_bytes(), name
    assert oracle.kept == oracle.acknowledged == oracle.begun == [DEEDS // 3] * 3
    assert all(kinds[kind] for kind in "OWSTUMRBEN")


def test_a_change_that_the_model_does_not_know_is_told(recorder, tmp_path):
    (tmp_path / "d").mkdir()
    code = tmp_path / "code.py"
    code.write_text("import os, sys\nfd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
                    "os.posix_fallocate(fd, 0, 10)")
    assert under(recorder, code, tmp_path / "d" / "file", root=tmp_path / "d", log=tmp_path / "log").returncode == 0
    state = disk.Disk()
    with pytest.raises(AssertionError, match="posix_fallocate"):
        for record in disk.records(tmp_path / "log"):
            state.take(*record)


def test_the_disk_keeps_what_was_synced_and_only_that():
    """A file by hand: 4 KiB synced, then 8 KiB more of which any sector may be there, and a name that is not synced."""
    state, rng = disk.Disk(), random.Random(1)
    steps = [("M", 0, 0, b"s"), ("O", 1, 2, b""), ("B", 1, 1, b""), ("E", 1, 1, b""), ("O", 2, 0, b"s/f"),
             ("W", 2, 0, b"a" * 4096), ("B", 2, 2, b""), ("W", 2, 0, b"b" * 8192), ("E", 2, 2, b"")]
    for step in steps:
        state.take(*step)
    seen = set()
    for _ in range(200):
        file = state.find("s/f").torn(rng)
        content = file.read(0, file.size)
        assert 4096 <= len(content) <= 8192 and set(content[:4096:512]) <= set(b"ab")
        seen.add(content)
    assert b"a" * 4096 in seen and b"b" * 8192 in seen and len(seen) > 10
    assert state.root.sure.keys() == {"s"} and state.find("s").sure == {}


def test_a_store_that_is_set_aside_leaves_nothing_that_cannot_be_opened(recorder, tmp_path):
    """A power loss at every instant of it. The damaged files are renamed one by one, and a new store takes their place:
    whatever of that came to the disk, ``on_damage="set_aside"`` opens it, and what was acknowledged is there.
    """
    (tmp_path / "d").mkdir()
    run = under(recorder, "aside.py", tmp_path / "d" / "s", root=tmp_path / "d", log=tmp_path / "log")
    assert run.returncode == 0, run.stderr
    state, rng, begun, acknowledged, aside = disk.Disk(), random.Random(3), False, {}, 0
    for record in disk.records(tmp_path / "log"):
        state.take(*record)
        if record[0] == "N":
            begun = True
            acknowledged = {"new": b"n" * 9000} if record[3] == b"written" else {}
        if not begun:
            continue
        for number in range(2):
            image = tmp_path / "image"
            state.image(rng, image)
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                with LmdbStore(image / "s", on_damage="set_aside") as store:
                    held = dict(store.scan())
            aside += bool(said)
            assert held in (acknowledged, {"old": b"o" * 9000}, {"new": b"n" * 9000}), record
            assert held == acknowledged or not acknowledged
            shutil.rmtree(image)
    assert aside > 0 and acknowledged

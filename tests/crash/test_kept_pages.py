"""Power losses of a store at full speed: pages of the saved state are used again, and come back out of the marker file.

A writer is stopped again and again and its directory copied. Two copies between which no sync has ended may lie on a
disk in any mixture of their pages; what is put back must be the store after one of its writes, whole.
"""

import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest
from counting import KEYS

import door43fast
from door43fast.lmdb import LmdbStore

PAGE = 4096
PAIRS = max(5, int(os.environ.get("DOOR43FAST_IMAGES", "60")) // 10)
CODE = pathlib.Path(__file__).with_name("counting.py")
WHERE = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [
    str(pathlib.Path(door43fast.__file__).parents[1]), os.environ.get("PYTHONPATH")]))}
LOG = 512 + 2 * (16 + PAGE) + 4095 & ~4095      # where it begins in a marker file
SAVED_AT = (512 + 16 + 144, 512 + 16 + PAGE + 16 + 144)


def marker(directory):
    found, = directory.glob("unsynced-*")
    return found


def copied(source, target):
    """A copy that leaves the holes of the marker file out."""
    target.mkdir()
    subprocess.run(["cp", "--sparse=always", *map(str, source.iterdir()), str(target)], check=True)


def saved(directory):
    """The number of the newest saved state."""
    content = marker(directory).read_bytes()[:LOG]
    return max(struct.unpack_from("<Q", content, at)[0] for at in SAVED_AT if len(content) >= at + 8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs of copies of a store at work, no sync having ended in between, and the writer's own end."""
    base = tmp_path_factory.mktemp("stopped")
    store, found, before = base / "s", [], None
    with subprocess.Popen([sys.executable, CODE, store, "0.4"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=WHERE) as writer:
        assert writer.stdout.read(1) == b"r"
        rng = random.Random(3)
        for number in range(1000):
            time.sleep(rng.uniform(0.002, 0.03))        # which instants are caught is what the test varies
            writer.send_signal(signal.SIGSTOP)
            copied(store, base / str(number))
            writer.send_signal(signal.SIGCONT)
            if before is not None and saved(before) == saved(base / str(number)):
                found.append((before, base / str(number)))
            elif before is not None and not any(before in pair for pair in found):
                shutil.rmtree(before)
            before = base / str(number)
            if len(found) >= PAIRS:
                break
        writer.stdin.close()
        assert writer.wait(60) == 0
    yield found
    shutil.rmtree(base)


def image(rng, older, newer, target, kept):
    """A directory with pages of both copies and the newer marker; the system has started anew since."""
    copied(newer, target)
    old, new = bytearray((older / "data.mdb").read_bytes()), (newer / "data.mdb").read_bytes()
    if rng.random() < 0.8:
        old.extend(bytes(max(0, len(new) - len(old))))
    share = rng.choice([0, 1, rng.random()])
    for at in range(0, min(len(old), len(new)), PAGE):
        chance = rng.random()
        if chance < share:
            old[at:at + PAGE] = new[at:at + PAGE]
        elif chance < share + 0.05:
            half = rng.randrange(0, PAGE, 512)
            old[at:at + half] = new[at:at + half]
    (target / "data.mdb").write_bytes(old)
    with open(marker(target), "r+b") as file:
        file.write(b"00000000-0000-0000-0000-000000000000")
        if not kept:
            file.truncate(LOG)


def put_back(target):
    """After which write a store is that is opened again: a number, or else what went wrong."""
    run = subprocess.run([sys.executable, CODE, target], capture_output=True, text=True, env=WHERE, timeout=120)
    shutil.rmtree(target)
    return run.stdout.strip() if run.returncode == 0 else run.stderr or run.returncode


def test_what_is_put_back_is_the_store_after_one_of_its_writes(pairs, tmp_path):
    rng = random.Random(7)
    assert len(pairs) >= PAIRS
    newest = KEYS
    for older, newer in pairs:
        image(rng, older, newer, tmp_path / "image", kept=True)
        n = put_back(tmp_path / "image")
        assert n.isdecimal() and int(n) >= newest, (older, newer, n)
        newest = int(n)     # what a sync had saved once is never lost later


def test_without_the_pages_that_were_kept_it_would_not_be(pairs, tmp_path):
    """What makes the test above mean something. A tree of nonsense may end the process that reads it."""
    rng = random.Random(7)
    told = []
    for older, newer in pairs:
        image(rng, older, newer, tmp_path / "image", kept=False)
        told.append(put_back(tmp_path / "image"))
    assert not all(str(n).isdecimal() for n in told), told


def test_pages_are_used_again_between_two_syncs(tmp_path):
    """Without that the file would grow by all that is written in an interval, here about 100 MB."""
    with LmdbStore(tmp_path / "s", durability="batch", sync_interval=3600) as store:
        for n in range(10_000):
            store[f"k{n % KEYS}"] = bytes(100)
        assert store.stats()["bytes"] < 30_000_000

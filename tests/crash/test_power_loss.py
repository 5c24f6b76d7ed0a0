"""Images of a store as a power loss may leave it: of the pages that were not synced, any may be old, new or torn.

An image is made from two copies of the directory, one from just after a sync and one from later. Whatever mixture of
pages lies on the disk, ``batch`` goes back to the synced state or a later one that was saved, and loses nothing older.
"""

import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest

import door43fast
from door43fast.errors import CorruptError
from door43fast.lmdb import LmdbStore

IMAGES = int(os.environ.get("DOOR43FAST_IMAGES", "60"))
PAGE = 4096
ROOT = pathlib.Path(door43fast.__file__).parents[1]
HELD = """
import sys
from door43fast.lmdb import LmdbStore
with LmdbStore(sys.argv[1], durability="none") as store:
    print(repr(sorted(store.scan())), end="")
"""


def mixture(rng, synced, later, target):
    """A directory whose data.mdb has pages of both copies; the system has started anew since.

    The marker is the later one: what is written there is synced before any page of the synced state is used again.
    """
    shutil.copytree(later, target)
    old = (synced / "data.mdb").read_bytes()
    new = (later / "data.mdb").read_bytes()
    out = bytearray(old)
    if rng.random() < 0.8:      # the file's length may have reached the disk, or not
        out.extend(bytes(max(0, len(new) - len(old))))
    share = rng.random()
    for at in range(0, min(len(out), len(new)), PAGE):
        chance = rng.random()
        if chance < share:
            out[at:at + PAGE] = new[at:at + PAGE]
        elif chance < share + 0.05:
            half = rng.randrange(0, PAGE, 512)
            out[at:at + half] = new[at:at + half]
    (target / "data.mdb").write_bytes(out)
    for marker in target.glob("unsynced-*"):
        content = marker.read_bytes()
        head = content[:512].replace(content[:36], b"00000000-0000-0000-0000-000000000000")
        marker.write_bytes(head + content[512:])


def work(rng, store, model, steps):
    for _ in range(steps):
        key = f"k{rng.randrange(400)}"
        if rng.random() < 0.3:
            store.delete(key)
            model.pop(key, None)
        else:
            model[key] = store[key] = rng.randbytes(rng.choice([5, 300, 3000, 20_000]))


def work_and_copy(tmp_path, seed, durability):
    """A store at work; its model at the last sync, and the copies of that instant and of a later one."""
    rng = random.Random(seed)
    model = {}
    with LmdbStore(tmp_path / "s", durability=durability, sync_interval=3600) as store:
        work(rng, store, model, 150)
        store.flush()
        at_sync = dict(model)
        shutil.copytree(tmp_path / "s", tmp_path / "synced")
        work(rng, store, model, 60)
        shutil.copytree(tmp_path / "s", tmp_path / "later")
    return rng, at_sync


@pytest.mark.parametrize("seed", range(3))
def test_batch_goes_back_to_what_was_synced(tmp_path, seed):
    rng, at_sync = work_and_copy(tmp_path, seed, "batch")
    for image in range(IMAGES // 3):
        target = tmp_path / f"image{image}"
        mixture(rng, tmp_path / "synced", tmp_path / "later", target)
        with LmdbStore(target, durability="batch") as store:
            assert dict(store.scan()) == at_sync, image
            store["after"] = b"it goes on"
            store.flush()
        with LmdbStore(target) as store:
            assert store["after"] == b"it goes on" and store.verify()["checked"] == len(at_sync) + 1
        shutil.rmtree(target)


def test_a_torn_save_leaves_the_one_before(tmp_path):
    """The marker has two places, written in turns: half a write spoils the newer one only."""
    model = {}
    rng = random.Random(5)
    with LmdbStore(tmp_path / "s", durability="batch", sync_interval=3600) as store:
        work(rng, store, model, 50)
        store.flush()
        before = dict(model)
        work(rng, store, model, 50)
        store.flush()
        shutil.copytree(tmp_path / "s", tmp_path / "image")
    marker, = (tmp_path / "image").glob("unsynced-*")
    content = bytearray(marker.read_bytes())
    places = [512, 512 + 16 + PAGE]
    newer = max(places, key=lambda at: content[at + 16 + 144:at + 16 + 152][::-1])
    content[newer + 100:newer + 16 + PAGE] = bytes(16 + PAGE - 100)
    content[:36] = b"0" * 36
    marker.write_bytes(content)
    with LmdbStore(tmp_path / "image", durability="batch") as store:
        assert dict(store.scan()) == before


def test_without_the_way_back_the_images_are_not_all_sound(tmp_path):
    """What makes the test above mean something: the same images without the saved pages come out wrong."""
    rng, at_sync = work_and_copy(tmp_path, 1, "batch")
    wrong = 0
    for image in range(12):
        target = tmp_path / f"image{image}"
        mixture(rng, tmp_path / "synced", tmp_path / "later", target)
        for marker in target.glob("unsynced-*"):
            marker.unlink()
        # A tree of nonsense may end the process that reads it.
        run = subprocess.run([sys.executable, "-c", HELD, target], capture_output=True, timeout=60, cwd=ROOT)
        wrong += run.returncode != 0 or run.stdout.decode() != repr(sorted(at_sync.items()))
    assert wrong > 0


def test_an_idle_process_does_not_keep_pages_from_others(tmp_path):
    """Its reader follows the newest state, though it has nothing to sync itself."""
    with LmdbStore(tmp_path / "s", durability="batch", sync_interval=0.005) as idle:
        idle["k"] = b"v"
        code = "import sys, time; from door43fast.lmdb import LmdbStore\n" \
               "s = LmdbStore(sys.argv[1], durability='batch', sync_interval=0.005)\n" \
               "for i in range(200): s['x'] = bytes(100_000); time.sleep(0.003)\ns.close()"
        subprocess.run([sys.executable, "-c", code, tmp_path / "s"], check=True, timeout=60, cwd=ROOT)
        assert idle.stats()["bytes"] < 6_000_000


@pytest.mark.parametrize("hurt", [False, True])
def test_large_values_are_checked_before_anything_is_served(tmp_path, hurt):
    """Their chunks are not in the records; after a power loss they are read through as well."""
    value = random.Random(8).randbytes(3 << 20)
    with LmdbStore(tmp_path / "s", durability="none") as store:
        store["k"] = value
        shutil.copytree(tmp_path / "s", tmp_path / "image")
    (marker,) = (tmp_path / "image").glob("unsynced-*")
    content = marker.read_bytes()
    marker.write_bytes(b"0" * 36 + content[36:])
    if hurt:
        file = tmp_path / "image" / "data.mdb"
        data = bytearray(file.read_bytes())
        data[data.rindex(value[2_000_000:2_000_020])] ^= 1
        file.write_bytes(data)
        with pytest.raises(CorruptError, match="went down, and 1 of its large values.*chunk 7 of the record b'k'"):
            LmdbStore(tmp_path / "image", durability="none")
    else:
        with LmdbStore(tmp_path / "image", durability="none") as store:
            assert store["k"] == value

"""Checksums after a power loss: with each one made to match by force, as if nobody looked, what it guards goes wrong.

The build is the same in both halves of each test. The damaged bytes are sealed anew, by docs/format.md and PyPI's
xxhash: so whoever compares the checksum finds nothing, and what follows is what a store without checksums would do.
"""

import pathlib
import random
import shutil
import struct
import subprocess
import sys

import door43fast
import pytest
import xxhash
from door43fast.errors import CorruptError
from door43fast.lmdb import LmdbStore

PAGE = 4096
PLACES = (512, 512 + 16 + PAGE)         # of the saved head pages in a marker
LOG = 512 + 2 * (16 + PAGE) + 4095 & ~4095
OTHER_BOOT = b"00000000-0000-0000-0000-000000000000"
ROOT = pathlib.Path(door43fast.__file__).parents[1]


def seal(frame, key):
    seed = xxhash.xxh3_64_intdigest(key)
    return xxhash.xxh3_64_intdigest(frame[8:], seed=seed).to_bytes(8, "little") + frame[8:]


def orphan(path):
    """The marker of a writer that the system went down under."""
    (path / "unsynced-1-00000000").write_bytes(OTHER_BOOT.ljust(512, b"\0"))


@pytest.mark.parametrize("sealed", [False, True])
def test_a_torn_value_is_recognised_by_its_checksum_alone(tmp_path, sealed):
    """Sectors of a value that did not come to the disk hold what was there before."""
    rng = random.Random(1)
    value = rng.randbytes(20_000)
    with LmdbStore(tmp_path / "s", durability="none") as store:
        store.set_many({f"k{n}": rng.randbytes(100) for n in range(50)})
        store["torn"] = value
    whole = (tmp_path / "s" / "data.mdb").read_bytes()
    begins = whole.rindex(value) - 16       # of its frame
    for case in range(20):
        image = tmp_path / f"image{case}"
        shutil.copytree(tmp_path / "s", image)
        data = bytearray(whole)
        at = (begins + 16 + rng.randrange(600, 19_000)) // 512 * 512
        data[at:at + 512] = bytes(512)
        torn = bytes(data[begins + 16:begins + 16 + len(value)])
        if sealed:
            data[begins:begins + 16 + len(value)] = seal(data[begins:begins + 16 + len(value)], b"torn")
        (image / "data.mdb").write_bytes(data)
        orphan(image)
        if sealed:
            with LmdbStore(image, durability="none") as store:
                assert store["torn"] == torn != value
        else:
            with pytest.raises(CorruptError, match="went down.*'torn'"):
                LmdbStore(image, durability="none")


def stopped(tmp_path, further):
    """A copy of a store at work: two states were saved, and so many steps taken since. The states, and the marker."""
    rng, model, states = random.Random(5), {}, []

    def work(steps):
        for _ in range(steps):
            key = f"k{rng.randrange(200)}"
            model[key] = store[key] = rng.randbytes(rng.choice([5, 300, 3000]))

    with LmdbStore(tmp_path / "s", durability="batch", sync_interval=3600) as store:
        for _ in range(2):
            work(300)
            store.flush()
            states.append(repr(sorted(model.items())))
        work(further)
        shutil.copytree(tmp_path / "s", tmp_path / "image")
    marker, = (tmp_path / "image").glob("unsynced-*")
    content = bytearray(marker.read_bytes())
    content[:36] = OTHER_BOOT
    return states, marker, content


def newest(content):
    """Where the newer saved head page begins, and its transaction."""
    return max(((at, struct.unpack_from("<Q", content, at + 16 + 144)[0]) for at in PLACES), key=lambda pair: pair[1])


def checksum(content):
    return xxhash.xxh3_64_intdigest(bytes(content)).to_bytes(8, "little")


HELD = """
import sys
from door43fast.lmdb import LmdbStore
with LmdbStore(sys.argv[1], durability="batch") as store:
    print(repr(sorted(store.scan())), end="")
"""


def held(path):
    """What a store holds, or None: a tree of nonsense may end the process that reads it."""
    run = subprocess.run([sys.executable, "-c", HELD, path], capture_output=True, timeout=60, cwd=ROOT)
    return run.stdout.decode() if run.returncode == 0 else None


@pytest.mark.parametrize("sealed", [False, True])
def test_a_torn_save_is_recognised_by_its_checksum_alone(tmp_path, sealed):
    """A sector of the newer saved head page did not come to the disk; the one before it is put back."""
    states, marker, content = stopped(tmp_path, 0)
    at, _ = newest(content)
    content[at + 16 + 40:at + 16 + 136] = bytes(96)
    if sealed:
        content[at:at + 8] = checksum(content[at + 8:at + 16 + PAGE])
    marker.write_bytes(content)
    assert (held(tmp_path / "image") == states[0]) is not sealed


@pytest.mark.parametrize("sealed", [False, True])
def test_a_torn_kept_page_is_recognised_by_its_checksum_alone(tmp_path, sealed):
    """A record of kept pages that did not come to the disk whole: its pages were not used again yet."""
    states, marker, content = stopped(tmp_path, 300)
    _, saved = newest(content)
    record = None
    for at in (LOG, LOG + (32 << 20)):
        while at + 32 <= len(content):
            _, reached, count, size = struct.unpack_from("<QQQQ", content, at)
            end = at + 32 + count * (8 + PAGE)
            if size != PAGE or content[at:at + 8] != checksum(content[at + 8:end]):
                break
            if reached > saved:
                record = at, end, count
            at = end
    begin, end, count = record
    numbers, first = struct.unpack_from(f"<{count}Q", content, begin + 32), begin + 32 + 8 * count
    data = bytearray((tmp_path / "image" / "data.mdb").read_bytes())
    for i, number in enumerate(numbers):
        data[number * PAGE:number * PAGE + PAGE] = content[first + i * PAGE:first + i * PAGE + PAGE]
    (tmp_path / "image" / "data.mdb").write_bytes(data)
    content[first:end] = bytes(end - first)
    if sealed:
        content[begin:begin + 8] = checksum(content[begin + 8:end])
    marker.write_bytes(content)
    assert (held(tmp_path / "image") == states[1]) is not sealed

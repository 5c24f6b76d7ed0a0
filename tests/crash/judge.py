"""Makes images out of a recording, opens each and says what it finds: one line of JSON for each, and one before it.

Arguments: recording, durability, seed, threads, deeds of each, images, directory for them, how many to leave out, and
which guard the images are robbed of: ``way`` back, ``kept`` pages of it, or none.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import sys

import disk
from oracle import Oracle

from door43fast.errors import CorruptError, Error
from door43fast.lmdb import LmdbStore

OTHER_BOOT = b"00000000-0000-0000-0000-000000000000"


def reboot(path, rng, without):
    """The system has started anew: no marker is of this boot. The time of the file may have reached the disk or not."""
    for marker in path.glob("unsynced-*"):
        with open(marker, "r+b") as file:
            file.write(OTHER_BOOT)
            if without == "way":
                file.truncate(512)
            elif without == "kept":
                file.truncate(12288)
    stamp, file = path / "closed", path / "data.mdb"
    if file.exists() and stamp.exists() and len(content := stamp.read_bytes()) >= 24 and rng.random() < 0.7:
        os.utime(file, ns=(0, abs(int.from_bytes(content[16:24], "little", signed=True))))


def replayed(changes):
    """The keys that the journal leaves, each change being one of what was there before."""
    state = {}
    for change in changes:
        if change.op == "clear":
            state = {key: value for key, value in state.items() if not key.startswith(change.key)}
            continue
        if change.base != state.get(change.key, 0):
            return None
        if change.op == "set":
            state[change.key] = change.hash
        else:
            state.pop(change.key)
    return state.keys()


def opened(path, durability, oracle, rng):
    with LmdbStore(path, durability=durability) as store:
        held = dict(store.scan())
        if any(store.get(key) != value for key, value in held.items()) or len(store) != len(held):
            return "wrong"
        answer = oracle.found(held)
        store.verify()
        if held and replayed(store.changes()) != held.keys():
            return "mixed"
        if rng.random() < 0.1:
            store["after"] = b"it goes on"
    with LmdbStore(path, durability=durability) as store:
        if {key: value for key, value in store.scan() if key != "after"} != held:
            return "lost"
        store.verify()
    return answer


def copied(path, oracle):
    """The backup, if it has its name, is whole."""
    if not path.exists():
        return "complete" if oracle.copy is None else "lost"
    try:
        with LmdbStore(path, create=False) as store:
            held = {key: hash(value) for key, value in store.scan()}
    except Error:
        return "lost"
    return "complete" if held == {k: v for states in oracle.copied or [] for k, v in states.items()} else "wrong"


def look(path, durability, oracle, rng, without):
    """What of the promises an image keeps, in one word; and what the store said if it refused."""
    reboot(path / "s", rng, without)
    if (answer := copied(path / "copy", oracle)) != "complete":
        return answer, "the backup"
    try:
        return opened(path / "s", durability, oracle, rng), None
    except CorruptError as error:
        return "refused", str(error)
    except Error as error:
        return "error", f"{type(error).__name__}: {error}"


def instants(rng, records):
    """Some of them: anywhere, while the store is created, and about the notes of closing, copying and compacting."""
    notes = [at for at, (kind, _, _, data) in enumerate(records) if kind == "N" and b" " not in data]
    around = [at + rng.randrange(-40, 60) for at in notes] or [rng.randrange(1, len(records))]
    return [rng.randrange(1, len(records)), rng.randrange(1, len(records)), rng.randrange(1, 60),
            min(max(rng.choice(around), 1), len(records) - 1)]


def main(log, durability, seed, threads, count, images, target, skipped, without):
    records = list(disk.records(log))
    rng = random.Random(seed)
    cuts = sorted(rng.choice(instants(rng, records)) for _ in range(images))
    oracle, state, at = Oracle(seed, threads, count), disk.Disk(), 0
    for number, cut in enumerate(cuts):
        while at < cut:
            oracle.take(*records[at], state.take(*records[at]))
            at += 1
        if number < skipped:
            continue
        print("at", number, flush=True)
        signal.alarm(60)        # a walk that never ends counts as a crash
        chance = random.Random(f"{seed}/{number}")
        kind, descriptor, place, data = records[cut]
        under_way = kind == "S" and chance.random() < 0.5       # torn, though it would have been synced
        if under_way:
            state.opened[descriptor].since.append((state.instant, place, data))
        shutil.rmtree(target, ignore_errors=True)
        state.image(chance, target)
        if under_way:
            state.opened[descriptor].since.pop()
        answer, said = look(pathlib.Path(target), durability, oracle, chance, without)
        print(json.dumps({"image": number, "cut": cut, "found": answer, "said": said, "clean": oracle.clean,
                          "acknowledged": sum(oracle.acknowledged)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:7]), sys.argv[7], int(sys.argv[8]), sys.argv[9])

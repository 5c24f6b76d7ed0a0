"""The process that reads damaged copies of a store: one line for each, before the read and after it.

Arguments: directory of the whole store, directory for the copies, how the damage came (``seen`` by the file's time,
``rot`` that leaves it as it was, ``crash`` after which there is no stamp). On its input a line of JSON for each copy:
[place, mask] for a byte to change, or [size] to cut the file. Answers: refused, error, right, wrong, lost.
"""

import json
import os
import pathlib
import shutil
import signal
import sys

from victim import ABSENT, model

from door43fast.errors import Error
from door43fast.lmdb import LmdbStore

source, target, how = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
whole = (source / "data.mdb").read_bytes()
times = os.stat(source / "data.mdb")
right = model()


def damaged(damage):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    if len(damage) == 1:
        content = whole[:damage[0]]
    else:
        content = bytearray(whole)
        content[damage[0]] ^= damage[1]
    (target / "data.mdb").write_bytes(content)
    if how == "rot":
        os.utime(target / "data.mdb", ns=(times.st_atime_ns, times.st_mtime_ns))
    elif how == "crash":
        (target / "closed").unlink()


def worst(answers):
    return min(answers, key=["wrong", "lost", "error", "right"].index)


def asked(read, wanted, nothing):
    try:
        found = read()
    except Error:
        return "error"
    return "right" if found == wanted else "lost" if found == nothing else "wrong"


def scanned(read, wanted):
    """A walk may end with an error, but what it gave is right, and without an error it gave all."""
    found, answer = {}, "right"
    try:
        for key, value in read():
            found[key] = value
    except Error:
        answer = "error"
    if any(wanted.get(key) != value for key, value in found.items()):
        return "wrong"
    return "lost" if answer == "right" and len(found) < len(wanted) else answer


def looked(store):
    keys = list(right)
    yield from (asked(lambda key=key: store.get(key), value, None) for key, value in right.items())
    yield from (asked(lambda key=key: store.get(key), None, None) for key in ABSENT)
    yield asked(lambda: dict(zip(keys, store.get_many(keys))), right, {})
    yield scanned(store.scan, right)
    yield scanned(lambda: store.scan(reverse=True), right)
    yield asked(lambda: len(store), len(right) + 1, None)           # and the one whose tag is no longer valid


def written(store):
    """Writes over damage must leave the rest right as well."""
    changed = {**right, "k005": b"new", "new": b"n" * 9000}
    for key, value in (("k005", b"new"), ("new", b"n" * 9000)):
        store[key] = value
    store.delete("k006")
    del changed["k006"]
    yield from (asked(lambda key=key: store.get(key), value, None) for key, value in changed.items())
    yield scanned(store.scan, changed)


def answer(damage):
    damaged(damage)
    try:
        with LmdbStore(target, durability="none", sync_interval=3600, readonly=damage[0] % 2 == 0) as store:
            answers = set(looked(store))
            if damage[0] % 2:
                try:
                    answers |= set(written(store))
                except Error:
                    answers.add("error")
            return worst(answers)
    except Error:
        return "refused"


for line in sys.stdin:
    print("at", line.strip(), flush=True)
    signal.alarm(30)        # a walk that never ends counts as a crash
    print(answer(json.loads(line)), flush=True)

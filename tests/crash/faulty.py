"""Runs a fixed piece of work again and again, and each time another call fails: under shim/faults.c.

Arguments: directory, durability, kind of call, how it fails, error, first call, step, how many. Each run is a child of
this process. One line of JSON for each: which call, what was raised by what, and what the store is found to be when it
is opened afresh. It ends with the first run in which there are no more such calls.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import sys

import lmdb.tool            # in the children only when no store of ours is open
from door43fast.errors import Error
from door43fast.lmdb import LmdbStore

KINDS = {"write": 1, "sync": 2, "truncate": 3, "open": 4, "rename": 5, "unlink": 6, "mmap": 7, "malloc": 8}
WAYS = {"once": 0, "always": 1, "short": 2, "lie": 3}
LIMIT = 30          # seconds for a run; one that takes longer hangs

shim = ctypes.CDLL(None)


def steps():
    """Names and pairs of (what is done, what it changes)."""
    rng = random.Random(1)
    small = {f"k{n}": rng.randbytes(rng.choice([10, 300, 3000])) for n in range(40)}
    yield "set", {"first": b"1"}
    yield "batch", small
    yield "set", {"long": rng.randbytes(30_000)}
    yield "transaction", {"k1": None, "k2": b"two", "new": rng.randbytes(5000)}
    yield "delete", {"k3": None}
    yield "large", {"large": rng.randbytes(1_200_000)}
    yield "flush", {}
    yield "batch", {f"k{n}": rng.randbytes(900) for n in range(0, 40, 2)}
    yield "durable", {"d": b"durable"}
    yield "stream", {"large": rng.randbytes(1_100_000)}
    yield "reopen", {}
    yield "set", {"k5": b"five"}
    yield "delete", {"large": None}
    yield "incr", {"n": 1}
    yield "backup", {}


def do(stores, path, level, what, change):
    if what == "reopen" and stores:
        stores.pop().close()
    if not stores:
        stores.append(LmdbStore(path, durability=level, map_size=1 << 18, sync_interval=3600, journal=True))
    store = stores[0]
    if what in ("set", "large", "durable"):
        (key, value), = change.items()
        store.set(key, value, durable=what == "durable", ttl=3600 if what == "large" else None)
    elif what == "batch":
        store.set_many(change)
    elif what == "transaction":
        with store.transaction() as t:
            for key, value in change.items():
                t.delete(key) if value is None else t.set(key, value)
    elif what == "stream":
        (key, value), = change.items()
        with store.writer(key) as file:
            file.write(value)
    elif what == "delete":
        store.delete(*change)
    elif what == "incr":
        store.incr("n")
    elif what == "flush":
        store.flush()
    elif what == "backup":
        store.backup(path + ".copy")


def after(state, change):
    state = {**state, **change}
    return {key: value for key, value in state.items() if value is not None}


def distinct(states):
    return [state for n, state in enumerate(states) if state not in states[:n]]


def held(store):
    return dict(store.scan())


def work(path, level, armed):
    """The errors, the states that the store may be in, and those that it may go back to. After a step that failed it is
    the one before or the one after.

    A step that raised has not been acknowledged; whoever goes on sees in the store which of the two it is.
    """
    stores, errors, may, past = [], [], [{}], [{}]
    shim.d43_arm(*armed)
    for number, (what, change) in enumerate(steps()):
        if unsynced(errors) and (not stores or what == "reopen"):
            may = distinct([*past, *may])       # it is opened afresh, and goes back
        try:
            do(stores, path, level, what, change)
            may = [after(state, change) for state in may]
            past = distinct([*([] if what in ("flush", "durable", "reopen") else past), *may])
        except (Error, MemoryError) as error:
            errors.append([number, what, type(error).__name__, str(error)])
            may = distinct([*may, *(after(state, change) for state in may)])
            past = distinct([*past, *may])
        if stores:
            try:
                now = held(stores[0])
                may = [state for state in may if state == now]
                assert may, f"after step {number}, {what}: {sorted(now)}"
            except (Error, MemoryError) as error:
                errors.append([number, "scan", type(error).__name__, str(error)])
    try:
        if stores:
            stores.pop().close()
    except (Error, MemoryError) as error:
        errors.append([len(errors), "close", type(error).__name__, str(error)])
    fired = shim.d43_fired()
    shim.d43_arm(0, 0, 0, 0)
    return errors, may, past if unsynced(errors) else may, fired


def unsynced(errors):
    """Whether a sync has failed: then the store goes back, as far as the sync before that."""
    return any("whatever later ones say" in words for _, _, _, words in errors)


def run(path, level, armed):
    errors, may, back, fired = work(path, level, armed)
    found = "sound"
    with LmdbStore(path, durability=level) as store:
        now = held(store)
        if now not in back:
            found = f"not what was acknowledged: {[sorted(state.keys() ^ now.keys()) for state in may]}"
        store.verify()
        store["after"] = b"it goes on"
    if any(name.startswith("unsynced-") for name in os.listdir(path)):
        found = "a marker is left"
    if os.path.exists(path + ".copy"):
        with LmdbStore(path + ".copy") as store:
            if held(store) not in may:
                found = "the backup is not what was there"
    sys.stdout = open(os.devnull, "w")
    try:
        lmdb.tool.main(["verify", "-e", path])
    except SystemExit as end:
        found = f"py-lmdb's verifier: {end.code}" if end.code else found
    return {"errors": errors, "fired": fired, "found": found}


def child(path, level, armed, out):
    try:
        answer = run(path, level, armed)
    except BaseException as error:
        answer = {"errors": [], "fired": 1, "found": f"{type(error).__name__}: {error}"}
    os.write(out, json.dumps(answer).encode())
    os._exit(0)


def main(folder, level, kind, way, error, first, step, most):
    at = first
    for _ in range(most):
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        source, sink = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(LIMIT)
            child(f"{folder}/s", level, (KINDS[kind], at, WAYS[way], error), sink)
        os.close(sink)
        with os.fdopen(source) as file:
            said = file.read()
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            answer = {"errors": [], "fired": 1, "found": signal.Signals(os.WTERMSIG(status)).name}
        else:
            answer = json.loads(said)
        if not answer["fired"]:
            break
        print(json.dumps({"at": at, **answer}), flush=True)
        at += step


if __name__ == "__main__":
    main(*sys.argv[1:5], *map(int, sys.argv[5:9]))

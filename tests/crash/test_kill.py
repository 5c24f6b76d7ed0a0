"""A writer is killed at any instant: the store is as after its last acknowledged step, or the one under way.

DOOR43FAST_KILL_CYCLES says how often, all levels of durability together.
"""

import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from workload import steps

import door43fast
from door43fast.lmdb import LmdbStore

CYCLES = int(os.environ.get("DOOR43FAST_KILL_CYCLES", "40"))
ROOT = str(pathlib.Path(door43fast.__file__).parents[1])
WRITER = pathlib.Path(__file__).with_name("writer.py")


def killed(path, durability, seed, delay):
    """Run the writer and kill it; how many steps it had acknowledged."""
    paths = [ROOT, str(WRITER.parent), os.environ.get("PYTHONPATH")]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with subprocess.Popen([sys.executable, WRITER, path, durability, str(seed)], stdout=subprocess.PIPE,
                          env=where) as process:
        assert process.stdout.read(1) == b"r"
        time.sleep(delay)       # the instant of the kill is what the test varies
        process.send_signal(signal.SIGKILL)
        return len(process.stdout.read())


def after(state, taken):
    state = {**state}
    for step in taken:
        state.update(step)
    return {key: value for key, value in state.items() if value is not None}


def different(held, right):
    """The keys that differ: shorter to read than two dicts."""
    return sorted(key for key in held.keys() | right.keys() if held.get(key) != right.get(key))


HASHES = """
import json, lmdb, sys
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=16)
with env.begin() as txn:
    records = list(txn.cursor(env.open_db(b"data", txn, create=False)))
    for _, row in txn.cursor(env.open_db(b"long", txn, create=False)):
        size = int.from_bytes(row[:4], "little")
        records.append((row[4:4 + size], row[4 + size:]))
json.dump({key.decode(): int.from_bytes(frame[:8], "little") for key, frame in records}, sys.stdout)
"""


def hashes(path):
    """The checksum of each record, as py-lmdb reads it."""
    run = subprocess.run([sys.executable, "-c", HASHES, path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def replayed(changes):
    """The hash of each record as the journal tells it, each change being one of what was there before."""
    state = {}
    for change in changes:
        assert change.op in ("set", "delete") and change.base == state.get(change.key, 0), change
        if change.op == "set":
            state[change.key] = change.hash
        else:
            del state[change.key]
    return state


@pytest.mark.parametrize("durability", ["commit", "batch", "none"])
def test_no_acknowledged_write_is_lost(tmp_path, durability, capsys):
    rng = random.Random(durability)
    state, acknowledged = {}, 0
    cycles = max(1, CYCLES // 3)
    for cycle in range(cycles):
        seed = rng.randrange(1 << 30)
        n = killed(tmp_path / "s", durability, seed, rng.uniform(0.005, 0.08))
        *taken, under_way = itertools.islice(steps(seed), n + 1)
        with LmdbStore(tmp_path / "s", durability=durability) as store:
            held = dict(store.scan())
            assert store.verify()["checked"] == len(held)
            noted = replayed(store.changes())
        now = hashes(tmp_path / "s")
        assert noted == now, (cycle, seed, n, different(noted, now))
        settled, further = after(state, taken), after(state, [*taken, under_way])
        assert held in (settled, further), (cycle, seed, n, different(held, settled), different(held, further))
        state = held
        acknowledged += n
        run = subprocess.run([sys.executable, "-m", "lmdb", "verify", "-e", tmp_path / "s"], capture_output=True,
                             text=True)
        assert run.returncode == 0, (cycle, seed, run.stdout)
    assert acknowledged > cycles        # it was killed at work, not before
    with capsys.disabled():
        print(f" [{durability}: {cycles} kills, {acknowledged} acknowledged steps] ", end="")


def test_the_harness_would_see_a_lost_write(tmp_path):
    """What must fail fails: a store that lost one acknowledged step is neither of the two states."""
    seed = 11
    taken = list(itertools.islice(steps(seed), 50))
    with LmdbStore(tmp_path / "s", durability="none") as store:
        for step in taken:
            store.set_many({key: value for key, value in step.items() if value is not None})
            store.delete_many([key for key, value in step.items() if value is None])
        held = dict(store.scan())
        assert held == after({}, taken)
        lost = next(key for key, value in taken[-1].items() if value is not None)
        del store[lost]
        assert dict(store.scan()) not in (after({}, taken), after({}, itertools.islice(steps(seed), 51)))

"""A writer is killed at any instant: the store is as after its last acknowledged step, or the one under way.

DOOR43FAST_KILL_CYCLES says how often, all levels of durability together.
"""

import contextlib
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from workload import steps

import door43fast
from door43fast.lmdb import LmdbStore

CYCLES = int(os.environ.get("DOOR43FAST_KILL_CYCLES", "150"))
ANEW = 200      # cycles that a store goes through: its journal keeps everything, and all of it is looked at each time
HERE = pathlib.Path(__file__).parent


@contextlib.contextmanager
def running(script):
    """A process that answers line by line. What it has loaded once serves every cycle."""
    paths = [str(pathlib.Path(door43fast.__file__).parents[1]), str(HERE), os.environ.get("PYTHONPATH")]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with subprocess.Popen([sys.executable, HERE / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=where) as process:
        yield process


def told(process, line):
    print(line, file=process.stdin, flush=True)


@pytest.fixture(scope="module")
def writers():
    with running("writer.py") as process:
        yield process


@pytest.fixture(scope="module")
def peer():
    with running("peer.py") as process:
        yield process


def killed(writers, path, durability, seed, delay):
    """Let a writer begin and kill it; how many steps it had acknowledged."""
    pipe = path.with_name("acknowledged")
    os.mkfifo(pipe)
    told(writers, json.dumps([str(path), durability, seed, str(pipe)]))
    with open(pipe, "rb") as acknowledged:
        writer = int(acknowledged.readline())
        time.sleep(delay)       # the instant of the kill is what the test varies
        os.kill(writer, signal.SIGKILL)
        pipe.unlink()
        return len(acknowledged.read())


def found_by(peer, path):
    """The checksum of each record, as py-lmdb reads it, and what its verifier has against the file."""
    told(peer, path)
    return json.loads(peer.stdout.readline())


def after(state, taken):
    state = {**state}
    for step in taken:
        state.update(step)
    return {key: value for key, value in state.items() if value is not None}


def different(held, right):
    """The keys that differ: shorter to read than two dicts."""
    return sorted(key for key in held.keys() | right.keys() if held.get(key) != right.get(key))


def replayed(changes, state, last):
    """Bring ``state``, the hash of each record, to where the journal is, each change being one of what was there.

    Returns the number of the last one. Each change is replayed once; that the older ones are whole still is for verify.
    """
    for change in changes:
        assert change.seq == last + 1, (change, last)
        last = change.seq
        assert change.op in ("set", "delete") and change.base == state.get(change.key, 0), change
        if change.op == "set":
            state[change.key] = change.hash
        else:
            del state[change.key]
    return last


@pytest.mark.parametrize("durability", ["commit", "batch", "none"])
def test_no_acknowledged_write_is_lost(tmp_path, durability, writers, peer, capsys):
    rng = random.Random(durability)
    acknowledged = 0
    cycles = max(1, CYCLES // 3)
    for cycle in range(cycles):
        if cycle % ANEW == 0:
            path = tmp_path / f"from {cycle}"
            state, noted, last = {}, {}, 0
            shutil.rmtree(tmp_path / f"from {cycle - ANEW}", ignore_errors=True)
        seed = rng.randrange(1 << 30)
        n = killed(writers, path, durability, seed, rng.uniform(0.005, 0.08))
        *taken, under_way = itertools.islice(steps(seed), n + 1)
        with LmdbStore(path, durability=durability) as store:
            held = dict(store.scan())
            assert store.verify()["checked"] == len(held)
            last = replayed(store.changes(last), noted, last)
        now, against = found_by(peer, path)
        assert noted == now, (cycle, seed, n, different(noted, now))
        assert against == [], (cycle, seed, n)
        settled, further = after(state, taken), after(state, [*taken, under_way])
        assert held in (settled, further), (cycle, seed, n, different(held, settled), different(held, further))
        state = held
        acknowledged += n
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

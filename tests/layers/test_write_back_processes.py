"""Write-back over the end of a process: an orderly one, a fork, a kill at any instant."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import door43fast as d43

SCRIPT = Path(__file__).with_name("write_back_process.py")
ROUNDS = int(os.environ.get("DOOR43FAST_WRITE_BACK_KILLS", "12"))
LIMIT = 60


def start(*arguments, **options):
    return subprocess.Popen([sys.executable, str(SCRIPT), *map(str, arguments)], text=True, **options)


def test_an_orderly_end_flushes(tmp_path):
    assert start("exit", tmp_path / "s").wait(LIMIT) == 0
    with d43.LmdbStore(tmp_path / "s") as store:
        assert dict(store.items()) == {f"k{i}": i for i in range(400)}


def test_a_fork_shares_nothing_that_is_dirty(tmp_path):
    assert start("fork", tmp_path / "s").wait(LIMIT) == 0
    with d43.LmdbStore(tmp_path / "s") as store:
        assert store.get_many(["both", "c", "after", "p99"]) == ["child's", 1, 1, 99]
        told = [change.key for change in store.changes()]
        assert sorted(told) == sorted(["both", "both", "c", "after", *(f"p{i}" for i in range(100))])


def test_what_can_not_be_flushed_before_a_fork_stays_the_parents(tmp_path):
    assert start("fork_while_failing", tmp_path / "s").wait(LIMIT) == 0
    with d43.LmdbStore(tmp_path / "s") as store:
        assert dict(store.items()) == {"p": 1, "c": 1} and [c.key for c in store.changes()] == ["c", "p"]


def test_after_a_kill_what_was_flushed_is_there_and_the_rest_is_a_prefix(tmp_path):
    """Without a sync: the process is killed, not the machine."""
    rng = random.Random(6)
    for turn in range(ROUNDS):
        folder = tmp_path / f"s{turn}"
        process = start("count", folder, rng.choice([7, 100, 3000]), stdout=subprocess.PIPE)
        first = process.stdout.readline()
        time.sleep(rng.random() * 0.15)
        process.kill()
        told = [int(line) for line in [first, *process.stdout.read().split("\n")] if line.strip()]
        process.wait(LIMIT)
        process.stdout.close()
        with d43.LmdbStore(folder) as store:
            held = list(store.scan("k"))
            assert [value for _, value in held] == list(range(len(held))), "no prefix of the order"
            assert len(held) > told[-1], f"{told[-1]} was flushed, and {len(held)} are there"
            # ``last`` became dirty before the keys that were written after it.
            assert store["last"] >= told[-1] and store.verify()["errors"] == []

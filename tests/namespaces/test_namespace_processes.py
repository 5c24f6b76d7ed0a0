"""The book stays exact when threads and processes write at once, and when they die in the middle of it."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import door43fast as d43
from namespace_kinds import opened

HERE = Path(__file__).parent
KINDS = ["lmdb", "sqlite", "cascade", "files"]


def start(kind, folder, name, seed, rounds):
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return subprocess.Popen([sys.executable, str(HERE / "tenant.py"), kind, str(folder), name, str(seed), str(rounds)],
                            stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths})


def sound(space):
    said = space.stats()
    assert space._counted() == (said["entries"], said["bytes"]) and space.verify()["errors"] == []
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["none", "fifo"])
def test_processes_that_write_at_once(kind, policy, tmp_path):
    with opened(kind, tmp_path) as base:
        space = d43.namespace(base, "n", max_entries=60, max_bytes=20_000, policy=policy)
        d43.namespace(base, "other")["k"] = 1
        running = [start(kind, tmp_path, "n", seed, 60) for seed in range(3)]
        said = [one.communicate(timeout=120)[0].split() for one in running]
        assert [one.returncode for one in running] == [0, 0, 0] and sum(map(len, said)) == 180
        found = sound(space)
        assert found["entries"] <= 60 and found["bytes"] <= 20_000 and found["entries"] > 30
        assert policy == "fifo" or any("full" in one for one in said)
        assert dict(d43.namespace(base, "other").items()) == {"k": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_processes_that_are_killed(kind, tmp_path):
    dice = random.Random(3)
    with opened(kind, tmp_path) as base:
        d43.namespace(base, "n", max_entries=60, max_bytes=20_000, policy="fifo")
    for seed in range(6):
        running = start(kind, tmp_path, "n", seed, 100_000)
        for _ in range(dice.randrange(1, 60)):
            assert running.stdout.readline() in ("done\n", "full\n")
        running.kill()
        running.communicate(timeout=60)
        with opened(kind, tmp_path) as base:
            found = sound(d43.namespace(base, "n"))
            assert found["entries"] <= 60 and found["bytes"] <= 20_000


def test_threads_that_write_at_once(base):
    space, wrong = d43.namespace(base, "n", max_entries=50), []
    full = []

    def work(number):
        try:
            for i in range(40):
                try:
                    space.set_many({f"{number}/{i}": i, f"{number}/{i + 1}": i})
                    space.incr("n")
                    if i % 3 == 0:
                        space.delete(f"{number}/{i}")
                except d43.QuotaError:
                    full.append(number)
        except BaseException as error:
            wrong.append(error)
            raise
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert wrong == [] and full and sound(space)["entries"] <= 50


def test_a_conflict_is_made_anew(tmp_path):
    """What another writes between the reading of the book and the commit is counted; without a new try it is lost."""
    with d43.LmdbStore(tmp_path / "s", durability="none") as one, d43.LmdbStore(
            tmp_path / "s", durability="none") as two:
        space, other = d43.namespace(one, "n"), d43.namespace(two, "n")
        seen, real = [], space._apply

        def between(changes):
            if not seen:
                other["b"] = 1
            seen.append(changes)
            real(changes)
        space._apply = between
        space["a"] = 1
        assert len(seen) == 2 and sorted(space) == ["a", "b"] and sound(space)["entries"] == 2


def test_after_a_fork(lasting):
    with lasting() as base:
        space = d43.namespace(base, "n", max_entries=5)
        space["parent"] = 1
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                space["child"] = 2
                code = 0 if space["parent"] == 1 and d43.namespace(base, "n") is space else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        space["after"] = 3
        assert sorted(space) == ["after", "child", "parent"] and sound(space)["entries"] == 3


def test_what_is_seen_in_part_is_no_refusal(tmp_path):
    """Another makes room and uses it up between the reading of the book and that of the records."""
    with d43.LmdbStore(tmp_path / "s", durability="none") as one, d43.LmdbStore(
            tmp_path / "s", durability="none") as two:
        space, other = d43.namespace(one, "n", max_entries=2), d43.namespace(two, "n")
        space.set_many({"a": 1, "b": 1})
        seen, real = [], space._apply

        def between(changes):
            if not seen:
                other.delete("a")
            seen.append(changes)
            real(changes)
        space._apply = between
        space.set_many({"a": 2})
        assert len(seen) == 2 and dict(space.items()) == {"a": 2, "b": 1} and sound(space)["entries"] == 2

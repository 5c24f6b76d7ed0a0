"""Races, driven step by step from a seed; at the end the tiers are equal."""

import os
import subprocess
import sys

import pytest
from schedules.stepping import Naive, Schedule, Stepped

import door43fast as d43
from door43fast import reference

SEEDS = int(os.environ.get("DOOR43FAST_SEEDS", "1000"))


def native(folder):
    return d43.cascade(d43.MemoryStore(), Stepped(d43.MemoryStore()))


def native_over_lmdb(folder):
    return d43.cascade(d43.MemoryStore(), Stepped(d43.LmdbStore(folder, durability="none")))


def plain(folder):
    return reference.Cascade(reference.MemoryStore(), Stepped(reference.MemoryStore()))


def naive(folder):
    return Naive(d43.MemoryStore(), Stepped(d43.MemoryStore()))


KINDS = [native, native_over_lmdb, plain]


def below(cascade):
    """The store at the bottom, without its points."""
    return cascade.slow.store


def set_against_set(cascade, seed):
    """Writers and readers of one key; in the end both tiers hold the same one of the last writes."""
    below(cascade).set("k", "first")

    def write(name):
        for i in range(2):
            if i:
                cascade.set_many([("k", f"{name}{i}")])
            else:
                cascade.set("k", f"{name}{i}")

    def read():
        for _ in range(2):
            assert cascade.get("k") is not None
            assert cascade.get_many(["k"])[0] is not None
    errors = Schedule(seed).run(lambda: write("a"), lambda: write("b"), read)
    assert errors == [None] * 3
    assert below(cascade).get("k") in ("a1", "b1")
    assert cascade.get("k") == below(cascade).get("k")
    assert cascade.get_many(["k"]) == [below(cascade).get("k")]


def delete_against_promote(cascade, seed):
    """A reader that missed must not bring back what was deleted while it read."""
    below(cascade).set("k", "value")

    def read():
        cascade.get("k")
        cascade.get_many(["k", "x"])

    def delete():
        assert cascade.delete("k") is True
        assert cascade.get("k") is None     # its own delete has been acknowledged
    errors = Schedule(seed).run(read, delete, read)
    assert errors == [None] * 3
    assert below(cascade).get("k") is None and cascade.get("k") is None and cascade.get_many(["k"]) == [None]


RACES = [set_against_set, delete_against_promote]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_race(tmp_path, kind, race):
    cascade = kind(tmp_path)
    for seed in range(SEEDS):
        try:
            race(cascade, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        cascade.delete("k")
    cascade.close()


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_a_cascade_without_tickets_is_caught(tmp_path, race):
    """The proof that the schedules can fail at all."""
    caught = 0
    for seed in range(SEEDS):
        try:
            race(naive(tmp_path), seed)
        except AssertionError:
            caught += 1
    assert caught > SEEDS // 100


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_close_against_read(tmp_path, kind):
    """A reader gets the value or ClosedError, and the close ends."""
    got = []
    for seed in range(SEEDS):
        cascade = kind(tmp_path / str(seed % 10))
        below(cascade).set("k", "value")

        def read(cascade=cascade):
            for call in (lambda: cascade.get("k"), lambda: cascade.get_many(["k"])[0], lambda: cascade.get("k")):
                try:
                    got.append(call())
                except d43.ClosedError:
                    got.append("closed")
        errors = Schedule(seed).run(read, cascade.close, read)
        assert errors == [None] * 3, f"seed {seed}"
        assert cascade.closed
        with pytest.raises(d43.ClosedError):
            cascade.get("k")
    assert set(got) == {"value", "closed"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_fork_against_read(tmp_path, kind):
    """In a process of its own: a fork costs by what its process holds, and the one of the tests holds much."""
    done = subprocess.run([sys.executable, "-m", "schedules.forking", kind.__name__, tmp_path, str(SEEDS)],
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True,
                          text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{SEEDS} forks\n"), done.stderr

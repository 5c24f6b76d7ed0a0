"""Scenarios 9 to 11: SQLite by itself and beside memory, reopened, broken off, shared and pushed to its limits."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

import door43fast as d43
from door43fast.errors import ConfigError
from door43fast.native.clock import ManualClock
from door43fast.plugins.roster import registry

BROKEN_OFF = """
import os, signal, sys
import door43fast as d43
store = d43.open({"type": "sqlite", "path": sys.argv[1]})
store["before"] = 1
with store.transaction() as t:
    for number in range(100):
        t.set(f"k{number}", number)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def opened(path, **options):
    return d43.open({"type": "sqlite", "path": path, **options})


def count(path, times):
    with opened(path) as store:
        for _ in range(times):
            store.incr("n")


def test_9_what_it_says_of_itself(tmp_path):
    about = registry.about("sqlite")
    assert about.name == "sqlite" and about.available and about.source == "door43fast"
    with pytest.raises(ConfigError, match="path"):
        d43.open({"type": "sqlite"})
    with pytest.raises(ConfigError, match="did you mean"):
        opened(tmp_path / "s", durabilty="batch")
    with opened(tmp_path / "s") as store:
        store.set("k", {"a": [1, 2]})
        assert store["k"] == {"a": [1, 2]} and "k" in store and list(store.keys()) == ["k"]
        assert store.stats()["entries"] == 1
        store.clear()
        assert not list(store.keys())


def test_10_memory_and_sqlite_do_not_leak(tmp_path):
    assert {"memory", "sqlite"} <= set(registry.names())
    with d43.open("memory:") as memory, opened(tmp_path / "s") as disk:
        memory["k"] = "memory"
        disk["k"] = "disk"
        disk.set_many({"a": 1, "b": 2})
        assert memory["k"] == "memory" and disk["k"] == "disk"
        assert len(memory) == 1 and disk.get_many(["a", "b", "c"]) == [1, 2, None]


def test_11_it_is_there_after_reopening_and_expires(tmp_path):
    clock = ManualClock()
    with opened(tmp_path / "s", clock=clock) as store:
        store.set("short", 1, ttl=10)
        store["long"] = 2
    with opened(tmp_path / "s", clock=clock) as store:
        assert dict(store.scan()) == {"short": 1, "long": 2}
        clock.advance(11)
        assert dict(store.scan()) == {"long": 2}


def test_11_a_transaction_that_is_broken_off_never_was(tmp_path):
    run = subprocess.run([sys.executable, "-c", BROKEN_OFF, tmp_path / "s"], env=os.environ)
    assert run.returncode == -signal.SIGKILL
    with opened(tmp_path / "s") as store:
        assert dict(store.scan()) == {"before": 1} and store.verify()["checked"] == 1


def test_11_two_processes_count_as_one(tmp_path):
    opened(tmp_path / "s").close()
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=count, args=(tmp_path / "s", 100)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
        assert other.exitcode == 0
    with opened(tmp_path / "s") as store:
        assert store["n"] == 200


def test_11_wildcards_are_letters(tmp_path):
    names = ["%", "_", "a%b", "a_b", "axb", "*", "?", "[a]", "'", '"', ";--", "a\0b"]
    with opened(tmp_path / "s") as store:
        store.set_many({name: number for number, name in enumerate(names)})
        assert [store[name] for name in names] == list(range(len(names)))
        assert list(store.keys("a%")) == ["a%b"] and list(store.keys("a_")) == ["a_b"] and store.count("%") == 1
        store.clear("a_")
        assert "axb" in store and "a_b" not in store


def test_11_a_batch_beyond_every_limit_of_variables(tmp_path):
    names = [f"k{number}" for number in range(70_000)]
    with opened(tmp_path / "s", durability="none") as store:
        store.set_many({name: name for name in names[::2]})
        assert store.get_many(names) == [name if number % 2 == 0 else None for number, name in enumerate(names)]
        assert store.delete_many(names) == 35_000 and len(store) == 0

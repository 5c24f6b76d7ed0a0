"""What entries weigh in a budget of bytes: what they really hold, down to the resident size of the process."""

import os
import subprocess
import sys
import sysconfig

import pytest

import door43fast as d43
from door43fast import reference

ENGINES = [d43.MemoryStore, reference.MemoryStore]
# Free-threaded builds have an allocator of their own, which keeps what it was given back for a while.
USUAL = "DOOR43FAST_SANITIZED" not in os.environ and not sysconfig.get_config_var("Py_GIL_DISABLED")


def weight(value, engine=d43.MemoryStore):
    with engine(max_bytes=1 << 40) as store:
        store["k"] = value
        return store.stats()["bytes"]


@pytest.mark.parametrize("engine", ENGINES)
def test_containers_hold_their_items(engine):
    texts = [f"text number {n}" * 3 for n in range(1000)]
    least = sum(map(sys.getsizeof, texts))
    for value in (texts, tuple(texts), set(texts), frozenset(texts), dict.fromkeys(texts), {1: {2: [texts]}}):
        assert least < weight(value, engine) < least * 3
    assert weight({"a": {"b": [bytes(5000)]}}, engine) > 5000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_that_holds_what_cannot_be_weighed_is_refused(engine):
    round_and_round = []
    round_and_round.append(round_and_round)
    deep = []
    for _ in range(100):
        deep = [deep]
    for value in ([object()], {"a": [object()]}, {object(): 1}, round_and_round, deep):
        with pytest.raises(d43.BudgetError, match="weigher"):
            weight(value, engine)


def test_the_engines_weigh_nearly_alike():
    for value in (b"x" * 100, "y" * 3000, 5, 2.5, None, [f"{n}" * 9 for n in range(50)], {"a": 1, "b": [b"z" * 77]}):
        native, plain = (weight(value, engine) for engine in ENGINES)
        assert abs(native - plain) <= 0.25 * plain + 64


def test_what_everybody_has_weighs_nothing_inside():
    assert weight([1] * 1000) == weight([2] * 1000) == weight([""] * 1000)
    assert weight([10**9 + n for n in range(1000)]) >= weight([1] * 1000) + 28_000


RESIDENT = """
import gc, os, random, sys
import door43fast as d43

def resident():
    with open("/proc/self/statm", encoding="ascii") as line:
        return int(line.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

kind, budget = sys.argv[1], 96_000_000
size = random.Random(1).randrange
make = {
    "bytes": lambda n: bytes(size(1, 2000)),
    "str": lambda n: "x" * size(1, 2000),
    "numbers": lambda n: n + 1000,
    "dicts": lambda n: {"id": n, "name": f"name {n}", "tags": [f"a{n}", "b"], "score": n / 3},
}[kind]
store = d43.MemoryStore(max_bytes=budget)
store["first"] = b"x"
gc.collect()
before = resident()
n = 0
while store.stats()["evictions"] == 0:
    store[f"key{n:09d}"] = make(n)
    n += 1
full = (resident() - before) / budget
store.clear()
gc.collect()
print(full, (resident() - before) / budget)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or not USUAL, reason="needs /proc and the usual allocator")
@pytest.mark.parametrize("kind", ["bytes", "str", "numbers", "dicts"])
def test_a_full_store_is_as_large_as_its_budget_and_a_cleared_one_is_small(kind):
    command = [sys.executable, "-c", RESIDENT, kind]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    full, cleared = map(float, run.stdout.split())
    assert 0.9 <= full <= 1.1
    assert cleared <= 0.2

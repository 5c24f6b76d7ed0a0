"""Random plans that contain a replicated store: what is wrong with one is found, and four threads at once.

All seeds of the day, of all strategies, are in tests/layers/test_random_plans.py.
"""

import os

import pytest

from door43fast.replication import copying, portion, store
from door43fast.replication.log import QueueLog
from door43fast.replication.replica import Replica
from door43fast.testing.trials.building import Pool
from door43fast.testing.trials.rush import rushed
from door43fast.testing.trials.shrinking import drawn, run
from door43fast.testing.trials.trial import Violation

DAILY = 200
ALONE = {"kinds": ("memory",), "strategies": ("replicated",), "around": False}
SEEDS = range(int(os.environ.get("DOOR43FAST_PLANS", 2 * DAILY)) // 2)


@pytest.fixture
def pool():
    pool = Pool()
    yield pool
    pool.close()


def test_no_seed_violates_the_model(pool):
    assert run(SEEDS, pool, strategies=("replicated", "cascade")) == 40 * len(SEEDS)


def test_each_consistency_is_drawn_with_each_kind_of_log():
    found = set()
    for seed in range(100):
        plan, _ = drawn(seed, strategies=("replicated",))
        found.add((plan["consistency"], "journal" in plan["layers"][0].get("type", "")))
    assert found == {(consistency, journal) for consistency in ("strong", "quorum", "quorum(2)", "eventual")
                     for journal in (True, False)}


def test_replicas_are_as_their_primary_after_four_threads(pool):
    for seed in SEEDS[:len(SEEDS) // 4]:
        rushed(f"replicas {seed}", pool, strategies=("replicated",))


# -- what is found when something is missing -----------------------------------------------------------------


def finds(pool, match, seeds=DAILY):
    with pytest.raises(Violation, match=match):
        run(range(seeds), pool, **ALONE)


def test_it_finds_a_write_that_waits_for_nobody(pool, monkeypatch):
    monkeypatch.setattr(store, "wait", lambda *args: None)
    finds(pool, "was held by . of . members")


def test_it_finds_a_quorum_that_waits_for_all(pool, monkeypatch):
    monkeypatch.setattr(store, "needed", lambda consistency, members: 1 if consistency == "eventual" else members)
    finds(pool, "though enough members are well")


def test_it_finds_a_queue_without_the_changes_that_failed(pool, monkeypatch):
    monkeypatch.setattr(store, "blames_layer", lambda error: False)
    finds(pool, "and should hold")


def test_it_finds_a_change_that_is_taken_for_made_while_it_is_under_way(pool, monkeypatch):
    monkeypatch.setattr(QueueLog, "settled", QueueLog.last)
    finds(pool, "and should hold|was held by|explains no answer", 8 * DAILY)


def test_it_finds_replicas_that_keep_what_was_deleted(pool, monkeypatch):
    queued = portion._queued_once

    def undeleted(*args):
        part = queued(*args)
        return part._replace(writes={key: write for key, write in part.writes.items() if write is not None})
    monkeypatch.setattr(portion, "_queued_once", undeleted)
    finds(pool, "and should hold|was held by")


def test_it_finds_a_copy_that_keeps_what_the_primary_has_not(pool, monkeypatch):
    chunks = copying._chunks
    passes = []

    def first_only(keys, reserved):
        passes.append(1)
        return chunks(keys, reserved) if len(passes) % 2 else iter(())
    monkeypatch.setattr(copying, "_chunks", first_only)
    finds(pool, "and should hold|was held by")


def test_it_finds_a_position_that_is_ahead_of_the_data(pool, monkeypatch):
    write = Replica.write

    def head_first(self, head, writes):
        write(self, head, {})
        if writes:
            write(self, head, writes)
    monkeypatch.setattr(Replica, "write", head_first)
    finds(pool, "and should hold|was held by")

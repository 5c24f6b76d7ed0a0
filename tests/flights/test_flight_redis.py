"""One computation of a key at a time, over all who share a Redis server."""

import asyncio
import os
import signal
import threading
import time

import pytest

import door43fast as d43
from door43fast.plugins.redis.names import Names
from flight_worker import ask, ask_in_loop, loader
from started import go, lines, workers

LIMIT = 60


@pytest.fixture
def open_store(url, name):
    def opened():
        return d43.open(url, namespace=name)
    yield opened
    with opened() as store:
        store.clear()


@pytest.fixture
def start(url, name, loads):
    with workers() as begin:
        yield lambda what, *rest: begin(what, "redis", url, loads, *rest, NAMESPACE=name)


def flights(store):
    return list(store.names("\0flight:"))


def test_64_readers_in_4_processes_cause_one_load(start, open_store, loads):
    workers = [start(what, 16, 0.01) for what in ("threads", "tasks", "threads", "tasks")]
    for worker in workers:
        go(worker)
    assert [worker.communicate(timeout=LIMIT)[0].split() for worker in workers] == [["value"] * 16] * 4
    assert lines(loads) == 1
    with open_store() as store:
        assert flights(store) == [] and list(store) == ["k"]


def test_two_stores_of_one_process_are_two_who_share_it(open_store, loads):
    with open_store() as one, open_store() as two:
        answers = []
        threads = [threading.Thread(target=lambda store=store: answers.append(ask(store, 8, loader(loads, 0.01))))
                   for store in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [["value"] * 8] * 2 and lines(loads) == 1
        assert asyncio.run(ask_in_loop(two, 8, loader(loads, 0), "other")) == ["value"] * 8 and lines(loads) == 2
        assert flights(one) == []


def test_who_hangs_or_is_killed_costs_one_more_load_after_the_deadline(start, open_store, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    os.kill(holder.pid, signal.SIGSTOP)
    with open_store() as store:
        assert flights(store) == ["\0flight:k"] and list(store) == [] and len(store) == 0
        assert ask(store, 8, loader(loads, 0.05, "next"), deadline=0.2) == ["next"] * 8
        assert lines(loads) == 2
        os.kill(holder.pid, signal.SIGCONT)
        go(holder)
        assert holder.communicate(timeout=LIMIT)[0] == "late\n" and store["k"] == "next"


@pytest.mark.parametrize("what", ["set", "delete", "delete_many", "pop", "both", "clear", "clear k"])
def test_what_another_writes_meanwhile_keeps_the_result_from_being_stored(open_store, what):
    with open_store() as store, open_store() as other:
        def fn():
            if what in ("set", "both"):
                other["k"] = "new"
            if what in ("delete", "both"):
                other.delete("k")
            elif what == "delete_many":
                other.delete_many(["a", "k"])
            elif what == "pop":
                other.pop("k", None)
            elif what.startswith("clear"):
                other.clear(what[6:])
            return "old"
        assert store.get_or_compute("k", fn) == "old"
        assert store.get("k") == ("new" if what == "set" else None)
        assert flights(store) == []


def test_what_is_done_to_other_keys_keeps_nothing_from_being_stored(open_store):
    with open_store() as store, open_store() as other:
        def fn():
            other["k2"] = 1
            other.delete_many(["k1", "k2", "k3"])
            other.clear("kk")
            return "value"
        assert store.get_or_compute("k", fn) == "value" == store["k"]


def test_others_get_the_stale_value_meanwhile(open_store):
    with open_store() as store, open_store() as other:
        store.get_or_compute("k", lambda: "old", ttl=0.02, stale=600)
        while store.get("k") is not None:
            time.sleep(0.005)
        assert store.get_or_compute(
            "k", lambda: other.get_or_compute("k", lambda: "never", stale=600) + ", renewed") == "old, renewed"
        assert other["k"] == "old, renewed"


def test_a_tier_above_hears_of_records_and_not_of_claims():
    """Or the key "flight:k" would leave it with each claim on "k"."""
    names = Names("ns")
    assert names.keys([names.flight("k"), names.record("k"), names.record("flight:k")]) == ["k", "flight:k"]
    assert names.keys([names.record("k"), names.tag("t")]) is None

"""One computation of a key at a time in a namespace, over all who have the store underneath."""

import multiprocessing
import os
import threading

import pytest

import door43fast as d43
from flight_worker import ask, loader

LIMIT = 60


@pytest.fixture(params=["lmdb", "cascade", "sqlite"])
def base(request, tmp_path):
    def opened():
        if request.param == "lmdb":
            return d43.LmdbStore(tmp_path / "store", durability="none")
        where = tmp_path / "store" if request.param == "cascade" else f"sqlite:///{tmp_path / 'store'}"
        return d43.open(where, durability="none")
    return opened


def in_child(store, loads, gate, answers):
    gate.wait(LIMIT)
    with d43.namespace(store, "tenant") as space:
        answers.put(ask(space, 8, loader(loads, 0.01)))


def test_children_cause_one_load(base, tmp_path):
    loads = tmp_path / "loads"
    with base() as store, d43.namespace(store, "tenant") as space:
        context = multiprocessing.get_context("fork")
        gate, answers = context.Barrier(4), context.Queue()
        children = [context.Process(target=in_child, args=(store, loads, gate, answers)) for _ in range(4)]
        for child in children:
            child.start()
        assert [answers.get(timeout=LIMIT) for _ in children] == [["value"] * 8] * 4
        for child in children:
            child.join(LIMIT)
        assert loads.read_bytes().count(b"\n") == 1 and space["k"] == "value" and os.path.exists(tmp_path / "store")


def test_the_same_key_of_another_namespace_is_another_computation(base):
    with base() as store, d43.namespace(store, "one") as one, d43.namespace(store, "two") as two:
        assert one.get_or_compute("k", lambda: two.get_or_compute("k", lambda: 2) + store.get_or_compute("k", lambda: 3)
                                  ) == 5
        assert (one["k"], two["k"], store["k"]) == (5, 2, 3)


@pytest.mark.parametrize("what", ["delete", "clear", "set", "elsewhere"])
def test_what_another_writes_meanwhile(base, what):
    with base() as store, base() as others, d43.namespace(store, "tenant") as space, \
            d43.namespace(others, "tenant") as same, d43.namespace(others, "neighbour") as neighbour:
        def fn():
            def write():
                if what == "delete":
                    same.delete("k")
                elif what == "clear":
                    same.clear()
                elif what == "set":
                    same["k"] = "new"
                else:
                    neighbour.delete("k")
            writer = threading.Thread(target=write)
            writer.start()
            writer.join(LIMIT)
            return "old"
        assert space.get_or_compute("k", fn) == "old"
        assert space.get("k") == {"set": "new", "elsewhere": "old"}.get(what)

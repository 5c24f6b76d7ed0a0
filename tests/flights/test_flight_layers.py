"""One computation of a key at a time over processes that have the same layers, by the claim of one of these."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import door43fast as d43
from door43fast.compute import Computation
from door43fast.claims import claim_on
from door43fast.layers.claiming import Lent
from door43fast.layers.guard import Guard
from door43fast.testing.faults import Faulty
from door43fast.testing.redis_servers import RedisServer
from flight_worker import ask, loader, opened
from started import go, lines, workers

LIMIT = 60
KINDS = ("parallel", "fallback", "nested")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def start(kind, path, loads):
    with workers() as begin:
        yield lambda what, *rest: begin(what, kind, path, loads, *rest)


def of(store):
    """The claim of a flight of the key "k" that begins now."""
    return claim_on(store, Computation(store, "k"), 60)


def test_threads_of_several_processes_cause_one_load(start, loads):
    workers = [start(what, 8, 0.01) for what in ("threads", "tasks", "threads", "tasks")]
    for worker in workers:
        go(worker)
    assert [worker.communicate(timeout=LIMIT)[0].split() for worker in workers] == [["value"] * 8] * 4
    assert lines(loads) == 1


def test_who_is_killed_is_succeeded_at_once(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    with opened(kind, path) as store, ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(store.get_or_compute, "k", loader(loads, 0, "next"), deadline=10 * LIMIT)
        while not any(flight.claim for flight in store._flights.copy().values()):
            time.sleep(0.001)
        assert lines(loads) == 1
        os.kill(holder.pid, signal.SIGKILL)
        assert waiter.result(LIMIT) == "next" == store["k"]
    assert lines(loads) == 2


def test_who_is_stopped_comes_too_late(start, kind, path, loads):
    holder = start("hold")
    go(holder)
    assert holder.stdout.readline() == "computing\n"
    os.kill(holder.pid, signal.SIGSTOP)
    with opened(kind, path) as store:
        assert ask(store, 4, loader(loads, 0, "next"), deadline=0.2) == ["next"] * 4
        assert lines(loads) == 2
        del store["k"]
        os.kill(holder.pid, signal.SIGCONT)
        go(holder)
        assert holder.communicate(timeout=LIMIT)[0] == "late\n"
        assert "k" not in store


@pytest.mark.parametrize("what", ["set", "delete", "both", "clear"])
def test_what_another_process_writes_meanwhile_keeps_the_result_from_being_stored(start, kind, path, what):
    writer = start(what, "k", "new")
    with opened(kind, path) as store:
        def fn():
            go(writer)
            writer.communicate(timeout=LIMIT)
            return "old"
        assert store.get_or_compute("k", fn) == "old"
        assert store.get("k") == ("new" if what == "set" else None)
        assert store.get_or_compute("k", lambda: "next") == ("new" if what == "set" else "next") == store["k"]


def test_two_stores_of_one_process_are_one(kind, path):
    with opened(kind, path) as one, opened(kind, path) as two:
        with pytest.raises(d43.DeadlockError):
            one.get_or_compute("x", lambda: two.get_or_compute("x", lambda: 1))
        assert one.get_or_compute("x", lambda: 1) == 1 == two["x"]


def test_it_is_the_claim_of_the_first_layer_that_has_files(tmp_path):
    server = RedisServer(tmp_path / "redis")
    files = [d43.LmdbStore(tmp_path / name) for name in "ab"]
    with d43.parallel(*files) as store:
        claim = of(store)
        assert claim.layer.place == 0 and not claim.waits
    with d43.parallel(d43.open(server.url), d43.LmdbStore(tmp_path / "c")) as store:
        claim = of(store)
        assert claim.layer.place == 1 and not claim.waits
        assert claim.within(store._layers[1]) is claim.claim and claim.within(store._layers[0]) is None
        assert store.get_or_compute("k", lambda: "value") == "value"
        assert [layer["k"] for layer in store.layers] == ["value"] * 2
    with d43.parallel(d43.open(server.url), d43.MemoryStore()) as store:
        claim = of(store)
        assert claim.layer.place == 0 and claim.waits
        assert store.get_or_compute("other", lambda: "value") == "value"
        assert [layer["other"] for layer in store.layers] == ["value"] * 2
    server.kill()


def test_there_is_none_where_each_process_has_a_first_layer_of_its_own(tmp_path):
    """What another has stored would not be seen in it, so there is nothing to wait for."""
    with d43.parallel(d43.MemoryStore(), d43.LmdbStore(tmp_path / "a")) as store:
        assert of(store) is None
        assert store.get_or_compute("k", lambda: 1) == 1 == store.layers[1]["k"]


@pytest.mark.parametrize("what", ["server", "folder"])
def test_a_layer_that_cannot_be_asked_keeps_nobody_from_computing(tmp_path, what):
    if what == "server":
        server = RedisServer(tmp_path / "redis")
        first = d43.open(server.url, retries=0)
    else:
        first = d43.open(f"file:///{tmp_path}/a")
    with d43.parallel(first, d43.MemoryStore(), require="any", owed=tmp_path / "owed") as store:
        claim = of(store)
        assert claim.layer.place == 0
        if what == "server":
            server.kill()
        else:
            os.rename(tmp_path / "a", tmp_path / "away")
        assert claim.take() and claim.within(store._layers[0]) is None and claim.good()
        claim.release()
        assert store.get_or_compute("k", lambda: "value") == "value" == store.layers[1]["k"]


def test_a_layer_that_is_down_is_not_asked(tmp_path):
    server = RedisServer(tmp_path / "redis")
    faulty = Faulty(d43.open(server.url))
    guard = Guard(faulty, failures=1, reset=10 * LIMIT)
    with d43.parallel(guard, d43.MemoryStore(), require="any", owed=tmp_path / "owed") as store:
        held = of(d43.open(server.url))
        assert held.take()
        faulty.down()
        assert store.get("k") is None
        claim = of(store)
        assert claim.take()         # though another holds it
        assert store.get_or_compute("k", lambda: "value") == "value"
        held.release()
        faulty.up()
    server.kill()


def test_a_result_is_not_stored_by_another_layer_either_if_its_claim_is_lost(tmp_path):
    """The first layer has failed meanwhile, so the second decides; the claim is still that of the first."""
    faulty = Faulty(d43.LmdbStore(tmp_path / "a"))
    with d43.parallel(faulty, d43.LmdbStore(tmp_path / "b"), require="any") as store:
        other = d43.LmdbStore(tmp_path / "a")

        def fn(delete):
            if delete:
                other.delete("k")
            faulty.down()
            return "value"
        assert store.get_or_compute("k", lambda: fn(True)) == "value"
        assert store.layers[1].get("k") is None
        faulty.up()
        assert store.get_or_compute("k", lambda: fn(False)) == "value" == store.layers[1].get("k")
        faulty.up()
        other.close()


def test_what_blames_no_layer_is_raised(tmp_path):
    class Wrong:
        waits, mark = False, None

        def take(self):
            raise TypeError("wrong")
        good = take
    with d43.parallel(d43.LmdbStore(tmp_path / "a"), d43.MemoryStore()) as store:
        claim = Lent(Wrong(), store._layers[0], "k")
        for method in (claim.take, claim.good):
            with pytest.raises(TypeError):
                method()


def test_a_replicated_store_has_the_claims_of_its_primary(tmp_path):
    primary = d43.LmdbStore(tmp_path / "a", journal=True)
    with d43.replicated(primary, [d43.MemoryStore()]) as store, d43.LmdbStore(tmp_path / "a") as other:
        claim, rival = of(store), of(other)
        assert claim.take() and not rival.take() and rival.rival() is not None
        for one in (claim, rival):
            one.release()


def test_a_layer_that_owes_the_key_is_not_asked(tmp_path):
    """It is brought up to date before the result is stored, and the delete in it would end its own claim."""
    faulty = Faulty(d43.LmdbStore(tmp_path / "a"))
    with d43.parallel(faulty, d43.LmdbStore(tmp_path / "b"), require="any", repair="manual") as store:
        faulty.down()
        store["k"] = 1
        del store["k"]
        faulty.up()
        assert store.get_or_compute("k", lambda: "value") == "value"
        assert [layer.get("k") for layer in store.layers] == ["value"] * 2

"""Who answers a read: within the lag, never between two states, never before what a session has seen."""

import threading

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError
from door43fast.replication import replica as replicas_module
from door43fast.testing.faults import Faulty
from replication_sets import members, until


@pytest.fixture(params=["memory", "lmdb"])
def set_of(request, tmp_path):
    """A maker of a set over faulty members: the store, and the members."""
    made = []

    def make(count=2, **options):
        stores = [Faulty(store) for store in members(request.param, tmp_path, count)]
        store = d43.replicated(stores[0], stores[1:], timeout=0.5, close_timeout=20, **options)
        made.extend([store, stores])
        return store, stores
    yield make
    for one in made[1]:
        one.calm()
    made[0].close()


def asked(store, call, members):
    """Which members a read went to."""
    before = [one.calls for one in members]
    call(store)
    return [number for number, one in enumerate(members) if one.calls > before[number]]


READS = {
    "get": lambda s: s.get("a"), "s[k]": lambda s: s["a"], "in": lambda s: "a" in s, "ttl": lambda s: s.ttl("a"),
    "get_many": lambda s: s.get_many(["a", "b"]), "contains_many": lambda s: s.contains_many(["a", "x"]),
    "get_packed": lambda s: s.get_packed(["a", "b"]).tolist(), "len": len, "iter": lambda s: sorted(s),
    "scan": lambda s: list(s.scan()), "scan limit": lambda s: list(s.scan(limit=1)),
    "scan reverse": lambda s: list(s.scan(reverse=True, limit=2)), "keys": lambda s: list(s.keys()),
    "keys under": lambda s: list(s.keys("a")), "count": lambda s: s.count(), "count under": lambda s: s.count("b"),
    "scan_packed": lambda s: [(k.tolist(), v.tolist()) for k, v in s.scan_packed()], "items": lambda s: list(s.items()),
}


def test_any_member_answers_each_read_alike(set_of):
    """The head of a replica is not seen, and each member is asked in turn."""
    store, stores = set_of(3, read="any")
    store.set_many({"a": b"1", "b": b"22", "c": b""})
    store.wait_for()
    for name, read in READS.items():
        wanted = read(stores[0].slow)
        assert [read(store) for _ in range(6)] == [wanted] * 6, name
    before = [one.calls for one in stores]
    for _ in range(30):
        store.get("a")
    assert all(one.calls - n >= 9 for one, n in zip(stores, before, strict=True))


def test_a_read_from_the_primary_goes_nowhere_else(set_of):
    store, stores = set_of()
    store["a"] = 1
    stores[1].down("hang")      # nothing else can come from it
    for read in (lambda: store["a"], lambda: store.get_many(["a"]), lambda: list(store)):
        read()
    stores[0].down()
    with pytest.raises(BackendUnavailableError):
        store.get("a")


@pytest.mark.parametrize("policy", ["any", "nearest"])
def test_a_primary_that_fails_is_passed_over(set_of, policy):
    store, stores = set_of(3, read=policy)
    store["a"] = 1
    stores[0].down()
    assert [store["a"] for _ in range(20)] == [1] * 20
    with pytest.raises(KeyError):
        store["b"]
    stores[1].down()
    assert [store["a"] for _ in range(20)] == [1] * 20
    stores[2].down()
    with pytest.raises(BackendUnavailableError):
        store["a"]


def test_the_nearest_answers(set_of):
    store, stores = set_of(3, read="nearest")
    store["a"] = 1
    for one in (stores[0], stores[2]):
        one.fail("latency", "get", times=None)
        one.delay = (0.005, 0.005)
    before = [one.calls for one in stores]
    for _ in range(100):
        store.get("a")
    calls = [one.calls - n for one, n in zip(stores, before, strict=True)]
    assert calls[1] > 85


def test_a_replica_behind_the_lag_is_not_asked(set_of):
    store, stores = set_of(read="any", consistency="eventual", max_lag=0.3)
    store["a"] = 1
    store.wait_for()
    stores[1].fail("hang", "_commit")
    store["a"] = 2
    stores[1].wait_for_hanging()
    until(lambda: store.stats()["replication"]["replicas"][0]["lag"]["seconds"] > 0.3)
    assert {store["a"] for _ in range(10)} == {2}
    stores[1].calm()
    store.wait_for()
    assert asked(store, lambda s: [s.get("a") for _ in range(4)], stores) == [0, 1]


def test_a_session_reads_what_it_wrote(set_of):
    store, stores = set_of(read="any", consistency="eventual")
    store["a"] = 1
    store.wait_for()
    stores[1].fail("hang", "_commit")
    mine, other = store.session(), store.session()
    mine["a"] = 2
    stores[1].wait_for_hanging()
    assert {mine["a"] for _ in range(10)} == {2}
    assert {store["a"] for _ in range(10)} == {1, 2}        # whoever asks for nothing gets either
    assert mine.seq == store.written == store.sequence
    seen = other["a"]
    while seen != 2:
        seen = other["a"]
    assert {other["a"] for _ in range(10)} == {2}           # it never goes back
    assert {store.session(mine.seq)["a"] for _ in range(10)} == {2}
    stores[0].down()
    with pytest.raises(BackendUnavailableError):            # rather than what it had overwritten
        mine.get("a")
    mine.close()
    assert mine.closed and not store.closed
    with pytest.raises(d43.ClosedError):
        mine.get("a")


def test_what_is_between_two_states_is_not_read(set_of, monkeypatch):
    """A batch in pieces: while the replica has a part of it, nobody is sent there; who was there already asks anew."""
    monkeypatch.setattr(replicas_module, "PIECE", 10)
    store, stores = set_of(read="any", consistency="eventual")
    keys = [f"k{i}" for i in range(100)]
    store.set_many(dict.fromkeys(keys, 0))
    store.wait_for()
    stores[1].fail("latency", "_commit", times=None)
    mixed, ended = [], threading.Event()

    def read():
        while not ended.is_set():
            found = store.get_many(keys)
            if len(set(found)) > 1:
                mixed.append(found)
    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 15):
        store.set_many(dict.fromkeys(keys, version))
        store.wait_for(timeout=20)
    ended.set()
    reader.join()
    assert mixed == []


def test_options_of_reads_are_checked():
    for options in ({"read": "nearby"}, {"max_lag": 1}, {"read": "any", "max_lag": 0}, {"read": "any", "max_lag": "x"}):
        primary, *replicas = members("memory", None)
        with pytest.raises(d43.ConfigError):
            d43.replicated(primary, replicas, **options)


def test_a_transaction_reads_from_the_primary(set_of):
    store, stores = set_of(read="any", consistency="eventual")
    store["n"] = 0
    store.wait_for()
    stores[1].down("hang")
    for _ in range(5):
        with store.transaction() as t:
            t["n"] = t["n"] + 1
        store.incr("n")
    assert stores[0].slow["n"] == 10


def test_waiting_for_a_change_that_has_not_been_says_so(set_of):
    store, _ = set_of()
    store["a"] = 1
    with pytest.raises(d43.ReplicationError, match="no change 9 to wait for: the last is 1") as refused:
        store.wait_for(9, timeout=0.1)
    assert refused.value.done == ()
    store.wait_for(1)

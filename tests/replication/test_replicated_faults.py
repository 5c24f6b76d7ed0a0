"""Each consistency, with a replica that fails, hangs, or loses its acknowledgement, for every way to write."""

import pytest

import door43fast as d43
from door43fast.errors import BackendUnavailableError, ReplicationError
from door43fast.layers import Guard
from door43fast.testing.faults import Faulty
from replication_sets import START, WRITES, held, members, until

FAULTS = ("error", "hang", "late", "lost")


@pytest.fixture(params=["memory", "lmdb"])
def three(request, tmp_path):
    """A primary, a sound replica, and one that can be made to fail; a maker of the store over them."""
    primary, sound, below = members(request.param, tmp_path)
    faulty = Faulty(below)
    made = []

    def make(consistency, replicas=None, **options):
        primary.set_many(START)
        made.append(d43.replicated(primary, replicas or [sound, faulty], consistency, timeout=0.3, close_timeout=20,
                                   **options))
        made[0].wait_for(timeout=20)
        return made[0]
    make.primary, make.sound, make.faulty, make.below = primary, sound, faulty, below
    yield make
    faulty.calm()
    made[0].close()


def state(store):
    """What a member holds, and what of it expires; a key may go while a late member catches up."""
    with_ttl = {}
    for key, value in held(store).items():
        try:
            with_ttl[key] = (value, store.ttl(key) is None)
        except KeyError:
            assert key not in store
    return with_ttl


def equal_at_last(make):
    make.faulty.calm()
    until(lambda: state(make.primary) == state(make.sound) == state(make.below))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITES)
def test_strong_says_what_is_known_and_the_late_one_gets_it(three, name, fault):
    store = three("strong")
    before = state(three.below)
    three.faulty.down(fault)
    with pytest.raises(ReplicationError, match="replica 2") as raised:
        WRITES[name](store)
    assert raised.value.done == ("primary", "replica 1")
    assert {*raised.value.failed, *raised.value.unknown} == {"replica 2"}
    assert state(three.primary) == state(three.sound) != before
    equal_at_last(three)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITES)
def test_a_quorum_goes_on_with_the_others(three, name, fault):
    store = three("quorum")
    three.faulty.down(fault)
    WRITES[name](store)
    assert state(three.primary) == state(three.sound)
    equal_at_last(three)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", WRITES)
def test_eventually_it_comes_later(three, name, fault):
    store = three("eventual")
    three.faulty.down(fault)
    WRITES[name](store)
    assert store.stats()["replication"]["replicas"][1]["lag"]["changes"] >= 0
    equal_at_last(three)
    store.wait_for(timeout=20)
    assert [row["lag"]["changes"] for row in store.stats()["replication"]["replicas"]] == [0, 0]


def test_a_write_that_cannot_be_acknowledged_is_not_begun(three):
    store = three("strong")
    three.faulty.down()
    with pytest.raises(ReplicationError):
        store["a"] = 2
    until(lambda: store.stats()["replication"]["replicas"][1]["state"] == "failing")
    with pytest.raises(ReplicationError, match="nothing was written") as raised:
        store["a"] = 3
    assert raised.value.done == () and store["a"] == 2
    three.faulty.calm()
    until(lambda: store.stats()["replication"]["replicas"][1]["state"] == "following")
    store["a"] = 4
    assert held(three.below)["a"] == 4


def test_with_two_of_three_away_a_quorum_refuses(three):
    store = three("quorum", [three.faulty])      # of two members both are most
    three.faulty.down()
    with pytest.raises(ReplicationError, match="1 of the 2 members"):
        store["a"] = 2


def test_a_number_of_members_may_be_said(three):
    store = three("quorum(1)")
    three.faulty.down("hang")
    store["a"] = 2
    assert store["a"] == 2


@pytest.mark.parametrize("consistency", ["stong", "quorum(0)", "quorum(4)", "quorum()", 2, None])
def test_another_consistency_is_refused(consistency):
    primary, *replicas = members("memory", None)
    with pytest.raises(d43.ConfigError, match="consistency"):
        d43.replicated(primary, replicas, consistency)


def test_a_write_that_the_primary_refuses_reaches_nobody(three):
    store = three("strong")
    for wrong in (lambda: store.set("", 1), lambda: store.set_many([("x", 1), ("", 2)]), lambda: store.incr("t"),
                  lambda: store.set([], 1)):
        with pytest.raises((TypeError, ValueError)):
            wrong()
    assert held(three.primary) == held(three.sound) == held(three.below) == START
    assert [row["failures"] for row in store.stats()["replication"]["replicas"]] == [0, 0]


@pytest.mark.parametrize("kind", ["error", "lost"])
def test_what_a_failing_primary_may_have_done_is_followed(tmp_path, kind):
    below, replica = members("memory", tmp_path, 2)
    primary = Faulty(below)
    with d43.replicated(primary, [replica]) as store:
        store["a"] = 1
        primary.fail(kind, "set")
        with pytest.raises(d43.BackendUnavailableError):
            store["a"] = 2
        store["b"] = 1
        assert held(below) == held(replica) == {"a": 2 if kind == "lost" else 1, "b": 1}


@pytest.mark.parametrize(("consistency", "done"), [("quorum", None), ("strong", ("primary", "replica 1")),
                                                   ("eventual", ("primary", "replica 1"))])
def test_a_flush_needs_as_many_as_a_write(three, consistency, done):
    """One replica cannot sync: under eventual a flush is of all, as a close is."""
    store = three(consistency)
    three.faulty.fail("error", "flush", times=None)
    if done is None:
        store.flush()
    else:
        with pytest.raises(ReplicationError, match="replica 2 did not answer or failed") as raised:
            store.flush()
        assert raised.value.done == done and set(raised.value.failed) == {"replica 2"} and not raised.value.unknown
    assert [fault.name for fault in three.faulty.log] == ["flush"]
    three.faulty.calm()
    store.flush()


def test_a_replica_that_always_conflicts_fails_and_is_tried_again_later(tmp_path):
    """It is where it was and takes no write: that is no news of another writer, after which one goes on at once."""
    primary, below = members("memory", tmp_path, 2)
    faulty = Faulty(below, error=d43.ConflictError)
    with d43.replicated(primary, [faulty], "strong", timeout=20) as store:
        store["a"] = 1
        faulty.fail("error", "_commit", times=None)
        with pytest.raises(ReplicationError, match="replica 1 fails with ConflictError"):
            store["a"] = 2
        faulty.calm()
        until(lambda: held(below) == {"a": 2})


def test_a_copy_whose_beginning_was_not_acknowledged_is_our_own(tmp_path):
    """The first copy breaks off, and of the second one its first step is made and raises."""
    primary, below = members("memory", tmp_path, 2)
    primary["a"] = 1
    faulty = Faulty(below)
    faulty.fail("error", "_commit", nth=2)
    faulty.fail("lost", "_commit", nth=3)
    with d43.replicated(primary, [faulty]) as store:
        until(lambda: held(below) == {"a": 1})
        store["a"] = 2
        assert [fault.kind for fault in faulty.log] == ["error", "lost"] and held(below) == {"a": 2}


def spared_since(faulty, guard, name):
    """In the middle of the next call of a name, when it is carried out, another one fails, so that none is made."""
    def fail():
        faulty.fail("error", "get")
        with pytest.raises(BackendUnavailableError):
            guard.get("a")
    faulty.meanwhile(fail, name)


def test_a_clear_is_not_said_to_be_spared_where_its_head_cannot_be_put_back():
    faulty = Faulty(d43.MemoryStore())
    guard = Guard(faulty, failures=1, reset=1000)
    store = d43.replicated(d43.MemoryStore(), [guard])
    store["a"] = 1
    store.promote("replica 1")      # which has a head from now on
    spared_since(faulty, guard, "clear")
    with pytest.raises(ReplicationError, match=r"clear\(\) was made in the primary") as raised:
        store.clear()
    assert raised.value.unknown == ("primary",) and len(faulty.slow) == 0
    with pytest.raises(ReplicationError, match="could not be told that it is the primary") as raised:
        store.close()
    assert list(raised.value.failed) == ["primary"] and store.closed and guard.closed


def test_a_durable_write_is_not_said_to_be_spared_where_its_flush_is(tmp_path):
    faulty = Faulty(d43.LmdbStore(tmp_path / "primary"))
    guard = Guard(faulty, failures=1, reset=1000)
    lease = d43.LmdbStore(tmp_path / "lease")
    with d43.replicated(guard, [d43.MemoryStore()], lease=lease, own_lease=True) as store:
        until(lambda: store.stats()["replication"]["lease"]["writer"])
        spared_since(faulty, guard, "_commit")
        with pytest.raises(ReplicationError, match="set was made in the primary"):
            store.set("a", 1, durable=True)
        assert faulty.slow["a"] == 1
